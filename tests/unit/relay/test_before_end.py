"""What happened in the last second before somebody closed, whose reason nobody is told otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from relay import before_end
from relay.coreless import CorelessSettings
from relay.netplay.observed import BY_CLIENT, BY_HOST, LATELY
from relay.netplay.watcher import Watcher
from tests.support import netplay as np
from tests.support.coreless import PAUSE, RESET, RESUME, SPECTATE, Talk, load, state
from tests.support.fakes import playing
from tests.support.relays import running

START = 74


def inputs(count: int, first: int = START + 1) -> list[tuple[bool, bytes]]:
    """Return so many frames of both ends."""
    return [(way, np.game_input(frame, int(way))) for frame in range(first, first + count) for way in (False, True)]


def lately(*talk: tuple[bool, bytes]) -> list[str]:
    """Return what is known to have happened after a handshake, 200 frames and these."""
    watcher = Watcher(names=True)
    for to_host, data in [*np.handshake(), *inputs(200), *talk]:
        watcher.feed(to_host, data)
    return list(watcher.as_dict()["lately"])


LOADED = [(False, np.savestate(274, 1276)), (False, np.game_input(275, 0)), (False, np.savestate(275, 1067))]


@pytest.mark.parametrize(
    ("talk", "words"),
    [
        ([], []),
        (LOADED, ["loaded", "state"]),
        ([(False, np.savestate(274, 1276))], ["state"]),
        ([(False, np.RESET)], ["reset"]),
        ([(True, np.REQUEST_SAVESTATE), (False, np.savestate(274, 1221))], ["asked", "state"]),
        ([(False, np.pause("anna"))], ["host-paused"]),
        ([(True, np.pause("ben"))], ["client-paused"]),
        ([(False, np.pause("anna")), (False, np.RESUME)], ["host-paused", "host-resumed"]),
        ([(True, np.pause("ben")), (True, np.RESUME)], ["client-paused", "client-resumed"]),
        ([(False, np.mode(playing=False, pads=0))], ["mode"]),
        ([(False, np.savestate(274, 800) + np.mode(you=False, number=2, pads=4, name="third"))], ["joined"]),
    ],
)
@pytest.mark.parametrize("cut", [1, 7, 4096])
def test_what_happened_is_known_for_a_second(talk: list[tuple[bool, bytes]], words: list[str], cut: int) -> None:
    talk = [(way, data[at : at + cut]) for way, data in talk for at in range(0, len(data), cut)]
    assert lately(*talk) == words
    assert lately(*talk, *inputs(LATELY - 2, 276)) == words
    assert lately(*talk, *inputs(LATELY + 2, 276)) == []


def test_the_frames_that_a_peer_runs_on_after_a_pause_do_not_hide_it() -> None:
    """Measured: a host is 62 frames further when it drops who did not go on."""
    paused = [(False, np.pause("anna")), (False, np.RESUME), *((False, np.game_input(275 + n, 0)) for n in range(62))]
    assert "host-resumed" in lately(*paused)


@pytest.mark.parametrize("event", sorted(BY_CLIENT | BY_HOST))
def test_everything_that_can_be_seen_is_said(event: str) -> None:
    assert before_end.of_link({"lately": [event]}, None, None) == before_end.SAID[event]


def test_what_a_client_asked_for_is_not_told_as_a_state_that_came_by_itself() -> None:
    assert before_end.of_link({"lately": ["asked", "state"]}, None, None) == before_end.SAID["asked"]


@pytest.mark.parametrize(
    ("silent", "words"),
    [
        ((0.0, 0.0), ""),
        ((0.3, 0.3), ""),
        ((6.2, 0.0), "the player's line was dead: nothing was confirmed for 6 s"),
        ((0.0, 4.0), "the host's line was dead: nothing was confirmed for 4 s"),
    ],
)
def test_a_line_that_died_is_told(silent: tuple[float, float], words: str) -> None:
    ways: list[dict[str, Any]] = [
        {"rtt": 0.01, "jitter": 0.0, "retransmits": 3, "silence": each or None} for each in silent
    ]
    assert before_end.of_link(None, *ways) == words
    assert before_end.of_player([], ways[0]) == (words if silent[0] > 1 else "")


@pytest.mark.parametrize(
    ("frame", "own", "words"), [(261, 200, "the player was 61 frames"), (200, 261, "the host was 61"), (210, 200, "")]
)
def test_who_was_waited_for_is_told(frame: int, own: int, words: str) -> None:
    said = before_end.of_link({"role": "playing", "frame": frame, "client_frame": own}, None, None)
    assert words in said
    assert bool(words) == bool(said)


# Where nobody hosts.


def room_of_two() -> tuple[Talk, int, int]:
    """Return a game that has gone on for a while."""
    talk = Talk()
    first, second = talk.two()
    talk.wait(5)
    return talk, first, second


@pytest.mark.parametrize(
    ("said", "word"),
    [(load(10), "loaded"), (np.command(RESET, np.words(10)), "reset"), (SPECTATE, "mode")],
    ids=["a state", "a reset", "ceasing to play"],
)
def test_what_happened_in_a_game_without_a_host_is_known_for_a_second(said: bytes, word: str) -> None:
    talk, first, second = room_of_two()
    assert talk.room.lately(second, talk.now) == ()
    talk.say(second, said)
    assert word in talk.room.lately(second, talk.now)
    # What one does to oneself is nobody else's reason.
    assert (word in talk.room.lately(first, talk.now)) == (word != "mode")
    talk.now += 1.1
    assert talk.room.lately(second, talk.now) == ()


def test_a_pause_of_a_game_without_a_host_is_known() -> None:
    talk = Talk()
    first, second = talk.legacy("one"), talk.legacy("two")
    talk.say(first, np.command(PAUSE, b"one".ljust(32, b"\0")))
    assert "paused" in talk.room.lately(second, talk.now)
    talk.say(first, np.command(RESUME))
    assert "resumed" in talk.room.lately(second, talk.now)


def test_an_answer_to_a_request_is_no_state_that_somebody_loaded() -> None:
    talk = Talk()
    first = talk.join("first")
    talk.play(first, 0, 10)
    second = talk.join("second")
    talk.say(first, state(10))
    words = talk.room.lately(second, talk.now)
    assert "loaded" not in words
    assert {"state", "mode", "joined"} <= {*words}
    assert before_end.of_player(words, None) == "the player had begun or ceased to play; somebody began to play"


FOUR_PADS = CorelessSettings(devices=(1, 1, 257, 257, *[5] * 12))


@pytest.mark.parametrize("seconds", [0.1, 5.0])
@pytest.mark.parametrize("own", [False, True], ids=["plain pads", "pads of the core's own"])
def test_who_is_out_as_soon_as_it_has_a_pad_may_lack_the_adapter_for_those_of_the_core(
    own: bool, seconds: float
) -> None:
    settings, words = (FOUR_PADS, 1) if own else (CorelessSettings(), 3)
    talk = Talk(settings)
    first = talk.join("first")
    talk.play(first, 0, 2, words)
    # What it was sent may take its time, and until it has that it can neither play nor leave.
    talk.wait(seconds)
    lately = talk.room.lately(first, talk.now)
    assert ("own-pads" in lately) == own
    assert before_end.of_player(lately, None).startswith("the room has pads of the core's own kind") == own


@pytest.mark.parametrize("plays", [True, False], ids=["a player", "a spectator"])
def test_who_is_given_the_game_in_such_a_room_may_lack_the_adapter_and_who_has_played_in_it_does_not(
    plays: bool,
) -> None:
    talk = Talk(FOUR_PADS)
    first = talk.join("first")
    talk.play(first, 0, 10, 1)
    second = talk.join("second", play=plays)
    talk.wait(2)
    talk.say(first, state(10))
    assert before_end.of_player(talk.room.lately(second, talk.now), None) == before_end.CORELESS["own-pads"]
    # One and a half seconds later they play and watch on.
    for frame in range(10, 100):
        talk.play(first, frame, 1, 1)
        if plays:
            talk.play(second, frame, 1, 1)
        talk.wait(1 / 60)
    assert "own-pads" not in talk.room.lately(first, talk.now)
    assert "own-pads" not in talk.room.lately(second, talk.now)


def test_what_was_of_a_client_that_went_is_forgotten() -> None:
    talk, _, second = room_of_two()
    talk.say(second, SPECTATE)
    talk.leave(second)
    assert all(key in (None, 1) for _, key in talk.room.game.events)


# What comes of it in the log, and in what status shows.


async def test_a_loaded_state_stands_in_the_log_and_among_the_endings(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with running() as relay:
        async with playing(relay.address, relay.port) as (_, link, client):
            loaded = [(False, np.savestate(174, 900)), (False, np.savestate(174, 9))]
            for to_host, data in [*np.handshake()[1:], *inputs(100), *loaded]:
                await (client if to_host else link).send(data)
            (session,) = relay.server.board.sessions.values()
            (end,) = [relay.server.end_of(conn) for conn in session.linked if not conn.is_link]
            assert end is not None
            assert end.watcher is not None
            seen = end.watcher.seen
            await relay.until(lambda: seen.savestates == 3, "the states")
            await client.close()
            await relay.until(lambda: relay.server.endings.count, "the end")
        (ended,) = [entry for entry in relay.server.endings.since(0) if entry["kind"] == "client"]
        assert (ended["outcome"], ended["reason"]) == ("left", before_end.SAID["loaded"])
        assert f"right before: {before_end.SAID['loaded']}" in caplog.text
