"""Who plays, who watches, who keeps time: coming and going in a core-less room."""

from __future__ import annotations

import pytest

from relay.coreless import CorelessSettings
from tests.support import netplay
from tests.support.coreless import (
    ASK,
    INPUT,
    LOAD,
    MODE,
    NOINPUT,
    PLAY,
    REFUSED,
    SPECTATE,
    SYNC,
    Talk,
    frames,
    load,
    state,
    words_of,
)

Mode = tuple[int, int, int]


def modes(commands: list[tuple[int, bytes]]) -> list[Mode]:
    """Return frame, bits with number, and pads of every MODE."""
    return [
        (words[0], words[1], words[2]) for number, body in commands if number == MODE for words in [words_of(body[:12])]
    ]


def test_when_the_master_leaves_another_keeps_time_from_the_same_frame() -> None:
    talk = Talk()
    first, second = talk.two()
    talk.play(second, 10, 5)
    talk.leave(first)
    got = talk.got(second)
    assert modes(got) == [(10, 1, 0)]
    assert frames(got, NOINPUT) == [10, 11, 12, 13, 14]
    assert talk.room.status()["master"] == 2


def test_the_one_who_is_furthest_keeps_time_and_those_behind_lose_nothing() -> None:
    talk = Talk()
    first = talk.join("first")
    second, third = talk.join("second"), talk.join("third")
    talk.say(first, state(0))
    talk.play(first, 0, 20)
    talk.play(second, 0, 5)
    talk.play(third, 0, 12)
    talk.leave(first)
    assert talk.room.status()["master"] == talk.number(third)
    talk.got(second), talk.got(third)
    talk.play(third, 12, 10)
    talk.play(second, 5, 20)
    assert frames(talk.got(third), INPUT) == list(range(5, 22))
    assert frames(talk.got(second), INPUT) == list(range(12, 22))
    assert not talk.closed


def test_a_state_that_was_awaited_is_asked_of_the_next_master() -> None:
    talk = Talk()
    first, second = talk.two()
    third = talk.join("third")
    talk.leave(first)
    talk.wait(0.2)
    assert ASK in talk.kinds(second)
    talk.got(third)
    talk.say(second, state(10))
    assert talk.kinds(third) == [LOAD, MODE]


def test_a_jump_that_a_leaving_master_should_have_undone_is_undone_by_the_next() -> None:
    talk = Talk()
    first, second = talk.two()
    third = talk.join("third")
    talk.say(first, state(10))
    talk.wait(0.2)
    talk.say(third, load(10), load(10))
    assert ASK in talk.kinds(first)
    talk.got(second)
    talk.leave(first)
    talk.wait(0.2)
    assert ASK in talk.kinds(second)


def test_a_master_that_lags_the_clock_is_asked_when_it_has_caught_up() -> None:
    talk = Talk()
    first, second = talk.two()
    talk.play(first, 10, 30)
    talk.leave(first)
    third = talk.join("third")
    talk.got(second)
    talk.play(second, 10, 29)
    assert ASK not in talk.kinds(second)
    talk.play(second, 39)
    assert ASK in talk.kinds(second)
    talk.say(second, state(40))
    assert talk.player(third)["role"] == "playing"


def test_who_stops_playing_is_told_at_once_and_the_others_when_all_is_out() -> None:
    talk = Talk()
    first, second = talk.two()
    talk.play(second, 10, 3)
    talk.say(second, SPECTATE)
    assert modes(talk.got(second)) == [(13, 0x80000002, 0)]
    assert talk.got(first) == []
    talk.play(first, 10, 3)
    got = talk.got(first)
    assert frames(got, INPUT) == [10, 11, 12]
    assert modes(got) == [(13, 2, 0)]
    assert got[-1][0] == MODE


def test_who_comes_while_somebody_stops_is_promised_what_will_come_and_no_more() -> None:
    talk = Talk()
    first, second = talk.two()
    talk.play(second, 10, 3)
    talk.say(second, SPECTATE)
    watcher = talk.join("watcher", play=False)
    (sync,) = [body for number, body in talk.got(watcher) if number == SYNC]
    assert words_of(sync[88:96]) == (1 << 1, 1 << 2)
    talk.say(first, state(10))
    talk.play(first, 10, 3)
    assert modes(talk.got(watcher)) == [(13, 2, 0)]
    late = talk.join("late", play=False)
    (sync,) = [body for number, body in talk.got(late) if number == SYNC]
    assert words_of(sync[88:96]) == (1 << 1, 0)


def test_a_spectator_is_no_player_in_anybodys_map() -> None:
    talk = Talk()
    first = talk.join("first")
    talk.join("watcher", play=False)
    talk.say(first, state(0))
    third = talk.join("third")
    (sync,) = [body for number, body in talk.got(third) if number == SYNC]
    assert words_of(sync[88:152]) == (1 << 1, *[0] * 15)


