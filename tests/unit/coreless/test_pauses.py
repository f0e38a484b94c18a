"""Pauses: carried to older RetroArch, kept from newer one, bounded where both play."""

from __future__ import annotations

from tests.support import netplay
from tests.support.coreless import NOINPUT, PAUSE, PLAY, RESUME, SPECTATE, STALL, SYNC, Talk, frames, state, words_of


def legacy_pair() -> tuple[Talk, int, int]:
    """Return a room with two of 1.9.14."""
    talk = Talk()
    first, second = talk.legacy("first"), talk.legacy("second")
    talk.say(first, state(0))
    talk.got(first), talk.got(second)
    return talk, first, second


def test_a_pause_of_an_older_one_reaches_the_other_and_ends_when_it_will() -> None:
    talk, first, second = legacy_pair()
    talk.say(first, netplay.pause("whatever"))
    assert talk.got(second) == [(PAUSE, netplay.text("first"))]
    talk.wait(3600)
    assert not talk.closed
    assert talk.got(first) == []
    talk.say(first, netplay.RESUME)
    assert talk.got(second) == [(RESUME, b"")]
    talk.play(first, 0, 60)
    talk.wait(2)
    assert not talk.closed


def test_two_pauses_end_with_the_second_of_them() -> None:
    talk, first, second = legacy_pair()
    third = talk.legacy("third")
    talk.say(first, state(0))
    talk.got(third), talk.got(first), talk.got(second)
    talk.say(first, netplay.pause("first"))
    talk.say(second, netplay.pause("second"))
    assert [talk.kinds(key) for key in (first, second, third)] == [[PAUSE], [PAUSE], [PAUSE]]
    talk.say(first, netplay.RESUME)
    assert [talk.kinds(key) for key in (first, second, third)] == [[], [RESUME], []]
    talk.leave(second)
    assert RESUME in talk.kinds(first)
    assert RESUME in talk.kinds(third)


def test_who_joins_a_paused_game_is_told_and_who_only_watches_pauses_nobody() -> None:
    talk, first, second = legacy_pair()
    talk.say(first, netplay.pause("first"))
    late = talk.legacy("late")
    (sync,) = [body for number, body in talk.got(late) if number == SYNC]
    assert words_of(sync[4:8])[0] == (1 << 31) | talk.number(late)
    talk.say(first, netplay.RESUME)
    assert RESUME in talk.kinds(late)
    talk.say(second, SPECTATE)
    talk.got(first)
    talk.say(second, netplay.pause("second"))
    assert PAUSE not in talk.kinds(first)


def test_a_player_who_stops_playing_lets_the_others_go_on() -> None:
    talk, first, second = legacy_pair()
    talk.say(second, netplay.pause("second"))
    talk.say(second, SPECTATE)
    assert talk.kinds(first)[:2] == [PAUSE, RESUME]


def test_the_last_player_stops_while_it_has_the_game_paused_and_those_who_watch_go_on() -> None:
    talk, first, second = legacy_pair()
    watcher = talk.legacy("watcher", play=False)
    talk.say(first, state(0))
    talk.say(second, netplay.pause("second"))
    talk.play(first, 0, 4)
    talk.say(first, netplay.pause("first"))
    talk.leave(second)
    talk.got(watcher), talk.got(first)
    talk.say(first, SPECTATE)
    assert talk.room.game.master is None
    talk.wait(1)
    assert not talk.closed
    assert frames(talk.got(watcher), NOINPUT)[:5] == [0, 1, 2, 3, 4]
    talk.say(first, PLAY)
    assert talk.player(first)["role"] == "playing"


def test_a_newer_one_is_held_and_never_told() -> None:
    talk = Talk()
    old, new = talk.legacy("old"), talk.join("new")
    talk.say(old, state(0))
    talk.got(new), talk.got(old)
    talk.say(old, netplay.pause("old"))
    talk.wait(2)
    got = talk.got(new)
    assert {number for number, _ in got} == {STALL}
    assert set(frames(got, STALL)) == {60}
    assert 115 <= len(got) <= 125
    assert talk.got(old) == []
    talk.say(old, netplay.RESUME)
    talk.wait(2)
    assert talk.got(new) == []


def test_a_newer_one_that_comes_into_a_pause_is_held_too() -> None:
    talk, first, _ = legacy_pair()
    talk.say(first, netplay.pause("first"))
    new = talk.join("new")
    (sync,) = [body for number, body in talk.got(new) if number == SYNC]
    assert words_of(sync[4:8]) == (3,)
    talk.wait(1)
    assert set(talk.kinds(new)) == {STALL}
    talk.leave(new)
    talk.wait(100)
    assert not talk.closed


def test_where_both_play_a_pause_ends_before_the_newer_one_would_leave() -> None:
    talk = Talk()
    old, other, new = talk.legacy("old"), talk.legacy("other"), talk.join("new")
    talk.say(old, state(0))
    talk.say(old, netplay.pause("old"))
    talk.wait(39)
    assert not talk.closed
    talk.wait(2)
    assert talk.closed == {old: "paused-too-long"}
    assert RESUME in talk.kinds(other)
    assert talk.player(new)["role"] == "playing"
