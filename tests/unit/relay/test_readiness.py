"""Who can be read is told so: each in turn, whatever becomes of the others, on any event loop."""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Iterator

import pytest

from relay.net.poller import Poller
from relay.net.selector import Events, LinkSelector, Poll

BOUND = 60.0


@pytest.fixture(params=[True, False], ids=["in the loop's own selector", "on another loop"])
def runner(request: pytest.FixtureRequest) -> Iterator[tuple[asyncio.Runner, LinkSelector | None]]:
    selector = LinkSelector() if request.param else None
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        yield runner, selector


class Watched:
    """A socket that is watched, and the other end of it."""

    def __init__(self, readiness: Poller, breaks: bool = False) -> None:
        self.sock, self.other = socket.socketpair()
        self.sock.setblocking(False)
        self.read = b""
        self._breaks = breaks
        readiness.watch(self.sock.fileno(), Watched._readable, self)

    def _readable(self) -> None:
        self.read += self.sock.recv(64)
        if self._breaks:
            raise RuntimeError("this one is broken")

    def close(self) -> None:
        self.sock.close()
        self.other.close()


async def until(condition: object) -> None:
    async with asyncio.timeout(BOUND):
        while not condition():  # type: ignore[operator]  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.001)


def test_one_that_breaks_is_logged_and_the_others_are_told_all_the_same(
    runner: tuple[asyncio.Runner, LinkSelector | None], caplog: pytest.LogCaptureFixture
) -> None:
    async def body() -> None:
        readiness = Poller(asyncio.get_running_loop(), runner[1])
        watched = [Watched(readiness, breaks=number == 1) for number in range(3)]
        for each in watched:
            each.other.send(b"hello")
        await until(lambda: all(each.read for each in watched))
        assert len(readiness) == 3
        for each in watched:
            readiness.forget(each.sock.fileno())
            readiness.forget(each.sock.fileno())
            each.close()
        readiness.close()

    runner[0].run(body())
    assert caplog.text.count("internal error") == 1


def test_what_is_told_may_set_a_timer_which_is_kept_at_once(
    runner: tuple[asyncio.Runner, LinkSelector | None],
) -> None:
    async def body() -> None:
        loop, rung = asyncio.get_running_loop(), asyncio.Event()
        readiness = Poller(loop, runner[1])
        sock, other = socket.socketpair()

        def told(sock: socket.socket) -> None:
            sock.recv(1)
            loop.call_later(0.01, rung.set)
            readiness.touched = True

        readiness.watch(sock.fileno(), told, sock)
        other.send(b"x")
        # Nothing else happens on this loop that could make it look at its timers.
        await asyncio.wait_for(rung.wait(), BOUND)
        readiness.forget(sock.fileno())
        readiness.close()
        sock.close()
        other.close()

    runner[0].run(body())


def test_what_is_left_to_the_links_is_told_to_nobody_else(
    runner: tuple[asyncio.Runner, LinkSelector | None],
) -> None:
    async def body() -> None:
        readiness, served = Poller(asyncio.get_running_loop(), runner[1]), asyncio.Event()
        watched = Watched(readiness)
        fd = watched.sock.fileno()

        def links(poll: Poll, wait: float | None) -> Events | None:
            events = poll(wait, 8)
            if any(event[0] == fd for event in events):
                watched.sock.recv(64)
                served.set()
            return readiness.tell([event for event in events if event[0] != fd])

        readiness.serve_links(links)
        readiness.cede(fd, select.EPOLLIN)
        watched.other.send(b"a message")
        await asyncio.wait_for(served.wait(), BOUND)
        assert watched.read == b""
        readiness.epoll.unregister(fd)
        readiness.close()
        watched.close()

    runner[0].run(body())
