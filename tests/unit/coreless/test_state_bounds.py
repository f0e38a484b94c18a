"""The bounds of savestates: how long one may arrive, how large a later one may be, and what becomes of lost ones."""

from __future__ import annotations

import json
import os
import zlib
from typing import TYPE_CHECKING

import pytest

from relay.coreless import Conversion, CorelessRoom, CorelessSettings, Send
from relay.coreless.savestates import MORE, MOST_MISFITS, TIMES
from relay.spool import BLOCK, Spool
from tests.support import netplay
from tests.support.coreless import LOAD, Talk, state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relay.coreless import Action

MIB = 1024 * 1024
RAW = 5070  # of the room's first state, by which all later ones are measured
UNCOMPRESSED = b"RANP" + netplay.words(0x00040008, 0, 6, 5, netplay.RA_1_14)
LIMIT = CorelessSettings().state_arrives_seconds


def alone_with_a_watcher() -> tuple[Talk, int]:
    """Return a game in which a state is wanted, and its master."""
    talk = Talk()
    first = talk.join("first")
    talk.play(first, 0, 20)
    talk.join("watcher", play=False)
    return talk, first


def bring(talk: Talk, key: int, size: int, seconds: float) -> None:
    """Let a player send some bytes of a savestate that it has begun, evenly."""
    for _ in range(int(seconds * 10)):
        if key in talk.closed:
            return
        talk.say(key, bytes(int(size / seconds / 10)))
        talk.wait(0.1)


def head(size: int) -> bytes:
    """Return the beginning of a savestate of so many bytes."""
    return netplay.command(LOAD, netplay.words(20, size) + bytes(size))[:16]


def test_half_a_state_has_a_time_limit_at_whatever_pace_it_comes() -> None:
    talk, first = alone_with_a_watcher()
    talk.say(first, head(64 * MIB))
    bring(talk, first, 20 * MIB, LIMIT - 1)
    assert not talk.closed
    bring(talk, first, MIB, 2)
    assert talk.closed == {first: "broke-protocol"}


def test_each_state_has_a_limit_of_its_own() -> None:
    talk, first = alone_with_a_watcher()
    for _ in range(2):
        talk.say(first, head(16 * MIB))
        bring(talk, first, 15 * MIB, LIMIT - 15)
        talk.say(first, bytes(talk.room.appetite(first)))
    talk.say(first, head(16 * MIB))
    bring(talk, first, 15 * MIB, LIMIT - 15)
    assert not talk.closed


@pytest.mark.parametrize(
    ("raw", "taken"),
    [(RAW - 20, True), (TIMES * RAW + MORE, True), (TIMES * RAW + MORE + 1, False), (64 * MIB, False)],
)
def test_a_state_of_another_size_is_the_rooms_after_many_in_a_row_and_no_much_larger_one_ever(
    raw: int, taken: bool
) -> None:
    talk = Talk()
    first, second = talk.two()
    for number in range(3 * MOST_MISFITS):
        talk.say(first, state(10, raw_size=raw))
        if LOAD in talk.kinds(second):
            assert taken
            assert number == MOST_MISFITS
            break
    else:
        assert not taken
    assert not talk.closed


def test_many_of_another_size_that_are_not_in_a_row_change_nothing() -> None:
    talk = Talk()
    first, second = talk.two()
    for _ in range(3):
        for _ in range(MOST_MISFITS - 1):
            talk.say(first, state(10, raw_size=RAW - 20))
        assert LOAD not in talk.kinds(second)
        talk.say(first, state(10))
        assert LOAD in talk.kinds(second)


def test_who_has_its_arriving_state_taken_away_is_overrun() -> None:
    talk, first = alone_with_a_watcher()
    talk.say(first, head(64 * MIB), bytes(MIB))
    ((_, blob),) = talk.room.held()
    blob.lose()
    talk.say(first, bytes(100))
    assert talk.closed == {first: "overrun"}


def test_who_sends_a_state_for_which_there_is_no_memory_is_overrun() -> None:
    talk, first = alone_with_a_watcher()
    talk.room.game.spool.blocks = 3
    talk.say(first, head(64 * MIB), bytes(4 * BLOCK))
    assert talk.closed == {first: "overrun"}


class Slow(Talk):
    """A talk in which states are converted when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[Conversion] = []

    def do(self, actions: Sequence[Action]) -> None:
        """Leave out what is sent when it is converted."""
        super().do([action for action in actions if not isinstance(action, Send) or len(action.data)])

    def convert(self, conversion: Conversion) -> None:
        """Keep a conversion for later."""
        self.made.append(conversion)

    def finish(self, made: Conversion) -> None:
        """Do the rest of a conversion."""
        super().convert(made)
        while self.later:
            self.do(self.room.converted(*self.later.pop(), self.now))


def converting(raw: bytes, *, inflate: bool) -> tuple[Slow, int, int]:
    """Return a game whose master's state is to be sent to somebody in another form."""
    talk = Slow()
    headers = (netplay.client_header(), UNCOMPRESSED) if inflate else (UNCOMPRESSED, netplay.client_header())
    first, second = talk.join("first", headers[0]), talk.join("second", headers[1])
    talk.say(first, state(0, zlib.compress(raw) if inflate else raw, len(raw)))
    assert len(talk.made) == 1
    return talk, first, second


@pytest.mark.parametrize("failure", ["memory", "the state itself"])
def test_who_is_to_blame_for_a_state_that_could_not_be_converted(failure: str) -> None:
    talk, first, second = converting(os.urandom(200_000), inflate=True)
    (made,) = talk.made
    if failure == "memory":
        made.step()
        made.target.lose()
    else:
        made.raw_size += 1
    talk.finish(made)
    assert talk.closed[first] == ("overrun" if failure == "memory" else "broke-protocol")
    assert talk.closed[second] == "no-state"


@pytest.mark.parametrize("inflate", [True, False])
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_a_conversion_begins_anew_in_the_next_program_and_its_state_is_whole(steps: int, inflate: bool) -> None:
    raw = os.urandom(200_000)
    talk, _, _ = converting(raw, inflate=inflate)
    (made,) = talk.made
    for _ in range(steps):
        assert not made.step()
    old = talk.room.game.spool
    saved, spool = old.save(), Spool(old.most)
    data = json.loads(json.dumps(talk.room.save()))
    spool.restore({**saved, "fd": os.dup(saved["fd"])})
    room = CorelessRoom.restored(data, CorelessSettings(), spool=spool)
    spool.restored()
    (again,) = room.game.conversions
    before = spool.held
    while not again.step():
        pass
    body = bytes(again.target)[16:]
    assert (body if inflate else zlib.decompress(body)) == raw
    assert again.target.ready
    assert spool.held == before + len(again.target), "what the earlier program had begun is not counted any more"
    assert room.converted(again, "", talk.now) is not None
    assert not room.game.conversions
