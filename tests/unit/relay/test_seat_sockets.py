"""The sockets of those who sit in a core-less session, where what happens to one is no matter of the others."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from relay.net.player_sockets import READ_OF_STATE, SLEPT, PlayerSocket, PlayerSockets
from relay.net.poller import Poller
from relay.outcomes import Outcome
from relay.spool import BLOCK, PACE_SECONDS, Backlog, Blob, Spool
from relay.switchboard.connection import Conn, State
from tests.unit.relay.test_forward import tcp_pair

BOUND = 60.0
# An abrupt end: what is left is thrown away, and the other side is sent a reset.
ABRUPT = struct.pack("ii", 1, 0)


@dataclass
class Bench:
    """One seat, the other end of its socket, and what was told of it."""

    seats: PlayerSockets
    seat: PlayerSocket
    player: socket.socket
    spool: Spool
    ended: list[Outcome | None] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    looks: int = 0

    async def until_over(self) -> None:
        async with asyncio.timeout(BOUND):
            await self.over.wait()


@contextlib.asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    readiness = Poller(asyncio.get_running_loop())
    spool = Spool(100 * BLOCK)
    made: list[Bench] = []

    def ended(conn: Conn, outcome: Outcome | None) -> None:
        made[0].ended.append(outcome)
        made[0].seats.release(conn).sock.close()
        made[0].over.set()

    seats = PlayerSockets(asyncio.get_running_loop(), readiness, lambda *_: None, ended, 1 << 20, 1 << 20, spool)
    player, sock = tcp_pair()
    sock.setblocking(False)
    conn = Conn(ipaddress.ip_address("203.0.113.7"), 1, 1, True, 0.0, State.SEATED)
    made.append(Bench(seats, seats.add(conn, sock), player, spool))

    def looked(seat: PlayerSocket) -> None:
        made[0].looks += 1
        seats._ready(seat)

    readiness._told[sock.fileno()] = looked, made[0].seat
    try:
        yield made[0]
    finally:
        player.close()
        if not made[0].over.is_set():
            ended(conn, None)
        readiness.close()
    assert seats._waiting == 0


@pytest.mark.parametrize("waits", [True, False])
async def test_who_is_not_read_and_hangs_up_abruptly_is_gone_at_once(waits: bool) -> None:
    """The kernel would tell of it for as long as the rest lasts, and nobody would hear."""
    async with bench() as b:
        if waits:
            while not b.seat.waiting:
                b.seats.send(b.seat, bytes(READ_OF_STATE))
        b.seats.rest(b.seat.conn, BOUND)
        b.player.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABRUPT)
        b.player.close()
        await b.until_over()
        assert b.ended == [None]
        assert b.looks <= 2


async def test_who_is_not_read_and_hangs_up_is_read_to_the_end_first() -> None:
    async with bench() as b:
        b.seats.rest(b.seat.conn, 0.2)
        b.player.send(b"last words")
        b.player.close()
        await b.until_over()
        assert b.seat.received == len(b"last words")


@pytest.mark.parametrize("blocks", [0, 1, 3])
async def test_where_no_block_is_left_who_would_miss_something_goes(blocks: int) -> None:
    async with bench() as b:
        b.seat.out = Backlog(b.spool, 0.0)
        b.seat.out.add_blob(Blob(b.spool))  # it is not whole, so all that comes behind it waits
        b.spool.blocks = blocks
        b.seats.send(b.seat, bytes((blocks + 1) * BLOCK))
        assert b.seat.waiting == b.spool.held == 0
        await b.until_over()
        assert b.ended == [Outcome.OVERRUN]


# Who reads too slowly, by a clock that the test moves.


@pytest.mark.parametrize(("pause", "over"), [(0.5, True), (SLEPT + 30, False)], ids=["awake", "asleep"])
async def test_a_time_in_which_the_relay_slept_counts_against_nobody(pause: float, over: bool) -> None:
    async with bench() as b:
        now = 1000.0
        b.seats._clock = lambda: now
        while b.seat.waiting < 4 * READ_OF_STATE:
            b.seats.send(b.seat, bytes(READ_OF_STATE))
        b.seats._slow = READ_OF_STATE
        for _ in range(int(2 * PACE_SECONDS / pause) + 2):
            b.seats.sweep()
            now += pause
        await asyncio.sleep(0)
        assert b.ended == ([Outcome.OVERRUN] if over else [])


async def test_after_a_sleep_the_relay_looks_again_for_as_long_as_ever() -> None:
    async with bench() as b:
        now = 1000.0
        b.seats._clock = lambda: now
        while b.seat.waiting < 4 * READ_OF_STATE:
            b.seats.send(b.seat, bytes(READ_OF_STATE))
        b.seats._slow = READ_OF_STATE
        b.seats.sweep()
        now += 60
        b.seats.sweep()
        begun = now
        while not b.seat.broken and now < begun + 60:
            now += 0.5
            b.seats.sweep()
        assert now - begun == PACE_SECONDS
        await b.until_over()
