"""Users of RetroArch 1.21 and newer load a state: one LOAD_SAVESTATE with that from before, then the load."""

from __future__ import annotations

import json

import pytest

from relay.coreless import CorelessRoom, CorelessSettings
from relay.coreless.savestates import LOADS_LATE
from relay.netplay.releases import implementation
from tests.support import netplay
from tests.support.coreless import ASK, LOAD, Talk, load, state

NEW = netplay.client_header(implementation("1.22.2", 7), 7)
BEFORE, LOADED = b"from before the load", b"what was loaded"


def two(first: bytes | None, second: bytes | None) -> tuple[Talk, int, int]:
    """Return a game of two who are at frame 10, with these headers."""
    talk = Talk()
    one = talk.join("first", first)
    talk.play(one, 0, 10)
    other = talk.join("second", second)
    talk.say(one, state(10))
    talk.wait(0.2)
    talk.got(one), talk.got(other)
    return talk, one, other


def states(talk: Talk, key: int) -> list[bytes]:
    """Return the savestates a client was sent."""
    return [body[8:] for number, body in talk.got(key) if number == LOAD]


@pytest.mark.parametrize("old", [None, netplay.client_header(netplay.RA_1_9_14, 0), NEW], ids=["1.14", "1.9", "1.22"])
def test_what_the_master_loads_reaches_all(old: bytes | None) -> None:
    talk, first, second = two(NEW, old)
    talk.say(first, load(10, BEFORE))
    talk.play(first, 10)
    assert states(talk, second) == [], "that is what they have already"
    talk.wait(0.2)
    assert talk.kinds(first).count(ASK) == 1
    # It may still be reading its file.
    talk.say(first, load(11, BEFORE))
    talk.play(first, 11)
    talk.wait(1.0)
    assert talk.kinds(first).count(ASK) == 1
    talk.say(first, load(12, LOADED))
    talk.play(first, 12)
    assert states(talk, second)[-1] == LOADED
    talk.wait(5)
    assert ASK not in talk.kinds(first), "once more is enough"


def test_a_load_that_crosses_a_request_is_asked_for_again() -> None:
    talk, first, second = two(NEW, None)
    third = talk.join("third", NEW)
    assert talk.kinds(first).count(ASK) == 1
    # The user loads in this moment; then comes the answer, which may be of before the load too.
    talk.say(first, load(10, BEFORE))
    talk.play(first, 10)
    talk.say(first, load(11, BEFORE))
    talk.play(first, 11)
    talk.wait(1.2)
    assert ASK in talk.kinds(first)
    talk.say(first, load(12, LOADED))
    talk.play(first, 12)
    talk.wait(2)
    if ASK in talk.kinds(first):
        talk.say(first, load(13, LOADED))
        talk.play(first, 13)
    for key in (second, third):
        assert states(talk, key)[-1] == LOADED
    assert talk.closed == {}


def test_an_upgrade_of_the_relay_forgets_no_load() -> None:
    talk, first, _ = two(NEW, None)
    talk.say(first, load(10, BEFORE))
    saved = json.loads(json.dumps(talk.room.save()))
    room = CorelessRoom.restored(saved, CorelessSettings())
    assert room.game.state.again_at == talk.room.game.state.again_at is not None


def test_who_plays_alone_loads_what_it_likes() -> None:
    talk = Talk()
    alone = talk.join("alone", NEW)
    talk.play(alone, 0, 10)
    talk.got(alone)
    talk.say(alone, load(10, BEFORE))
    talk.play(alone, 10)
    talk.wait(3)
    assert ASK not in talk.kinds(alone)


@pytest.mark.parametrize("ahead", [0, 5, 40], ids="{} frames ahead of the clock".format)
def test_a_client_is_sent_no_state_of_a_frame_that_it_has_passed(ahead: int) -> None:
    talk, first, second = two(None, NEW)
    if ahead:
        talk.play(second, 10, ahead)
    talk.say(second, load(10 + ahead, BEFORE))
    # By now it is further than it said.
    talk.play(second, 10 + ahead, 15)
    frame = 10
    while ASK not in talk.kinds(first):
        talk.play(first, frame)
        talk.wait(1 / 60)
        frame += 1
        assert frame < 300, "it is asked for at last"
    assert frame >= 10 + ahead + LOADS_LATE
    talk.got(second)
    talk.say(first, state(frame))
    (got,) = [body for number, body in talk.got(second) if number == LOAD]
    assert int.from_bytes(got[:4], "big") >= 10 + ahead + 15


def test_an_older_client_need_not_be_waited_for() -> None:
    talk, first, second = two(None, None)
    talk.play(second, 10, 5)
    talk.say(second, state(15))
    talk.play(first, 10, 5)
    assert ASK in talk.kinds(first)
