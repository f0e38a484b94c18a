"""The byte path: every byte once, in order, to the right end; slow readers bounded."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import random
import socket
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from relay import spool
from relay.net import forwarder as forward
from relay.net.forwarder import FLUSH_SIZE, GRACE, MESSAGE, READ_SIZE, Forwarder
from relay.net.poller import Poller
from relay.net.server import SWEEP
from relay.netplay.watcher import Watcher
from relay.outcomes import Outcome
from relay.switchboard.connection import Conn

BOUND = 60.0
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
    time: float = 1000.0

    def on_end(self, conn: Conn, outcome: Outcome) -> None:
        self.ended.append((conn, outcome))
        for each in (self.client_conn, self.link_conn):
            sock, waiting = self.forwarder.release(each)
            sock.close()
            if waiting:
                self.left[each] = bytes(waiting)
        self.over.set()


def conn(is_link: bool) -> Conn:
    made = Conn(ipaddress.ip_address("203.0.113.7"), 1, 1, True, 0.0)
    made.is_link = is_link
    return made


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Return both ends of a connection over loopback, whose kernel tells less often than a socket pair's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        return one, listener.accept()[0]


@contextlib.asynccontextmanager
async def benches(
    count: int,
    to_host: bytes = b"",
    to_client: bytes = b"",
    slow_clients: int = SLOW_CLIENTS,
    pair: Callable[[], tuple[socket.socket, socket.socket]] = socket.socketpair,
) -> AsyncIterator[list[Bench]]:
    """Make links that share one forwarder."""
    of: dict[Conn, Bench] = {}
    readiness = Poller(asyncio.get_running_loop())
    made: list[Bench] = []
    waiting = spool.Spool(2 * slow_clients)
    forwarder = Forwarder(
        readiness,
        lambda conn, outcome: of[conn].on_end(conn, outcome),
        SLOW_CLIENT,
        slow_clients,
        waiting,
        lambda: made[0].time if made else 1000.0,
    )
    for _ in range(count):
        player, inner_player = pair()
        host, inner_host = pair()
        for sock in (player, inner_player, host, inner_host):
            sock.setblocking(False)
        each = Bench(forwarder, player, host, conn(False), conn(True))
        of[each.client_conn] = of[each.link_conn] = each
        forwarder.splice((each.client_conn, inner_player), (each.link_conn, inner_host), to_host, to_client)
        made.append(each)
    try:
        yield made
    finally:
        for each in made:
            if not each.over.is_set():
                each.on_end(each.client_conn, Outcome.SHUTDOWN)
            each.player.close()
            each.host.close()
        readiness.close()
    assert forwarder._waiting == 0, "nothing waits for anybody any more, and nothing less than that"
    assert waiting.held == 0


@contextlib.asynccontextmanager
async def bench(
    to_host: bytes = b"",
    to_client: bytes = b"",
    slow_clients: int = SLOW_CLIENTS,
    pair: Callable[[], tuple[socket.socket, socket.socket]] = socket.socketpair,
) -> AsyncIterator[Bench]:
    async with benches(1, to_host, to_client, slow_clients, pair) as (made,):
        yield made


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


@pytest.mark.parametrize(
    "size", [1, MESSAGE - 1, MESSAGE, MESSAGE + 1, 2 * MESSAGE, READ_SIZE - 1, READ_SIZE, READ_SIZE + 1, 3 * READ_SIZE]
)
async def test_whatever_comes_in_one_piece_is_passed_on_although_nothing_follows(size: int) -> None:
    blob = random.Random(size).randbytes(size)
    async with bench() as b:
        loop = asyncio.get_running_loop()
        sending = asyncio.create_task(loop.sock_sendall(b.player, blob))
        assert await receive(b.host, size) == blob
        await sending


@pytest.mark.parametrize("size", [1, MESSAGE, READ_SIZE, 150_000])
async def test_the_end_that_comes_with_the_last_bytes_is_not_overlooked(size: int) -> None:
    blob = random.Random(size).randbytes(size)
    async with bench(pair=tcp_pair) as b:
        b.host.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        assert b.host.send(blob) == size
        b.host.close()
        assert await receive(b.player, size) == blob
        await asyncio.wait_for(b.over.wait(), BOUND)
        assert b.ended == [(b.link_conn, Outcome.LEFT)]


async def test_what_follows_urgent_data_does_not_wait_for_more() -> None:
    async with bench(pair=tcp_pair) as b:
        b.player.send(b"before")
        b.player.send(b"!", socket.MSG_OOB)
        b.player.send(b"after")
        assert await receive(b.host, 11) == b"beforeafter"


async def test_an_end_that_closes_while_it_is_not_read_from_is_noticed_once_it_is() -> None:
    blob = random.Random(6).randbytes(1_000_000)
    async with bench() as b:
        b.player.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
        sent = 0
        while (client := b.forwarder.end_of(b.client_conn)) and client.read:
            with contextlib.suppress(BlockingIOError):
                sent += b.player.send(blob[sent:])
            await asyncio.sleep(0)
        b.player.shutdown(socket.SHUT_WR)
        assert await receive(b.host, sent) == blob[:sent]
        await asyncio.wait_for(b.over.wait(), BOUND)
        assert b.ended == [(b.client_conn, Outcome.LEFT)]


async def test_a_watcher_that_fails_is_let_go_and_the_game_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    async with bench() as b:
        end = b.forwarder.end_of(b.client_conn)
        assert end is not None
        watcher = Watcher(names=True)
        end.watch(watcher)
        watcher.seen = None  # type: ignore[assignment]
        watcher.way(True).seen = None  # type: ignore[assignment]
        await asyncio.get_running_loop().sock_sendall(b.player, b"no netplay at all")
        assert await receive(b.host, 17) == b"no netplay at all"
        await asyncio.get_running_loop().sock_sendall(b.player, b"still playing")
        assert await receive(b.host, 13) == b"still playing"
        assert end.watcher is None
        assert caplog.text.count("is no longer watched") == 1


@pytest.mark.parametrize("again", [False, True], ids=["while passing on", "and again while ending it"])
async def test_a_mistake_ends_one_link_and_no_other(caplog: pytest.LogCaptureFixture, again: bool) -> None:
    async with bench() as b:
        player, inner_player = socket.socketpair()
        host, inner_host = socket.socketpair()
        for sock in (player, inner_player, host, inner_host):
            sock.setblocking(False)
        others = (conn(False), inner_player), (conn(True), inner_host)
        b.forwarder.splice(*others, b"", b"")
        end = b.forwarder.end_of(b.client_conn)
        assert end is not None
        if again:
            b.forwarder._ended = lambda *_: 1 // 0
        end.flow.to = "nowhere"  # type: ignore[assignment]
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(b.player, b"x")
        assert await asyncio.wait_for(loop.sock_recv(b.player, 1), BOUND) == b""
        assert again or b.ended == [(b.client_conn, Outcome.LINK_FAILED)]
        b.over.set()
        await loop.sock_sendall(player, b"as if nothing had happened")
        assert await receive(host, 26) == b"as if nothing had happened"
        assert "the link of a client is closed" in caplog.text
        for each, _ in others:
            b.forwarder.release(each)[0].close()
        player.close()
        host.close()


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


async def test_a_client_that_takes_nothing_stops_the_host_for_a_moment_and_is_dropped() -> None:
    async with bench() as b:
        keep_waiting(b, SLOW_CLIENT + 1)
        end = b.forwarder.end_of(b.client_conn)
        assert end is not None
        assert not end.peer.read, "no more of it is kept than the bound, and one read"
        pass_time(b, GRACE)
        assert not b.ended
        pass_time(b, 2 * SWEEP)
        assert b.ended == [(b.client_conn, Outcome.OVERRUN)]


def pass_time(link: Bench, seconds: float) -> None:
    """Let time pass as it does in a relay that is not starved: with a sweep every now and then."""
    for _ in range(round(seconds / SWEEP)):
        if not link.ended:
            link.time += SWEEP
            link.forwarder.sweep()


def waits_for(link: Bench) -> int:
    """Return how much waits for a client, which must not have been dropped."""
    end = link.forwarder.end_of(link.client_conn)
    assert end is not None, f"it was dropped: {link.ended}"
    return end.waiting


@pytest.mark.parametrize("stopped", [0.5, 1.5, 3.0, GRACE])
@pytest.mark.parametrize("taken", [0, 1, 3 * SLOW_CLIENT // 2])
async def test_a_client_that_is_stopped_for_seconds_while_a_lot_comes_gets_everything(
    stopped: float, taken: int
) -> None:
    """It takes something, or nothing, and then nothing for a while, although the host goes on sending."""
    blob = random.Random(7).randbytes(24 * SLOW_CLIENT)
    async with bench(slow_clients=8 * SLOW_CLIENT) as b:
        sending = asyncio.create_task(asyncio.get_running_loop().sock_sendall(b.host, blob))
        got = await receive(b.player, taken)
        end = b.forwarder.end_of(b.client_conn)
        for _ in range(200):
            await asyncio.sleep(0)
        assert end is not None
        pass_time(b, stopped)
        assert waits_for(b) <= 3 * SLOW_CLIENT + READ_SIZE, "what may wait for one, and a quarter of what may for all"
        while len(got) < len(blob):
            got += await receive(b.player, min(40_000, len(blob) - len(got)))
            pass_time(b, SWEEP)
        await sending
        assert got == blob
        assert not b.ended


@pytest.mark.parametrize("links", [1, 2, 3])
async def test_hosts_that_send_without_end_are_held_back_and_no_slower_client_is_dropped(links: int) -> None:
    """More than may wait for all clients together is sent to each of them."""
    async with benches(links, slow_clients=8 * SLOW_CLIENT) as made:
        taken, most = 0, 0
        while taken < 40 * SLOW_CLIENT:
            for b in made:
                for _ in range(8):
                    with contextlib.suppress(BlockingIOError):
                        b.host.send(bytes(READ_SIZE))
                    b.forwarder._readiness._poll()
                with contextlib.suppress(BlockingIOError):
                    taken += len(b.player.recv(READ_SIZE))
            pass_time(made[0], SWEEP)
            most = max(most, sum(waits_for(b) for b in made))
        assert SLOW_CLIENT < most <= 8 * SLOW_CLIENT


async def test_a_relay_that_slept_lays_its_own_silence_to_nobody() -> None:
    async with bench() as b:
        keep_waiting(b, SLOW_CLIENT + 1)
        pass_time(b, 2 * SWEEP)
        for _ in range(3):
            b.time += 10 * GRACE
            b.forwarder.sweep()
            assert not b.ended
        pass_time(b, GRACE + 2 * SWEEP)
        assert b.ended == [(b.client_conn, Outcome.OVERRUN)]


@pytest.mark.parametrize("size", [SLOW_CLIENT + 1, 3 * SLOW_CLIENT, 12 * SLOW_CLIENT])
async def test_more_than_the_bound_reaches_a_client_that_takes_it_slower_than_the_host_sends(size: int) -> None:
    blob = random.Random(size).randbytes(size)
    async with bench(slow_clients=20 * SLOW_CLIENT) as b:
        loop, got = asyncio.get_running_loop(), b""
        sending = asyncio.create_task(loop.sock_sendall(b.host, blob))
        most = 0
        while len(got) < size:
            got += await receive(b.player, min(40_000, size - len(got)))
            for _ in range(4):  # the host sends on meanwhile: from Python 3.12 on a receive alone takes no turn
                await asyncio.sleep(0)
            pass_time(b, 2 * SWEEP)
            most = max(most, waits_for(b))
        await sending
        assert got == blob
        assert most > SLOW_CLIENT or size < 2 * SLOW_CLIENT, "it has to be a client for whom so much waits"


async def test_a_client_that_takes_less_than_it_has_to_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "PACE_BYTES", 50_000)
    async with bench(slow_clients=20 * SLOW_CLIENT) as b:
        keep_waiting(b, SLOW_CLIENT + 1)
        for _ in range(int(spool.PACE_SECONDS) + 2):
            if b.ended:
                break
            await receive(b.player, 4000)
            for _ in range(3):
                b.forwarder._readiness._poll()
            pass_time(b, 1.0)
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
        assert b.forwarder._spool.resident < 2 * end.waiting


def keep_waiting(link: Bench, count: int) -> int:
    """Let a host send until so much waits for its client, or until that is gone; return how much was sent."""
    sent = 0
    while (end := link.forwarder.end_of(link.client_conn)) and end.waiting < count:
        assert sent < 4 * SLOW_CLIENT, "what a client does not read does not wait for it"
        with contextlib.suppress(BlockingIOError):
            sent += link.host.send(bytes(8192))
        link.forwarder._readiness._poll()
    return sent


async def test_all_slow_clients_together_have_a_bound_and_the_slowest_goes_alone() -> None:
    each = SLOW_CLIENT // 4
    async with benches(3, slow_clients=5 * each) as (slow, slowest, last):
        sent = keep_waiting(slow, each)
        keep_waiting(slowest, 3 * each)
        assert not slowest.over.is_set(), "nobody is beyond any bound yet"
        sent_last = keep_waiting(last, 2 * each)
        assert slowest.ended == [(slowest.client_conn, Outcome.OVERRUN)]
        assert not slow.ended + last.ended, "what waited for the one who has gone makes place for the others"
        assert len(await receive(slow.player, sent)) == sent
        assert len(await receive(last.player, sent_last)) == sent_last


async def test_what_waits_for_hosts_costs_no_client_its_place() -> None:
    async with benches(4) as (*stuck, slow):
        waiting = 0
        for link in stuck:
            end = link.forwarder.end_of(link.link_conn)
            assert end is not None
            while end.peer.read:
                with contextlib.suppress(BlockingIOError):
                    link.player.send(bytes(READ_SIZE))
                link.forwarder._readiness._poll()
            waiting += end.waiting
        slow.forwarder._slow_clients = waiting
        keep_waiting(slow, waiting // 2)
        assert not slow.ended


async def test_who_reaches_the_bound_of_all_as_the_slowest_goes_without_a_word_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    each = SLOW_CLIENT // 4
    async with benches(2, slow_clients=3 * each) as (slow, slowest):
        sent = keep_waiting(slow, each)
        keep_waiting(slowest, 3 * each)
        assert slowest.ended == [(slowest.client_conn, Outcome.OVERRUN)]
        assert not slow.ended
        assert len(await receive(slow.player, sent)) == sent
    assert not caplog.text


async def test_who_has_caught_up_leaves_the_room_for_others_to_wait() -> None:
    each = SLOW_CLIENT // 4
    async with benches(2, slow_clients=3 * each) as (one, other):
        for _ in range(3):
            for link in (one, other):
                sent = keep_waiting(link, 2 * each)
                assert len(await receive(link.player, sent)) == sent
        assert not one.ended + other.ended


async def test_a_slow_client_that_catches_up_gets_a_bounded_share_of_each_wake_up() -> None:
    class Greedy:
        """Stands for the socket of a client that takes whatever it is given."""

        def __init__(self) -> None:
            self.taken = 0

        def sendmsg(self, pieces: list[memoryview]) -> int:
            self.taken += min(sum(map(len, pieces)), 65536)
            return min(sum(map(len, pieces)), 65536)

    async with bench() as b:
        end = b.forwarder.end_of(b.client_conn)
        assert end is not None
        end.keep(bytes(3 * FLUSH_SIZE), b.forwarder._backlog)
        real, greedy = end.sock, Greedy()
        end.sock = greedy  # type: ignore[assignment]
        b.forwarder._flush(end)
        end.sock = real
        assert greedy.taken == FLUSH_SIZE
        b.forwarder._waiting = len(end.out or b"")


async def test_a_slow_client_gets_its_next_share_although_nothing_else_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward, "FLUSH_SIZE", 1000)
    async with bench(pair=tcp_pair) as b:
        end = b.forwarder.end_of(b.client_conn)
        assert end is not None
        blob = random.Random(7).randbytes(100_000)
        b.forwarder._park(end, blob)
        assert await receive(b.player, len(blob)) == blob


@pytest.mark.parametrize("size", [10, 2 * READ_SIZE + 10])
async def test_the_last_words_of_an_end_that_was_reset_arrive(size: int) -> None:
    words = random.Random(size).randbytes(size)
    async with bench() as b:
        assert b.host.send(words) == size
        end = b.forwarder.end_of(b.link_conn)
        assert end is not None
        b.forwarder._failed(end)
        assert b.left == {b.client_conn: words}


async def test_who_is_gone_while_something_waits_for_them_ends_once(caplog: pytest.LogCaptureFixture) -> None:
    async with bench(pair=tcp_pair) as b:
        end = b.forwarder.end_of(b.client_conn)
        assert end is not None
        end.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        keep_waiting(b, SLOW_CLIENT // 4)
        b.player.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        b.player.close()
        await asyncio.wait_for(b.over.wait(), BOUND)
        assert b.ended == [(b.client_conn, Outcome.LEFT)]
    assert not caplog.text


async def test_what_another_program_has_left_waiting_counts_for_the_bound_of_all() -> None:
    each = SLOW_CLIENT // 4
    async with benches(1, slow_clients=3 * each) as (one,):
        forwarder, outer = one.forwarder, [socket.socketpair() for _ in range(2)]
        for inner, _ in outer:
            inner.setblocking(False)
            inner.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        left = forwarder._backlog()
        left.add(bytes(2 * each))
        client = forwarder.adopt(conn(False), outer[0][0], left, 0)
        del left
        link = forwarder.adopt(conn(True), outer[1][0], None, 0)
        forwarder.pair(client, link, None)
        ended = []
        forwarder._ended = lambda conn, outcome: ended.append((conn, outcome, forwarder.release(conn)))
        keep_waiting(one, 2 * each)
        assert [(who, outcome) for who, outcome, _ in ended] == [(client.conn, Outcome.OVERRUN)]
        ended.clear()
        forwarder.release(link.conn)
        for pair in outer:
            for sock in pair:
                sock.close()


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
        assert waiting is not None
        other, _ = b.forwarder.release(b.link_conn)
        b.over.set()
        in_flight = len(blob) - len(waiting)
        assert waiting
        waiting.clear()
        assert await receive(b.player, in_flight) == blob[:in_flight]
        sock.close()
        other.close()


@pytest.mark.parametrize("size", [1, 100, 100_000])
async def test_what_comes_for_one_whose_memory_was_taken_is_not_counted(size: int) -> None:
    async with bench() as b:
        end = b.forwarder.end_of(b.client_conn)
        assert end is not None
        keep_waiting(b, SLOW_CLIENT // 4)
        b.forwarder.take_away(end)
        b.forwarder._park(end, bytes(size))
        assert b.forwarder._waiting == 0


@pytest.mark.parametrize("blocks", [0, 1, 3])
async def test_where_no_block_is_left_the_link_ends_and_nothing_stays_counted(
    blocks: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with benches(2) as (full, other):
        full.forwarder._spool.blocks = blocks
        keep_waiting(full, SLOW_CLIENT)
        assert full.ended == [(full.client_conn, Outcome.OVERRUN)]
        assert not other.ended
        assert full.forwarder._waiting == 0
    assert not caplog.text
