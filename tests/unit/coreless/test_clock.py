"""The clock of a core-less room: what is held, what goes out, and what is not believed."""

from __future__ import annotations

import pytest

from tests.support import netplay
from tests.support.coreless import INPUT, NOINPUT, STALL, Talk, frames, state


def test_an_input_waits_for_the_masters_of_the_same_frame() -> None:
    talk = Talk()
    first, second = talk.two()
    talk.play(second, 10, 3)
    assert talk.got(first) == talk.got(second) == []
    talk.play(first, 10)
    assert talk.kinds(first) == [INPUT, NOINPUT]
    assert talk.got(second) == [
        (INPUT, netplay.game_input(10, 1, first * 1000 + 10, 0, 0)[8:]),
        (NOINPUT, netplay.words(10)),
    ]
    talk.play(first, 11, 4)
    assert frames(talk.got(first), INPUT) == [11, 12]
    # The second is late for 13 and 14 now: what it sends goes out at once.
    talk.play(second, 13)
    assert talk.kinds(first) == [INPUT]


def test_everybody_gets_the_same_inputs_and_none_of_their_own() -> None:
    talk = Talk()
    keys = [talk.join(f"p{number}") for number in range(4)]
    talk.play(keys[0], 0, 4)
    talk.say(keys[0], state(4))
    for key in keys:
        talk.got(key)
    for key in reversed(keys):
        talk.play(key, 4, 6)
    for key in keys:
        got = talk.got(key)
        others = [talk.number(other) for other in keys if other != key]
        inputs = [
            (frame, body[7])
            for frame, (_, body) in zip(frames(got, INPUT), [c for c in got if c[0] == INPUT], strict=True)
        ]
        assert inputs == [(frame, number) for frame in range(4, 10) for number in others]
        assert frames(got, NOINPUT) == list(range(4, 10))


def test_nobody_plays_for_somebody_else() -> None:
    talk = Talk()
    first, second = talk.two()
    talk.say(second, netplay.game_input(10, 1, 99, 0, 0))
    talk.play(first, 10)
    assert talk.got(first)[0] == (INPUT, netplay.game_input(10, 2, 99, 0, 0)[8:])


@pytest.mark.parametrize(
    "said",
    [netplay.game_input(11, 2, 0, 0, 0), netplay.game_input(10, 2, 0)],
    ids=["a frame too far", "a word too few"],
)
def test_an_input_that_would_throw_the_others_out_throws_out_its_sender(said: bytes) -> None:
    talk = Talk()
    first, second = talk.two()
    talk.say(second, said)
    assert talk.closed == {second: "broke-protocol"}
    talk.play(first, 10)
    assert not talk.closed.get(first)


def test_old_inputs_and_those_of_somebody_who_watches_go_nowhere() -> None:
    talk = Talk()
    first, second = talk.two()
    watcher = talk.join("watcher", play=False)
    talk.say(first, state(10))
    talk.say(watcher, netplay.game_input(10, 3, 1, 0, 0))
    talk.say(second, netplay.game_input(9, 2, 1, 0, 0))
    assert INPUT not in talk.kinds(first)
    assert not talk.closed


def test_inputs_without_an_end_are_not_kept() -> None:
    talk = Talk()
    second = talk.two()[1]
    for frame in range(10, 400):
        if second not in talk.closed:
            talk.say(second, netplay.game_input(frame, 2, 0, 0, 0))
    assert talk.closed == {second: "broke-protocol"}


def test_a_player_whose_clock_runs_ahead_is_told_to_wait_now_and_then() -> None:
    talk = Talk()
    first, second = talk.two()
    talk.play(second, 10, 10)
    talk.got(second)
    for frame in range(10, 10 + 400):
        talk.play(first, frame)
        talk.play(second, frame + 10)
    stalls = frames(talk.got(second), STALL)
    assert stalls
    assert len(stalls) <= 4
    assert all(3 < stall <= 12 for stall in stalls)


def test_a_line_that_delivers_in_bursts_stalls_nobody() -> None:
    talk = Talk()
    first, second = talk.two()
    for frame in range(10, 400, 10):
        talk.play(second, frame, 10)
        talk.play(first, frame, 10)
    assert STALL not in talk.kinds(second)