def test_a_room_without_players_keeps_even_time_for_those_who_watch() -> None:
    talk = Talk()
    first, second = talk.two()
    talk.say(second, SPECTATE)
    talk.say(first, SPECTATE)
    talk.got(first), talk.got(second)
    talk.wait(10)
    got = frames(talk.got(second), NOINPUT)
    assert 595 <= len(got) <= 605
    assert got == list(range(10, 10 + len(got)))
    # Who plays again keeps time, and everybody gets that game.
    talk.say(second, PLAY)
    frame = talk.room.status()["frame"]
    got = talk.got(second)
    assert modes(got) == [(frame, 0xC0000002, 1)]
    assert got[-1][0] == ASK
    talk.play(second, frame, 1)
    talk.say(second, state(frame + 1))
    assert LOAD in talk.kinds(first)


def test_time_stands_still_while_the_first_players_wish_is_on_its_way() -> None:
    talk = Talk()
    first = talk.join("first", play=False)
    talk.wait(0.9)
    assert NOINPUT not in talk.kinds(first)
    talk.say(first, PLAY)
    assert modes(talk.got(first)) == [(0, 0xC0000001, 1)]
    talk.wait(5)
    assert talk.got(first) == []


def test_a_pad_that_was_given_up_is_given_again_and_numbers_leave_no_holes() -> None:
    talk = Talk()
    first, second = talk.two()
    third = talk.join("third")
    talk.say(first, state(10))
    talk.leave(second)
    fourth = talk.join("fourth")
    talk.say(first, state(10))
    pads = {player["nick"]: (player["number"], player["pads"]) for player in talk.room.status()["players"]}
    assert pads == {"first": (1, [1]), "third": (3, [3]), "fourth": (2, [2])}
    assert talk.player(third)["player"] == 3
    assert talk.player(fourth)["player"] == 2


def test_who_finds_no_pad_watches() -> None:
    talk = Talk(CorelessSettings(pads=2))
    first, _ = talk.two()
    third = talk.join("third")
    talk.got(third)
    talk.say(first, state(10))
    assert talk.got(third)[-1] == (REFUSED, netplay.words(2))
    talk.play(first, 10, 3)
    assert frames(talk.got(third), NOINPUT) == [10, 11, 12]


def test_a_wish_for_a_pad_is_granted_if_it_is_free() -> None:
    talk = Talk()
    first = talk.join("first", play=False)
    talk.say(first, netplay.command(0x25, netplay.words(1 << 2)))
    second = talk.join("second", play=False)
    talk.say(second, netplay.command(0x25, netplay.words(0x00010000 | 1 << 2)))
    talk.say(first, state(0))
    assert (talk.player(first)["pads"], talk.player(second)["pads"]) == ([3], [1])


def test_a_second_wish_changes_nothing() -> None:
    talk = Talk()
    first, second = talk.two()
    talk.say(second, PLAY)
    assert talk.got(first) == talk.got(second) == []


@pytest.mark.parametrize("master_freezes", [True, False])
def test_a_frozen_player_is_dropped_alone(master_freezes: bool) -> None:
    talk = Talk()
    first, second = talk.two()
    third = talk.join("third")
    talk.say(first, state(10))
    frozen, *others = (first, second, third) if master_freezes else (second, first, third)
    for other in others:
        talk.play(other, 10, 60)
    talk.wait(7)
    assert talk.closed == {frozen: "frozen"}
    for other in others:
        talk.play(other, 70, 5)
    assert talk.room.status()["frame"] == 75


def test_nobody_is_dropped_for_a_time_in_which_the_relay_itself_stood_still() -> None:
    talk = Talk()
    first, second = talk.two()
    knocking = talk.connect(netplay.client_header())
    talk.play(first, 10, 60)
    talk.now += 30
    talk.do(talk.room.tick(talk.now))
    talk.wait(1)
    assert not talk.closed
    talk.play(second, 10, 60)
    talk.play(first, 70, 60)
    talk.wait(7)
    assert talk.closed[second] == "frozen"
    assert knocking not in talk.closed
    talk.wait(10)
    assert talk.closed[knocking] == "no-handshake"


def test_a_slow_player_and_a_silent_room_are_nobodys_fault() -> None:
    talk = Talk()
    first, second = talk.two()
    talk.play(first, 10, 40)
    talk.wait(30)
    talk.play(second, 10, 5)
    talk.play(first, 50, 15)
    talk.wait(4)
    assert not talk.closed


def test_a_client_that_says_no_or_goodbye_is_taken_at_its_word() -> None:
    talk = Talk()
    first, second = talk.two()
    talk.say(second, netplay.command(1))
    assert talk.closed == {second: "gave-up"}
    talk.say(first, netplay.command(2))
    assert talk.closed[first] == "left"
    assert talk.room.empty
