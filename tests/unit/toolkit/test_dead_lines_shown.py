"""Whose line is dead, and who has to connect again, is said wherever somebody looks: status, watch, join, doctor."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from relay.monitoring import report
from tests.support import statuses
from toolkit.doctor.case import Case
from toolkit.doctor.findings import outcomes, players
from toolkit.doctor.target import Target
from toolkit.join import lines, rooms
from toolkit.status import show
from toolkit.watch.screen import picture
from toolkit.watch.story import Story

if TYPE_CHECKING:
    from collections.abc import Iterable

PORT = statuses.PORT


def a_state(silence: float | None = 14.0, **more: Any) -> dict[str, Any]:
    """Return the state of a relay where somebody hosts, silent for so many seconds."""
    session = statuses.session("FridayNightRoom1")
    session["host"]["silence"] = silence
    return {**statuses.status(sessions=[session], mode="auto"), "session_outcomes": {}, "ended": [], **more}


def sent_off(number: int = 1, address: str = "198.51.100.4") -> dict[str, Any]:
    """Return the ending of a player who was alone where somebody hosts now."""
    return {
        "number": number,
        "kind": "player",
        "table": PORT,
        "address": address,
        "port": 40000,
        "outcome": "host-came",
        "reason": "",
        "seconds": 7.0,
        "bytes_from_client": 100,
        "bytes_to_client": 200,
        "to_client": None,
    }


def shown(parts: Iterable[Any]) -> str:
    out = io.StringIO()
    console = Console(file=out, width=200)
    for part in parts:
        console.print(part)
    return out.getvalue()


def findings(state: dict[str, Any]) -> str:
    case = Case(Target("relay.example.org", (PORT,)), host={"relay": state, "time": 0, "uid": 0})
    return "\n".join(f"{each.sentence} {each.cure}" for module in (players, outcomes) for each in module.look(case))


@pytest.mark.parametrize("silence", [None, 2.0, 14.0, 100.0])
def test_a_silent_host_is_shown_as_one(silence: float | None) -> None:
    state = a_state(silence)
    story = Story()
    list(story.feed({"relay": state}, 0.0))
    everywhere = {
        "status on the host": report.text(state),
        "status": shown([show.rooms(state, 200)]),
        "watch": shown(picture(story, 200)),
        "join": lines.state_line(rooms.rooms_of(state)[0]),
        "doctor": findings(state),
    }
    for where, text in everywhere.items():
        assert ("silent for" in text or "no sign of life for" in text) == (silence is not None), where
    assert lines.as_dict("x", rooms.rooms_of(state)[0])["host_silence"] == silence


def test_a_relay_that_does_not_tell_it_is_shown_as_before() -> None:
    state = a_state()
    del state["sessions"][0]["host"]["silence"]
    assert "20 ms" in report.text(state)
    assert rooms.rooms_of(state)[0].silence is None


def test_watch_tells_when_a_host_falls_silent_and_when_it_is_back() -> None:
    story = Story()
    told = [each for silence in (None, 3.0, 4.0, None) for each in story.feed({"relay": a_state(silence)}, 0.0)]
    assert [str(each).partition(": ")[2] for each in told] == [
        "nothing comes from the host's machine any more; friends are sent elsewhere",
        "the host's machine gives signs of life again",
    ]


def test_a_silent_player_is_shown_as_one() -> None:
    client = statuses.client("ben")
    client["to_client"] = {**client["to_client"], "silence": 9.0}
    state = a_state(None)
    state["sessions"][0]["clients"] = [client]
    assert "silent for 9 s" in report.text(state)
    assert "silent for 9 s" in shown([show.players(state, 250)])
    assert "ben has given no sign of life for 9 s" in findings(state)


def test_who_was_sent_off_is_told_to_connect_again_until_it_has() -> None:
    state = a_state(None, ended=[sent_off()], outcomes={"host-came": 1})
    for text in (report.text(state), show.outcomes(state), findings(state)):
        assert "198.51.100.4 was alone at port 55435, where 203.0.113.7 hosts now" in text
        assert "connect again" in text
    state["sessions"][0]["clients"] = [statuses.client("ben")]
    assert report.sent_off(state) == []
    assert report.sent_off({**state, "sessions": []}) == [], "nobody hosts there any more"


def test_watch_tells_who_was_sent_off_and_why() -> None:
    story = Story()
    before = {**a_state(None), "sessions": [], "tables": [statuses.table(PORT, "ben")]}
    before["tables"][0]["players"][0] |= {"address": "198.51.100.4", "port": 40000}
    list(story.feed({"relay": before}, 0.0))
    told = list(story.feed({"relay": a_state(None, ended=[sent_off()])}, 1.0))
    (said,) = [each for each in told if isinstance(each, str) and "host-came" in each]
    assert said.startswith("room port 55435: ben left after 7 s (host-came): it was alone")
    assert "it has to connect again" in said


def test_watch_tells_why_somebody_was_dropped() -> None:
    story = Story()
    before = {**a_state(None), "sessions": [], "tables": [statuses.table(PORT, "ben", "anna")]}
    before["tables"][0]["players"][0] |= {"address": "198.51.100.4", "port": 40000}
    list(story.feed({"relay": before}, 0.0))
    frozen = {**sent_off(), "outcome": "frozen", "reason": "2 frames in 5 s"}
    told = [str(each) for each in story.feed({"relay": {**before, "ended": [frozen]}}, 1.0)]
    assert any("ben left after 7 s (frozen)" in each and "2 frames in 5 s" in each for each in told)
