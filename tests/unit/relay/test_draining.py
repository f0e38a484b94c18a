"""What a relay that is stopping waits for: games, and the last words of a game that are still to be read."""

from __future__ import annotations

import asyncio
import socket

import pytest

from relay.config import Config
from relay.limits import Buffers, Timeouts
from tests.support import wire
from tests.support.fakes import FakeHost
from tests.support.relays import BOUND, Relay, running

WORDS = bytes(range(256)) * 2048


def config(farewell: float) -> Config:
    return Config(timeouts=Timeouts(farewell=farewell), buffers=Buffers(socket=4096))


async def play_to_the_end(relay: Relay, client: socket.socket, drain_first: bool) -> None:
    """Let a host say more than its client has read, and leave; ask the relay to stop before that, or after."""
    host = await FakeHost.host(relay.address, relay.port)
    client.sendall(wire.join(host.session))
    link = await host.link()
    if drain_first:
        relay.server.drain()
    # A socket that is closed with something unread in it ends its connection by a reset, and with it the words.
    assert await link.read(len(wire.header())) == wire.header()
    await link.send(WORDS)
    await link.close()
    await host.leave()
    await relay.until(lambda: not relay.server.board.busy, "the game is over")
    if not drain_first:
        relay.server.drain()


async def everything(sock: socket.socket) -> bytes:
    loop, data = asyncio.get_running_loop(), b""
    sock.setblocking(False)
    while chunk := await asyncio.wait_for(loop.sock_recv(sock, 65536), BOUND):
        data += chunk
    return data


@pytest.mark.parametrize("drain_first", [True, False], ids=["of a game that goes on", "of a game that is over"])
async def test_the_last_words_are_read_before_the_relay_has_stopped(drain_first: bool) -> None:
    async with running(config(farewell=BOUND)) as relay:
        with socket.create_connection((relay.address, relay.port), BOUND) as client:
            await play_to_the_end(relay, client, drain_first)
            assert not relay.server.drained.is_set(), "not all that was said to the client was read"
            assert await everything(client) == WORDS
        await asyncio.wait_for(relay.server.drained.wait(), BOUND)


async def test_who_never_reads_the_last_words_is_not_waited_for_beyond_the_bound() -> None:
    async with running(config(farewell=0.01)) as relay:
        with socket.create_connection((relay.address, relay.port), BOUND) as client:
            await play_to_the_end(relay, client, drain_first=True)
            await asyncio.wait_for(relay.server.drained.wait(), BOUND)
