"""How a simulated client goes through its frames: what it sends when, when it waits, and when it gives up."""

from __future__ import annotations

import struct
import zlib

import pytest

from tests.support import netplay as np
from tests.support.netplay import kinds
from tests.support.netplay.endings import How
from tests.support.netplay.machine import Machine
from tests.support.netplay.script import Script, sync_five

ASK = np.REQUEST_SAVESTATE


def commands(data: bytes) -> list[tuple[int, tuple[int, ...]]]:
    """Return numbers and first words."""
    found = []
    while data:
        number, size = struct.unpack_from(">2I", data)
        body, data = data[8 : 8 + size], data[8 + size :]
        found.append((number, struct.unpack_from(f">{min(len(body), 12) // 4}I", body)))
    return found


def clock(script: Script, first: int, last: int) -> None:
    """Give the client frames of player 1, one in a frame."""
    for frame in range(first, last):
        script.say(np.game_input(frame, 1) + np.no_input(frame))


def test_it_begins_to_play_with_nothing_pressed_at_exactly_the_frame_of_its_mode() -> None:
    script = Script(kinds.RA_1_14, buttons=lambda frame: frame).steps(4)
    script.heard()
    clock(script, 10, 13)
    script.say(np.mode(frame=13, number=2))
    script.frames(1)
    here = script.game.here
    sent = [words for number, words in commands(script.heard()) if number == 3]
    assert sent == [(13, 2, 0), *((frame, 2, frame) for frame in range(14, here))]


def test_who_watches_never_runs_ahead_and_leaves_after_ten_seconds_without_frames() -> None:
    script = Script(kinds.RA_1_9_14, spectator=True).steps(4)
    script.pass_time(9)
    assert script.client.ending is None
    assert script.game.here == 10
    clock(script, 10, 20)
    script.frames(2)
    assert script.game.here == 20
    script.pass_time(11)
    assert script.client.ending is not None
    assert script.client.ending.how is How.STALLED


def test_a_player_runs_sixty_frames_ahead_and_leaves_after_ten_seconds_more() -> None:
    script = Script(kinds.RA_1_9_14).playing()
    script.pass_time(3)
    assert script.game.here == 70
    script.pass_time(7)
    assert script.client.ending is None
    script.pass_time(2)
    assert script.client.ending is not None
    assert script.client.ending.how is How.STALLED


@pytest.mark.parametrize(("kind", "wakes"), [(kinds.RA_1_9_14, True), (kinds.RA_1_14, False)])
def test_pause_holds_everybody_but_only_older_releases_wake_from_it(kind: kinds.Kind, wakes: bool) -> None:
    script = Script(kind).playing()
    script.say(np.pause("player"))
    here = script.game.here
    script.pass_time(60)
    assert script.client.ending is None, "it does not give up while it is paused"
    assert script.game.here == here
    script.say(np.RESUME)
    script.frames(5)
    assert (script.game.here > here) == wakes


def test_sync_can_say_that_the_game_is_paused() -> None:
    script = Script(kinds.RA_1_9_14).steps(3)
    script.say(sync_five(paused=True))
    assert script.game.remote_paused


def test_stall_holds_for_its_frames_and_a_second_one_adds_nothing() -> None:
    script = Script(kinds.RA_1_14).playing()
    here = script.game.here
    script.say(np.command(0x45, np.words(20)))
    script.say(np.command(0x45, np.words(60)))
    script.frames(18)
    assert script.game.here <= here + 1
    script.frames(10)
    assert script.game.here > here + 5


def test_stall_again_and_again_lets_it_creep_on_and_then_leave() -> None:
    script = Script(kinds.RA_1_14).playing()
    for _ in range(60 * 25):
        script.say(np.command(0x45, np.words(60)))
    assert script.client.ending is None
    assert 20 < script.game.here - 10 < 60
    for _ in range(60 * 50):
        script.say(np.command(0x45, np.words(60)))
    assert script.client.ending is not None
    assert script.client.ending.how is How.STALLED


def test_a_state_is_given_before_the_input_of_its_frame_and_makes_older_inputs_void() -> None:
    script = Script(kinds.RA_1_9_14).playing()
    script.frames(6)
    script.heard()
    script.say(ASK)
    script.frames(1)
    sent = [(number, words[0]) for number, words in commands(script.heard())]
    frame = script.game.here - 1
    assert sent[-2:] == [(0x42, frame), (3, frame)]
    assert script.game.server == frame
    script.say(*[np.game_input(old, 1) + np.no_input(old) for old in range(10, frame)])
    assert script.client.ending is None
    assert script.game.server == frame


def test_a_state_moves_one_who_is_behind_and_takes_back_one_who_is_ahead() -> None:
    state = zlib.compress(Machine().save((7, 7)))
    ahead, behind = Script(kinds.RA_1_14).playing(), Script(kinds.RA_1_14).playing()
    ahead.frames(30)
    ahead.say(np.command(0x42, np.words(10, 96) + state))
    assert ahead.game.here == 43 - 1
    assert ahead.client.timeline.epoch == ("state", 10, (7, 7))
    behind.heard()
    behind.say(*[np.no_input(frame) for frame in range(10, 40)])
    behind.say(np.command(0x42, np.words(40, 96) + state))
    behind.frames(2)
    assert behind.client.ending is None
    assert (3, 40) in [(number, words[0]) for number, words in commands(behind.heard())]


def test_its_buffer_has_room_for_sixty_two_frames_and_what_does_not_fit_waits() -> None:
    script = Script(kinds.RA_1_14).playing()
    script.client.frozen = True
    for frame in range(10, 100):
        script.client.feed(np.game_input(frame, 1) + np.no_input(frame))
    script.client.frozen = False
    script.frames(1)
    here = script.game.here
    assert here < script.game.server <= here + 62
    assert script.client.unread()
    script.frames(120)
    assert script.game.server == 100
    assert not script.client.unread()


def test_who_watches_may_be_told_so_only_after_its_own_wish() -> None:
    script = Script(kinds.RA_1_14).playing()
    assert script.client.toggle()
    script.say(np.mode(frame=12, number=2, playing=False, you=True))
    assert script.client.ending is None
    assert not script.client.playing


def test_pauses_are_announced_and_a_modern_client_can_be_asked_not_to() -> None:
    script = Script(kinds.RA_1_14).playing()
    script.heard()
    assert script.client.pause()
    script.frames(3)
    assert script.heard() == np.pause("friend")
    script.client.resume()
    script.frames(1)
    assert script.heard().startswith(np.RESUME)
    script.say(np.command(0x2000, np.words(0)))
    assert not script.client.pause()


def test_all_reset_and_older_releases_load_states_which_go_out_twice() -> None:
    old, new = Script(kinds.RA_1_9_14).playing(), Script(kinds.RA_1_14).playing()
    old.heard()
    assert old.client.load_state((3, 3), 64)
    assert old.client.reset()
    sent = [(number, words[:2]) for number, words in commands(old.heard())]
    here = old.game.here
    assert sent == [(0x42, (here, 96)), (0x42, (here, 64)), (0x46, (here,))]
    assert not new.client.load_state((3, 3))
    assert new.client.reset()
