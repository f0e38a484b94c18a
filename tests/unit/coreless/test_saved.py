"""A room that is handed to the next program goes on there as it would have here."""

from __future__ import annotations

import copy
import dataclasses
import json

import pytest

from relay.coreless import CorelessRoom, CorelessSettings, snapshot
from relay.coreless.game import Game, Peer
from tests.support import netplay
from tests.support.coreless import SPECTATE, Talk, load, state

# What is kept in another form, or is nothing between two calls, or is of no use a second later.
OTHERWISE = {"framer", "stage", "header", "info", "nick", "held", "out", "parked", "waits", "took_at"}
OTHERWISE_GAME = {"settings", "peers", "synced", "master", "info", "state", "dirty", "ends", "gone", "quiet"}
OTHERWISE_GAME |= {"waits", "spool", "conversions", "events"}
# What is looked at anew: how far everybody came in the last seconds, what they have sent, how long half a state takes.
BEGINS_ANEW = {"progress", "work", "work_at", "state_begun", "state_since", "brought", "brings"}


def handed_over(talk: Talk) -> Talk:
    """Return the same talk with a room that went through JSON."""
    other = copy.copy(talk)
    other.streams, other.closed = talk.streams.copy(), talk.closed.copy()
    data = json.loads(json.dumps(talk.room.save()))
    other.room = CorelessRoom.restored(data, CorelessSettings(devices=(1,) * 16))
    return other


def test_nothing_is_forgotten() -> None:
    assert {field.name for field in dataclasses.fields(Peer)} == {*snapshot.PLAIN, *OTHERWISE, *BEGINS_ANEW}
    assert {field.name for field in dataclasses.fields(Game)} == {*snapshot.PLAIN_GAME, *OTHERWISE_GAME}


def test_a_game_in_every_stage_goes_on() -> None:
    talk = Talk()
    first, second = talk.two()
    knocking = talk.connect(netplay.client_header())
    talk.say(knocking, netplay.nick("knocking")[:13])
    watcher = talk.legacy("watcher", play=False)
    third = talk.join("third")
    talk.play(second, 10, 4)
    talk.say(second, SPECTATE)
    talk.say(first, netplay.pause("first"), load(10)[:50])
    other = handed_over(talk)
    assert other.room.status() == talk.room.status()
    assert other.room.next_deadline() == talk.room.next_deadline()
    for each in (talk, other):
        each.say(knocking, netplay.nick("knocking")[13:], netplay.info() * 2)
        each.say(first, state(10)[50:], netplay.RESUME)
        each.play(first, 10, 8)
        each.play(third, int(str(each.player(third)["frame"])), 8)
        each.leave(first)
        each.say(watcher, netplay.play())
        each.wait(3)
    assert other.streams == talk.streams
    assert other.closed == talk.closed
    assert other.room.save() == talk.room.save()


@pytest.mark.parametrize("change", [{"master": 77}, {"synced": [5]}, {"peers": [{}]}, {"devices": None}])
def test_what_is_broken_is_not_believed(change: dict[str, object]) -> None:
    talk = Talk()
    talk.two()
    with pytest.raises((KeyError, TypeError, ValueError)):
        CorelessRoom.restored(talk.room.save() | change, CorelessSettings())
