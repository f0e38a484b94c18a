"""Savestates and resets: who is asked when, what is passed on, and what is undone."""

from __future__ import annotations

import zlib

import pytest

from relay.coreless import CorelessSettings
from tests.support import netplay
from tests.support.coreless import ASK, INPUT, LOAD, MODE, PLAY, RESET, STATE, Talk, frames, load, state, words_of

UNCOMPRESSED = b"RANP" + netplay.words(0x00040008, 0, 6, 5, netplay.RA_1_14)


def test_a_newcomer_gets_the_masters_state_and_then_may_play() -> None:
    talk = Talk()
    first = talk.join("first")
    talk.play(first, 0, 10)
    talk.got(first)
    second = talk.join("second")
    assert talk.kinds(first) == [ASK]
    talk.play(first, 10, 5)
    talk.got(second)
    talk.say(first, state(15))
    got = talk.got(second)
    assert [number for number, _ in got] == [LOAD, MODE]
    assert got[0][1] == netplay.words(15, 5070) + STATE
    assert words_of(got[1][1][:12]) == (15, 0xC0000002, 2)
    assert words_of(talk.got(first)[-1][1][:12]) == (15, 0x40000002, 2)


def test_two_newcomers_share_one_state_and_only_those_who_are_in_get_it() -> None:
    talk = Talk()
    first = talk.join("first")
    talk.play(first, 0, 10)
    talk.got(first)
    knocking = talk.connect(netplay.client_header())
    others = [talk.join(f"p{number}") for number in range(2)]
    assert talk.kinds(first) == [ASK]
    talk.got(knocking)
    talk.say(first, state(10))
    assert all(LOAD in talk.kinds(other) for other in others)
    assert talk.got(knocking) == []
    talk.wait(1)
    assert ASK not in talk.kinds(first)


def test_no_mode_crosses_a_state_that_was_asked_for() -> None:
    talk = Talk()
    first, second = talk.two()
    talk.say(second, netplay.command(0x24))
    talk.join("third")
    talk.got(first), talk.got(second)
    talk.say(second, PLAY)
    assert MODE not in talk.kinds(first)
    talk.say(first, state(10))
    assert [words_of(body[:8])[1] & 0xFF for number, body in talk.got(first) if number == MODE] == [2, 3]


def test_a_state_is_repacked_for_who_takes_it_otherwise() -> None:
    raw = bytes(range(256)) * 8
    for sender, receiver, sent, wanted in (
        (netplay.client_header(), UNCOMPRESSED, zlib.compress(raw), raw),
        (UNCOMPRESSED, netplay.client_header(), raw, None),
    ):
        talk = Talk()
        first = talk.join("first", sender)
        second = talk.join("second", receiver)
        talk.got(second)
        talk.say(first, state(0, sent, len(raw)))
        body = next(body for number, body in talk.got(second) if number == LOAD)[8:]
        assert (body if wanted else zlib.decompress(body)) == raw


@pytest.mark.parametrize("body", [b"no zlib stream", zlib.compress(b"too short")])
def test_a_state_that_cannot_be_repacked_ends_its_sender_alone(body: bytes) -> None:
    talk = Talk()
    first = talk.join("first")
    second = talk.join("second", UNCOMPRESSED)
    talk.say(first, state(0, body, 1000))
    assert talk.closed == {first: "broke-protocol"}
    assert talk.player(second)["role"] == "playing"


def test_a_state_of_another_size_is_not_passed_on_but_asked_for_again() -> None:
    talk = Talk()
    first, second = talk.two()
    talk.say(first, load(10), state(10, raw_size=5050))
    assert talk.kinds(second) == [LOAD]
    assert talk.kinds(first) == [ASK]
    talk.say(first, state(10))
    assert talk.kinds(second) == [LOAD]


def test_what_another_than_the_master_loads_is_undone() -> None:
    talk = Talk()
    first, second = talk.two()
    talk.play(second, 10, 5)
    talk.say(second, state(15))
    talk.play(first, 10, 4)
    assert ASK not in talk.kinds(first)
    talk.play(first, 14)
    assert ASK in talk.kinds(first)
    assert LOAD not in talk.kinds(first)
    talk.got(second)
    talk.say(first, state(15))
    assert talk.kinds(second) == [LOAD]


def test_nobody_comes_in_while_a_client_has_jumped_ahead() -> None:
    talk = Talk()
    first, second = talk.two()
    talk.play(second, 10, 5)
    talk.say(second, netplay.command(RESET, netplay.words(15)))
    third = talk.join("third")
    assert ASK not in talk.kinds(first)
    talk.play(first, 10, 5)
    assert ASK in talk.kinds(first)
    talk.got(second)
    talk.say(first, state(15))
    assert talk.kinds(second) == [LOAD, MODE]
    assert LOAD in talk.kinds(third)


def test_the_masters_reset_is_everybodys_by_its_state() -> None:
    talk = Talk()
    first, second = talk.two()
    talk.say(first, netplay.command(RESET, netplay.words(10)))
    assert talk.got(first) == [(ASK, b"")]
    assert talk.got(second) == [], "who waits while RESET comes would run a frame too many"
    talk.say(first, state(10))
    assert [number for number, _ in talk.got(second)] == [LOAD]


@pytest.mark.parametrize("said", [state(11), netplay.command(RESET, netplay.words(11))], ids=["state", "reset"])
def test_the_future_is_nobodys(said: bytes) -> None:
    talk = Talk()
    first, second = talk.two()
    for key in (first, second):
        talk.say(key, said)
        assert talk.closed[key] == "broke-protocol"


def test_a_player_who_was_behind_goes_on_where_the_state_is() -> None:
    talk = Talk()
    first, second = talk.two()
    talk.play(first, 10, 20)
    talk.say(first, state(30))
    talk.got(first)
    talk.play(second, 10, 3)
    assert INPUT not in talk.kinds(first)
    talk.play(second, 30, 2)
    assert not talk.closed
    talk.play(first, 30, 2)
    assert frames(talk.got(first), INPUT) == [30, 31]


def test_a_core_without_states_keeps_newcomers_out_and_nobody_else() -> None:
    talk = Talk(CorelessSettings(state_seconds=5))
    first = talk.join("first")
    second = talk.join("second")
    for second_ in range(7):
        talk.play(first, second_ * 60, 60)
        talk.wait(1)
    assert talk.closed == {second: "no-state"}
    assert talk.player(first)["role"] == "playing"


def test_an_answer_may_take_as_long_as_the_clock_stands_still() -> None:
    talk = Talk()
    first = talk.legacy("first")
    talk.play(first, 0, 10)
    talk.say(first, netplay.pause("first"))
    second = talk.legacy("second")
    talk.wait(60)
    assert not talk.closed
    talk.say(first, netplay.RESUME, state(10))
    assert talk.player(second)["role"] == "playing"


def test_a_state_that_nobody_will_be_sent_is_not_kept() -> None:
    talk = Talk()
    first, second = talk.two()
    talk.say(second, netplay.words(LOAD, 40_000_008) + netplay.words(10, 40_000_000))
    for _ in range(10_000):
        talk.say(second, b"\xff" * 4000)
    assert len(talk.room.game.peers[second].framer.rest) == 0
    talk.play(second, 10, 2)
    talk.play(first, 10, 2)
    assert INPUT in talk.kinds(first)
