"""The byte path: every byte once, in order, to the right end; slow readers bounded."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import random
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from relay.forward import FLUSH_SIZE, Forwarder
from relay.outcomes import Outcome
from relay.readiness import Readiness
from relay.states import Conn

BOUND = 10.0
SLOW_CLIENT = 256 * 1024
SLOW_CLIENTS = 1024 * 1024


@dataclass
class Bench:
    """A forwarder between `player` and `host`: the outer ends of two socket pairs."""

    forwarder: Forwarder
    player: socket.socket
    host: socket.socket
    client_conn: Conn
    link_conn: Conn
    ended: list[tuple[Conn, Outcome]] = field(default_factory=list)
    left: dict[Conn, bytes] = field(default_factory=dict)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def on_end(self, conn: Conn, outcome: Outcome) -> None:
        self.ended.append((conn, outcome))
        for each in (self.client_conn, self.link_conn):
            sock, waiting = self.forwarder.release(each)
            sock.close()
            if waiting:
                self.left[each] = waiting
        self.over.set()


def conn(is_link: bool) -> Conn:
    made = Conn(ipaddress.ip_address("203.0.113.7"), 1, 1, True, 0.0)
    made.is_link = is_link
    return made


@contextlib.asynccontextmanager
async def bench(to_host: bytes = b"", to_client: bytes = b"", slow_clients: int = SLOW_CLIENTS) -> AsyncIterator[Bench]:
    player, inner_player = socket.socketpair()
    host, inner_host = socket.socketpair()
    for sock in (player, inner_player, host, inner_host):
        sock.setblocking(False)
    ends: list[Bench] = []
    readiness = Readiness(asyncio.get_running_loop())
    forwarder = Forwarder(readiness, lambda conn, outcome: ends[0].on_end(conn, outcome), SLOW_CLIENT, slow_clients)
    made = Bench(forwarder, player, host, conn(False), conn(True))
    ends.append(made)
    forwarder.splice((made.client_conn, inner_player), (made.link_conn, inner_host), to_host, to_client)
    try:
        yield made
    finally:
        if not made.over.is_set():
            made.on_end(made.client_conn, Outcome.SHUTDOWN)
        readiness.close()
        player.close()
        host.close()


async def receive(sock: socket.socket, count: int) -> bytes:
    loop = asyncio.get_running_loop()
    data = b""
    while len(data) < count:
        chunk = await asyncio.wait_for(loop.sock_recv(sock, count - len(data)), BOUND)
        assert chunk, f"the stream ended after {len(data)} of {count} bytes"
        data += chunk
    return data


async def test_bytes_go_both_ways() -> None:
    async with bench() as b:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(b.player, b"to the host")
        await loop.sock_sendall(b.host, b"to the player")
        assert await receive(b.host, 11) == b"to the host"
        assert await receive(b.player, 13) == b"to the player"


async def test_what_came_before_the_link_goes_first() -> None:
    async with bench(to_host=b"header", to_client=b"early") as b:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(b.player, b" and more")
        assert await receive(b.host, 15) == b"header and more"
        assert await receive(b.player, 5) == b"early"


async def test_a_savestate_arrives_whole_whatever_the_reader_does() -> None:
    blob = random.Random(1).randbytes(3_000_000)
    async with bench() as b:
        loop = asyncio.get_running_loop()
        sending = asyncio.create_task(loop.sock_sendall(b.player, blob))
        assert await receive(b.host, len(blob)) == blob
        await sending


async def test_both_directions_at_once_do_not_mix() -> None:
    one, other = random.Random(2).randbytes(500_000), random.Random(3).randbytes(500_000)
    async with bench() as b:
        loop = asyncio.get_running_loop()
        tasks = [
            asyncio.create_task(loop.sock_sendall(b.player, one)),
            asyncio.create_task(loop.sock_sendall(b.host, other)),
        ]
        at_host, at_player = await asyncio.gather(receive(b.host, len(one)), receive(b.player, len(other)))
        await asyncio.gather(*tasks)
        assert at_host == one
        assert at_player == other


async def test_the_end_of_one_side_is_reported_at_once() -> None:
    async with bench() as b:
        b.player.close()
        await asyncio.wait_for(b.over.wait(), BOUND)
        assert b.ended == [(b.client_conn, Outcome.LEFT)]


async def test_the_last_bytes_before_the_end_arrive() -> None:
    async with bench() as b:
        b.host.send(b"Incorrect password")
        b.host.close()
        await asyncio.wait_for(b.over.wait(), BOUND)
        assert await receive(b.player, 18) == b"Incorrect password"
        assert b.ended == [(b.link_conn, Outcome.LEFT)]


async def test_a_client_that_does_not_read_never_stops_the_host_and_is_dropped_at_its_bound() -> None:
    async with bench() as b:
        loop = asyncio.get_running_loop()
        sent = 0
        while not b.over.is_set():
            sent += await asyncio.wait_for(loop.sock_sendall(b.host, bytes(65536)), BOUND) or 65536
            assert sent < 4 * 1024 * 1024, "the host could send without end and nothing was dropped"
            await asyncio.sleep(0)
            if b.forwarder.end_of(b.client_conn) is None:
                break
        assert b.ended == [(b.client_conn, Outcome.OVERRUN)]


async def test_a_client_that_catches_up_in_time_gets_everything() -> None:
    blob = random.Random(4).randbytes(SLOW_CLIENT)
    async with bench() as b:
        loop = asyncio.get_running_loop()
        await asyncio.wait_for(loop.sock_sendall(b.host, blob), BOUND)
        assert await receive(b.player, len(blob)) == blob
        await loop.sock_sendall(b.host, b"still playing")
        assert await receive(b.player, 13) == b"still playing"
        assert not b.ended


async def test_a_host_that_does_not_read_stops_its_client_and_nothing_is_lost() -> None:
    blob = random.Random(5).randbytes(4_000_000)
    async with bench() as b:
        loop = asyncio.get_running_loop()
        sending = asyncio.create_task(loop.sock_sendall(b.player, blob))
        end = None
        for _ in range(200):
            await asyncio.sleep(0)
            end = b.forwarder.end_of(b.link_conn)
        assert end is not None
        assert not sending.done()
        assert end.waiting <= 2 * 65536, "a paused client is not read on"
        assert await receive(b.host, len(blob)) == blob
        await sending
        assert not b.ended


async def test_small_messages_wait_in_little_more_memory_than_they_are_long() -> None:
    async with bench() as b:
        end = b.forwarder.end_of(b.client_conn)
        assert end is not None
        while end.waiting < 100_000:
            b.host.send(bytes(28))
            b.forwarder._readiness._poll()
        assert sys.getsizeof(end.out) < 2 * end.waiting


async def test_all_slow_clients_together_have_a_bound_and_the_slowest_goes() -> None:
    async with bench(slow_clients=100_000) as b:
        loop = asyncio.get_running_loop()
        sent = 0
        while not b.over.is_set():
            await asyncio.wait_for(loop.sock_sendall(b.host, bytes(16384)), BOUND)
            sent += 16384
            assert sent < 2 * SLOW_CLIENT + 1_000_000, "nothing was dropped"
            await asyncio.sleep(0)
        assert b.ended == [(b.client_conn, Outcome.OVERRUN)]


async def test_a_slow_client_that_catches_up_gets_a_bounded_share_of_each_wake_up() -> None:
    class Greedy:
        """Stands for the socket of a client that takes whatever it is given."""

        def __init__(self) -> None:
            self.taken = 0

        def send(self, data: memoryview) -> int:
            self.taken += min(len(data), 65536)
            return min(len(data), 65536)

    async with bench() as b:
        end = b.forwarder.end_of(b.client_conn)
        assert end is not None
        end.keep(bytes(3 * FLUSH_SIZE))
        real, greedy = end.sock, Greedy()
        end.sock = greedy  # type: ignore[assignment]
        b.forwarder._flush(end)
        end.sock = real
        assert greedy.taken == FLUSH_SIZE
        end.out = None


async def test_the_last_words_of_an_end_that_was_reset_arrive() -> None:
    async with bench() as b:
        b.host.send(b"last words")
        end = b.forwarder.end_of(b.link_conn)
        assert end is not None
        b.forwarder._failed(end)
        assert b.left == {b.client_conn: b"last words"}


async def test_bytes_are_counted_at_the_end_they_come_from() -> None:
    async with bench(to_host=b"header") as b:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(b.player, b"1234")
        await receive(b.host, 10)
        client, link = b.forwarder.end_of(b.client_conn), b.forwarder.end_of(b.link_conn)
        assert client is not None
        assert link is not None
        assert (client.received, link.received) == (10, 0)


async def test_what_could_not_be_sent_is_handed_back() -> None:
    async with bench() as b:
        loop = asyncio.get_running_loop()
        blob = bytes(SLOW_CLIENT)
        await asyncio.wait_for(loop.sock_sendall(b.host, blob), BOUND)
        for _ in range(50):
            await asyncio.sleep(0)
        sock, waiting = b.forwarder.release(b.client_conn)
        other, _ = b.forwarder.release(b.link_conn)
        b.over.set()
        in_flight = len(blob) - len(waiting)
        assert waiting
        assert await receive(b.player, in_flight) == blob[:in_flight]
        sock.close()
        other.close()
