"""The selector that serves links itself: links are served, and nothing else on the event loop waits for them."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import random
import select
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from relay.net.forwarder import Forwarder
from relay.net.poller import Poller
from relay.net.selector import Events, LinkSelector, Poll
from relay.outcomes import Outcome
from relay.switchboard.connection import Conn

BOUND = 60.0


def run(body: Callable[[LinkSelector], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine on a loop with the selector."""
    selector = LinkSelector()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        runner.run(asyncio.wait_for(body(selector), BOUND))


def conn(is_link: bool) -> Conn:
    made = Conn(ipaddress.ip_address("203.0.113.7"), 1, 1, True, 0.0)
    made.is_link = is_link
    return made


class Link:
    """A link between two socket pairs: player and host are the outer ends."""

    def __init__(self, selector: LinkSelector) -> None:
        self.player, inner_player = socket.socketpair()
        self.host, inner_host = socket.socketpair()
        for sock in (self.player, inner_player, self.host, inner_host):
            sock.setblocking(False)
        self.over = asyncio.Event()
        self.conns = conn(False), conn(True)
        self.readiness = Poller(asyncio.get_running_loop(), selector)
        self.forwarder = Forwarder(self.readiness, self.ended, 1 << 20, 1 << 22)
        self.forwarder.splice((self.conns[0], inner_player), (self.conns[1], inner_host), b"", b"")

    def ended(self, _conn: Conn, _outcome: Outcome) -> None:
        for each in self.conns:
            self.forwarder.release(each)[0].close()
        self.over.set()

    def close(self) -> None:
        if not self.over.is_set():
            self.ended(self.conns[0], Outcome.SHUTDOWN)
        self.readiness.close()
        self.player.close()
        self.host.close()


async def receive(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += await asyncio.get_running_loop().sock_recv(sock, count - len(data))
    return data


def test_links_are_served() -> None:
    async def body(selector: LinkSelector) -> None:
        loop, link = asyncio.get_running_loop(), Link(selector)
        blob = random.Random(1).randbytes(2_000_000)
        sending = asyncio.create_task(loop.sock_sendall(link.player, blob))
        assert await receive(link.host, len(blob)) == blob
        await sending
        await loop.sock_sendall(link.host, b"answer")
        assert await receive(link.player, 6) == b"answer"
        link.close()

    run(body)


def test_the_end_of_a_link_is_acted_on_at_once_although_nothing_else_happens() -> None:
    async def body(selector: LinkSelector) -> None:
        link = Link(selector)
        link.player.close()
        await asyncio.wait_for(link.over.wait(), 5)
        assert link.host.recv(1) == b""
        link.close()

    run(body)


def test_timers_and_other_sockets_are_served_while_links_never_rest() -> None:
    async def body(selector: LinkSelector) -> None:
        loop, link = asyncio.get_running_loop(), Link(selector)
        stop = False

        def keep_busy() -> None:
            """Play on both sides, in a thread of its own, so that there is always something to forward."""
            while not stop:
                for sock in (link.player, link.host):
                    with contextlib.suppress(BlockingIOError):
                        sock.send(bytes(28))
                    with contextlib.suppress(BlockingIOError):
                        sock.recv(65536)

        busy = loop.run_in_executor(None, keep_busy)
        one, other = socket.socketpair()
        for sock in (one, other):
            sock.setblocking(False)
        for number in range(20):
            await asyncio.sleep(0.005)
            other.send(bytes([number]))
            assert await receive(one, 1) == bytes([number])
        stop = True
        await busy
        one.close()
        other.close()
        link.close()

    run(body)


def test_events_of_others_are_handed_back_and_strange_ones_forgotten() -> None:
    selector = LinkSelector()
    one, other = socket.socketpair()
    selector.register(one, 1, "mine")
    seen: list[Events] = []

    def serve(poll: Poll, wait: float | None) -> Events | None:
        events = poll(wait, 8)
        seen.append(events)
        return [*events, (9999, select.EPOLLIN)]

    selector.attach(serve)
    other.send(b"x")
    ((key, mask),) = selector.select(5)
    assert (key.data, mask) == ("mine", 1)
    assert seen == [[(one.fileno(), select.EPOLLIN)]]
    selector.detach()
    assert [key.data for key, _ in selector.select(5)] == ["mine"]
    selector.close()
    one.close()
    other.close()


def test_a_timeout_is_kept_however_often_links_wake_it() -> None:
    selector = LinkSelector()
    one, other = socket.socketpair()

    def serve(poll: Poll, wait: float | None) -> None:
        poll(wait, 8)

    epoll = selector.attach(serve)
    epoll.register(one.fileno(), select.EPOLLIN)
    other.send(b"always readable")
    assert selector.select(0.02) == []
    assert selector.select(0) == []
    selector.close()
    one.close()
    other.close()
