"""Savestates in another form: whatever becomes of one of them, those of other rooms are converted after it."""

from __future__ import annotations

import asyncio
import random
import zlib
from types import SimpleNamespace
from typing import Any

import pytest

from relay.coreless.conversion import Conversion
from relay.net.coreless_driver import CorelessDriver
from relay.net.poller import Poller
from relay.netplay import wire
from relay.spool import BLOCK, Blob, Spool

PLAIN = random.Random(7).randbytes(20_000)


def a_conversion(spool: Spool, inflate: bool) -> Conversion:
    body = zlib.compress(PLAIN) if inflate else PLAIN
    packet = wire.load_savestate_head(5, len(PLAIN), len(body)) + body
    return Conversion(packet, Blob(spool), 5, len(PLAIN), inflate, 1, [2])


def size_of(made: Conversion) -> int:
    while not made.step():
        pass
    return len(made.target)


@pytest.mark.parametrize("inflate", [True, False])
def test_memory_that_is_taken_away_at_the_last_byte_is_a_state_that_cannot_be_read(inflate: bool) -> None:
    spool = Spool(100 * BLOCK)
    size = size_of(a_conversion(spool, inflate))
    made = a_conversion(spool, inflate)
    spool.most = spool.held + size - 1
    spool.relieve = made.target.lose
    with pytest.raises(ValueError, match="no memory is left"):
        size_of(made)
    assert not made.target.ready


class Mistaken:
    """A conversion with a mistake of ours in it."""

    target = None

    def step(self) -> bool:
        raise RuntimeError("a mistake")


async def test_a_mistake_in_one_room_keeps_no_other_from_its_state(caplog: pytest.LogCaptureFixture) -> None:
    spool = Spool(100 * BLOCK)
    told: list[tuple[Any, str]] = []
    over = asyncio.Event()

    def converted(table: Any, made: Any, failure: str, now: float) -> list[Any]:
        told.append((made, failure))
        if len(told) == 2:
            over.set()
        return []

    board: Any = SimpleNamespace(converted=converted)
    loop = asyncio.get_running_loop()
    readiness = Poller(loop)
    hall = CorelessDriver(loop, readiness, board, lambda actions: None, loop.time, 1 << 20, 1 << 20, spool)
    mistaken: Any = Mistaken()
    good = a_conversion(spool, True)
    for port, made in enumerate([mistaken, good]):
        table: Any = SimpleNamespace(port=port, seats={1: None})
        hall.convert(table, made)
    try:
        async with asyncio.timeout(60):
            await over.wait()
    finally:
        readiness.close()
    assert dict(told) == {mistaken: "a mistake of the relay", good: ""}
    assert good.target.ready
    assert "a mistake" in caplog.text
