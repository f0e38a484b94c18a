"""What a relay answers is looked at before root's terminal shows it: no answer ends in a traceback, or obeys it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from relay import answered, cli, control_client, pace
from relay.monitoring import metrics, report, status
from tests.support.every_state import CONFIG, everything

WAY = {"rtt": 0.025, "jitter": 0.001, "retransmits": 0, "silence": None}
NAMED = {"nick": "anna", "core": "Nestopia", "retroarch": "1.14.0"}
SEEN = {
    "host": NAMED,
    "client": NAMED,
    "role": "playing",
    "player": 2,
    "paused": True,
    "paused_by": "anna",
    "desyncs": 1,
    "frame": 300,
    "client_frame": 250,
    "coming": 0,
    "savestates": 1,
    "savestate_bytes": 5,
    "stalls": 0,
    "lately": ["mode"],
}
CLIENT = {
    "address": "203.0.113.7",
    "port": 1,
    "state": "linked",
    "age": 3.0,
    "to_client": WAY,
    "to_host": WAY,
    "bytes_from_client": 1,
    "bytes_from_host": 2,
    "waiting_bytes": 3,
    "seen": SEEN,
}
PLAYER = {
    "nick": "ben",
    "number": 1,
    "role": "playing",
    "player": 1,
    "retroarch": "1.14.0",
    "behind": 2,
    "frame": 9,
    "waits_for_state": False,
    "address": "203.0.113.8",
    "port": 2,
    "age": 4.0,
    "to_client": WAY,
    "bytes_from_client": 1,
    "bytes_to_client": 2,
    "waiting_bytes": 0,
}
STATE: dict[str, Any] = {
    "program": "netplay-relay 0.1.0",
    "age": 12.5,
    "draining": True,
    "ports": [55435],
    "connections": {"now": 7, "most": 1024},
    "rooms": [{"id": "FridayNightRoom1", "port": 55440}],
    "allowlist": {"problem": "there is none"},
    "sessions": [
        {
            "id": "FridayNightRoom1",
            "port": 55435,
            "age": 9.0,
            "clients": [CLIENT],
            "host": {"address": "203.0.113.9", "rtt": 0.02, "silence": 4.0},
        }
    ],
    "tables": [
        {
            "port": 55436,
            "age": 5.0,
            "frame": 10,
            "core": "Nestopia",
            "core_version": "1",
            "master": 1,
            "paused_by": ["ben"],
            "players": [PLAYER],
        }
    ],
    "outcomes": {"left": 3},
    "session_outcomes": {"host-left": 2},
    "ended": [{"number": 1, "kind": "player", "outcome": "host-came", "address": "203.0.113.1", "table": 55435}],
}
UPGRADED = {"upgraded": "netplay-relay 0.1.0", "sessions": 1, "links": 1, "tables": 1}
COMMANDS = {"status": STATE, "metrics": STATE, "upgrade": UPGRADED}
ESCAPE = "\x1b]0;mine\x07\x1b[2J\u202e\n"
HOSTILE: list[Any] = [
    *(None, -1, 0, "", ESCAPE, [], {}, True, 2.5, 10**400, float("nan"), float("inf"), 1e308),
    *([[]], [{}], [None], {"rtt": None}, {ESCAPE: ESCAPE}, {"left": {}}),
]


def places(value: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every value in an answer, the answer itself first."""
    yield ()
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        for way in places(each):
            yield (key, *way)


def changed(answer: Any, way: tuple[Any, ...], value: Any) -> Any:
    """Return the answer with another value in a place; without that place where the value is Ellipsis."""
    if not way:
        return value
    whole = copy.deepcopy(answer)
    at = whole
    for key in way[:-1]:
        at = at[key]
    if value is ...:
        del at[way[-1]]
    else:
        at[way[-1]] = value
    return whole


def typed(monkeypatch: pytest.MonkeyPatch, command: list[str], answer: Any) -> str:
    """Type a command that is given this answer; return its sentence, "" where it could use the answer."""
    monkeypatch.setattr(control_client, "ask_first", lambda *_: answer)
    monkeypatch.setattr(cli.time, "sleep", lambda _: None)
    try:
        cli.main(command)
    except SystemExit as end:
        return str(end.code)
    return ""


def shown(state: dict[str, Any]) -> str:
    """Return everything that the commands make of a state."""
    held = answered.status(state)
    return report.text(held, pace.judged([pace.of(held)])) + metrics.text(held)


def told(answer: dict[str, Any]) -> str:
    """Return what `upgrade` makes of an answer."""
    return "".join(str(value) for value in answered.upgrade(answer).values())


@pytest.mark.parametrize(("answer", "use"), [(STATE, shown), (UPGRADED, told)], ids=["a state", "an upgrade"])
def test_no_answer_is_more_than_refused_and_none_is_obeyed(answer: Any, use: Callable[[Any], str]) -> None:
    assert use(answer)
    used = refused = 0
    for way in list(places(answer))[1:]:
        for value in [*HOSTILE, ...]:
            try:
                said = use(changed(answer, way, value))
                used += 1
            except ValueError as error:
                said = str(error)
                refused += 1
            assert all(sign.isprintable() or sign == "\n" for sign in said)
    assert used
    assert refused > used / 2


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_ends_with_a_sentence_where_an_answer_is_none(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, [command], COMMANDS[command]) == ""
    assert capsys.readouterr().out
    for name in COMMANDS[command]:
        said = typed(monkeypatch, [command], {**COMMANDS[command], name: {"x": None}})
        assert said.startswith("netplay-relay: no answer at ") or name == "allowlist"


@pytest.mark.parametrize("command", [["status"], ["status", "--json"], ["metrics"], ["upgrade"]])
def test_what_is_nested_deeply_is_refused_or_left_out(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deep: Any = []
    for _ in range(900):
        deep = [deep]
    for place in ("sessions", "upgraded", "more"):
        said = typed(monkeypatch, command, {**COMMANDS[command[0]], place: deep})
        assert "\n" not in said
    assert capsys.readouterr().err == ""


def test_an_error_is_shown_and_not_obeyed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert ESCAPE[0] not in typed(monkeypatch, ["status"], {"error": ESCAPE})
    typed(monkeypatch, ["upgrade"], {"error": ESCAPE})
    assert "not upgraded: ?]0;mine??[2J??" in capsys.readouterr().err


async def test_what_a_relay_says_is_its_shape_whatever_it_is_in_and_nothing_that_is_shown_is_left_out() -> None:
    async with everything() as (relay, _):
        state = json.loads(json.dumps(status.of(relay.server, CONFIG)))
        held = answered.status(state)
    for kind in ("sessions", "tables"):
        assert len(held[kind]) == len(state[kind]) > 0
    assert held["outcomes"] == state["outcomes"]
    for links in (True, False):
        hidden = [{**table, **relay_view(table, links)} for table in state["tables"]]
        answered.status({**state, "tables": hidden})


def relay_view(table: dict[str, Any], links: bool) -> dict[str, Any]:
    """Return what stands for a game that may not be looked at."""
    from relay.coreless.status import HIDDEN, HIDDEN_PLAYER

    if links:
        return {}
    return {**HIDDEN, "players": [{**player, **HIDDEN_PLAYER} for player in table["players"]]}
