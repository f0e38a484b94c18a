"""What the byte path understands at a glance is what a watcher sees that is shown every byte."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import itertools
import socket
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from relay.net.forwarder import Forwarder
from relay.net.link import LinkEnd
from relay.net.poller import Poller
from relay.net.selector import LinkSelector
from relay.netplay.watcher import Watcher
from relay.switchboard.connection import Conn
from tests.support import netplay as np

MUCH = 1 << 20
"""More than any of these streams: nothing is dropped for being slow."""

OTHERS = st.sampled_from(
    [
        [np.pause("friend")],
        [np.RESUME],
        [np.mode()],
        [np.mode(playing=False)],
        [np.savestate(5, 300)],
        [np.savestate(5, 2000)],
        [np.chat(b"hello")],
        [np.no_input(9)],
        [np.STALL],
        [np.REQUEST_SAVESTATE],
        [np.PING_REQUEST],
        [np.command(3, bytes(4))],
        [np.command(0xFFFFF, b"")],
    ]
)


@st.composite
def runs(draw: st.DrawFn) -> list[bytes]:
    """Frames of one player, one after the other: each a chunk, or some in one, or one in two."""
    first, count, who = draw(st.integers(0, 2**32 - 9)), draw(st.integers(1, 8)), draw(st.sampled_from([0, 1, 2]))
    step = draw(st.sampled_from([1, 1, 1, 0, 2]))
    frames = [(first + number * step) % 2**32 for number in range(count)]
    inputs = [np.game_input(frame, who, *[7] * draw(st.integers(1, 3))) for frame in frames]
    how = draw(st.sampled_from(["each", "each", "together", "cut"]))
    if how == "together":
        return [b"".join(inputs)]
    if how == "cut":
        at = draw(st.integers(1, len(inputs[0]) - 1))
        return [inputs[0][:at], inputs[0][at:], *inputs[1:]]
    return inputs


CHUNKS = st.lists(st.one_of(runs(), runs(), OTHERS), max_size=8).map(lambda parts: [*itertools.chain(*parts)])
TURNS = st.lists(st.booleans(), min_size=4, max_size=40)


class Link:
    """A forwarder between two socket pairs, served by hand; player and host are the outer ends."""

    def __init__(self, loop: asyncio.AbstractEventLoop, selector: LinkSelector) -> None:
        self.player, inner_player = socket.socketpair()
        self.host, inner_host = socket.socketpair()
        self.readiness = Poller(loop, selector)
        self.conns = conn(is_link=False), conn(is_link=True)
        self.forwarder = Forwarder(self.readiness, self._ended, MUCH, MUCH)
        for sock in (self.player, inner_player, self.host, inner_host):
            sock.setblocking(False)
        ends = (self.conns[0], inner_player), (self.conns[1], inner_host)
        self.forwarder.splice(*ends, b"", b"", Watcher(names=True))

    def _ended(self, *_: object) -> None:
        raise AssertionError("nobody left")

    @property
    def client(self) -> LinkEnd:
        """The client's end."""
        end = self.forwarder.end_of(self.conns[0])
        assert end is not None
        return end

    def pass_on(self, to_host: bool, chunk: bytes) -> None:
        """Let one side say something, and see it arrive."""
        sender, receiver = (self.player, self.host) if to_host else (self.host, self.player)
        sender.sendall(chunk)
        self.forwarder._serve(self.readiness.epoll.poll, 0)
        assert receiver.recv(MUCH) == chunk

    def close(self) -> None:
        """End it."""
        for each in self.conns:
            self.forwarder.release(each)[0].close()
        self.player.close()
        self.host.close()
        self.readiness.close()


def conn(is_link: bool) -> Conn:
    made = Conn(ipaddress.ip_address("203.0.113.7"), 1, 1, True, 0.0)
    made.is_link = is_link
    return made


@contextlib.contextmanager
def links() -> Iterator[Link]:
    selector = LinkSelector()
    loop = asyncio.SelectorEventLoop(selector)
    link = Link(loop, selector)
    try:
        yield link
    finally:
        link.close()
        loop.close()


@given(CHUNKS, CHUNKS, TURNS)
def test_what_is_seen_at_a_glance_is_what_is_seen_byte_by_byte(
    to_host: list[bytes], to_client: list[bytes], turns: list[bool]
) -> None:
    ways = {True: [np.client_header(), *to_host], False: [np.host_header(), *to_client]}
    alone = Watcher(names=True)
    with links() as link:
        turn = 0
        while ways[True] or ways[False]:
            way = turns[turn % len(turns)] if ways[True] and ways[False] else bool(ways[True])
            turn += 1
            chunk = ways[way].pop(0)
            link.pass_on(way, chunk)
            alone.feed(way, chunk)
            if not turn % 5:
                watcher = link.client.watcher
                assert watcher is not None
                assert watcher.seen == alone.seen
        watcher = link.client.watcher
        assert watcher is not None
        assert watcher.save()["seen"] == alone.save()["seen"]


def test_a_game_is_understood_at_a_glance() -> None:
    with links() as link:
        link.pass_on(False, np.host_header())
        link.pass_on(True, np.client_header())
        for frame in range(10):
            link.pass_on(False, np.game_input(frame, 0, 1))
            link.pass_on(True, np.game_input(frame, 1, 1))
            link.pass_on(False, np.game_input(frame, 2, 1))
        assert (link.client.flow.who, link.client.flow.frame) == (1, 9)
        assert (link.client.peer.flow.who, link.client.peer.flow.frame) == (0, 9)
        way = link.client.peer._way
        assert way is not None
        assert way.seen.frames == 1, "only the first one was looked at"
        watcher = link.client.watcher
        assert watcher is not None
        assert (watcher.seen.frame, watcher.seen.frames, watcher.seen.client_frame) == (9, 10, 9)
