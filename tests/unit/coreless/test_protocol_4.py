"""RetroArch 1.7.0 and older: another header, other sizes, one release in a room."""

from __future__ import annotations

import pytest

from tests.support import netplay
from tests.support.coreless import (
    ASK,
    INFO,
    INPUT,
    LOAD,
    MODE,
    NICK,
    NOINPUT,
    RESET,
    SYNC,
    Talk,
    frames,
    state,
    words_of,
)

RELEASE = 0x241
HEADER = netplay.words(RELEASE, 0x00040008, 1, 0)
PLAY = netplay.command(0x25)
SPECTATE = 0x24


def enter(talk: Talk, name: str, header: bytes = HEADER, play: bool = True) -> int:
    """Join as 1.7.0; return the key."""
    key = talk.connect(header)
    if key not in talk.closed:
        assert talk.streams[key][:16] == header
        talk.streams[key] = talk.streams[key][16:]
        talk.say(key, netplay.nick(name))
        talk.say(key, netplay.old_info())
        talk.say(key, netplay.old_info())
        if play:
            talk.say(key, PLAY)
    return key


def old_input(frame: int, player: int, word: int = 0) -> bytes:
    """Return INPUT of protocol 4."""
    return netplay.command(INPUT, netplay.words(frame, player, word, 0, 0))


def test_two_of_one_release_play_in_step() -> None:
    talk = Talk()
    first = enter(talk, "first")
    got = talk.got(first)
    assert [(number, len(body)) for number, body in got] == [(NICK, 32), (INFO, 0), (INFO, 68), (SYNC, 108), (MODE, 8)]
    assert words_of(got[3][1][:76]) == (0, 0, 0, *[5] * 16)
    assert words_of(got[4][1]) == (0, 1 << 16 | 1 << 17)
    talk.say(first, old_input(0, 0))
    second = enter(talk, "second")
    (sync,) = [body for number, body in talk.got(second) if number == SYNC]
    assert words_of(sync[:8]) == (1, 0b1)
    assert ASK in talk.kinds(first)
    talk.say(first, state(1))
    got = talk.got(second)
    assert [number for number, _ in got] == [LOAD, MODE]
    assert words_of(got[1][1]) == (1, 1 << 16 | 1 << 17 | 1)
    assert words_of(talk.got(first)[-1][1]) == (1, 1 << 17 | 1)
    talk.say(second, old_input(1, 9, 77))
    talk.say(first, old_input(1, 0, 5))
    assert talk.got(first) == [(INPUT, netplay.words(1, 1, 77, 0, 0)), (NOINPUT, netplay.words(1))]
    assert frames(talk.got(second), INPUT) == [1]


def test_who_watches_is_on_nobodys_map() -> None:
    talk = Talk()
    first = enter(talk, "first")
    enter(talk, "watcher", play=False)
    talk.say(first, state(0))
    third = enter(talk, "third")
    (sync,) = [body for number, body in talk.got(third) if number == SYNC]
    assert words_of(sync[:8]) == (0, 0b1)


def test_another_release_and_another_protocol_are_refused() -> None:
    talk = Talk()
    enter(talk, "first")
    assert talk.closed.get(enter(talk, "other", netplay.words(0x251, 0, 1, 0))) == "other-protocol"
    assert talk.closed.get(talk.connect(netplay.client_header())) == "other-protocol"
    talk = Talk()
    talk.join("newer")
    assert talk.closed.get(enter(talk, "old")) == "other-protocol"


def test_nobody_comes_in_after_the_first_has_gone_but_the_others_play_on() -> None:
    talk = Talk()
    first, second = enter(talk, "first"), enter(talk, "second")
    talk.say(first, state(0))
    talk.leave(first)
    talk.say(second, old_input(0, 1), old_input(1, 1))
    assert talk.room.status()["frame"] == 2
    assert talk.closed.get(enter(talk, "third")) == "other-protocol"


@pytest.mark.parametrize("who", ["first", "second"])
@pytest.mark.parametrize("said", [netplay.command(RESET, netplay.words(2)), state(2)], ids=["reset", "load"])
def test_the_first_may_watch_once_all_have_again_what_it_has(said: bytes, who: str) -> None:
    talk = Talk()
    first, second = enter(talk, "first"), enter(talk, "second")
    talk.say(first, state(0))
    for frame in range(2):
        talk.say(second, old_input(frame, 1))
        talk.say(first, old_input(frame, 0))
    talk.got(first), talk.got(second)
    talk.say({"first": first, "second": second}[who], said)
    talk.wait(0.2)
    if ASK in talk.kinds(first):
        talk.say(first, state(2))
    talk.say(first, old_input(2, 0))
    talk.wait(1)
    talk.say(first, netplay.command(SPECTATE))
    talk.say(second, old_input(2, 1), old_input(3, 1))
    talk.wait(2)
    assert talk.closed == {}
    assert (talk.player(first)["role"], talk.player(second)["role"]) == ("watching", "playing")


def test_who_has_another_game_for_good_is_out() -> None:
    talk = Talk()
    first, second = enter(talk, "first"), enter(talk, "second")
    talk.say(first, state(0))
    talk.say(second, netplay.command(RESET, netplay.words(0)))
    talk.say(first, netplay.command(SPECTATE))
    talk.wait(1)
    assert talk.closed == {second: "no-state"}
