"""The byte path: what is read from one end of a link is sent to the other, at once and unchanged.

All linked sockets sit in one epoll of their own, whose descriptor the event loop watches: one wake-up drains up to
256 of them, without a task, a lock or a timer for a message. Measured against alternatives in docs/performance.md.

A slow reader is treated by what it is. A client: the host is read on, and what it sends waits in that client's own
bounded buffer, for a host whose socket is full freezes its game for everybody. The host: the client that sends to it
is not read until the host has caught up.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections import deque
from collections.abc import Callable

from relay.outcomes import Outcome
from relay.states import Conn
from relay.stream import Watcher

READ_SIZE = 64 * 1024
BATCH = 256

_IN = select.EPOLLIN
_OUT = select.EPOLLOUT
_READABLE = select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR


class End:
    """One end of a link. received counts its bytes; out is what waits to be sent to it (out_size bytes).

    watcher is shown what this end sends, after it was sent on; None where nothing is to be seen.
    """

    __slots__ = ("conn", "fd", "out", "out_size", "peer", "read", "received", "sock", "to_host", "watcher")

    peer: End

    def __init__(self, conn: Conn, sock: socket.socket, watcher: Watcher | None) -> None:
        self.conn = conn
        self.sock = sock
        self.fd = sock.fileno()
        self.out: deque[memoryview] = deque()
        self.out_size = 0
        self.received = 0
        self.read = True
        self.to_host = not conn.is_link
        self.watcher = watcher

    def waiting(self) -> bytes:
        """Return what has not been sent to this end."""
        return b"".join(self.out)


class Forwarder:
    """Forwards the bytes of all links on one event loop.

    ended(conn, outcome) is called when an end has closed, failed or read too slowly (more than slow_client bytes
    waiting); it must lead to `release` of both ends.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, ended: Callable[[Conn, Outcome], None], slow_client: int
    ) -> None:
        self._loop = loop
        self._ended = ended
        self._slow_client = slow_client
        self._epoll = select.epoll()
        self._ends: dict[int, End] = {}
        self._by_conn: dict[Conn, End] = {}
        self._view = memoryview(bytearray(READ_SIZE))
        loop.add_reader(self._epoll.fileno(), self._ready)

    def __len__(self) -> int:
        return len(self._ends)

    def splice(
        self,
        client: tuple[Conn, socket.socket],
        link: tuple[Conn, socket.socket],
        to_host: bytes,
        to_client: bytes,
        watcher: Watcher | None = None,
    ) -> None:
        """Begin to forward between two connected non-blocking sockets, which are the forwarder's until released."""
        a, b = End(*client, watcher), End(*link, watcher)
        a.peer, b.peer = b, a
        for end in (a, b):
            self._ends[end.fd] = self._by_conn[end.conn] = end
            self._epoll.register(end.fd, _IN)
        for end, data in ((b, to_host), (a, to_client)):
            if data and end.conn in self._by_conn:
                end.peer.received += len(data)
                self._send(end, memoryview(data))
                if watcher:
                    watcher.feed(end.peer.to_host, data)

    def release(self, conn: Conn) -> tuple[socket.socket, bytes]:
        """Stop forwarding for one end; return its socket and what could not be sent to it yet. KeyError if unknown."""
        end = self._by_conn.pop(conn)
        del self._ends[end.fd]
        self._epoll.unregister(end.fd)
        return end.sock, end.waiting()

    def adopt(self, conn: Conn, sock: socket.socket, waiting: bytes, received: int) -> End:
        """Take over one end from another program; `pair` both ends of a link afterwards."""
        end = End(conn, sock, None)
        end.received = received
        if waiting:
            end.out.append(memoryview(waiting))
            end.out_size = len(waiting)
        self._ends[end.fd] = self._by_conn[conn] = end
        return end

    def pair(self, client: End, link: End, watcher: Watcher | None) -> None:
        """Begin to forward between two adopted ends."""
        client.peer, link.peer = link, client
        client.watcher = link.watcher = watcher
        client.read = not link.out
        for end in (client, link):
            self._epoll.register(end.fd, 0)
            self._watch(end)

    def end_of(self, conn: Conn) -> End | None:
        """Return the end that belongs to a connection."""
        return self._by_conn.get(conn)

    def close(self) -> None:
        """Stop watching. Ends must have been released."""
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()

    def _ready(self) -> None:
        ends = self._ends
        for fd, mask in self._epoll.poll(0, BATCH):
            # An end may have gone with its peer earlier in this batch.
            if mask & _OUT and (end := ends.get(fd)):
                self._flush(end)
            if mask & _READABLE and (end := ends.get(fd)):
                self._pump(end)

    def _pump(self, end: End) -> None:
        view = self._view
        try:
            count = end.sock.recv_into(view)
        except BlockingIOError:
            return
        except OSError:
            count = 0
        if not count:
            self._ended(end.conn, Outcome.LEFT)
            return
        end.received += count
        data = view[:count]
        peer = end.peer
        if peer.out:
            self._park(peer, data)
        else:
            # Not one try block with the read: a count left over from it would send old bytes twice.
            try:
                sent = peer.sock.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                self._ended(peer.conn, Outcome.LEFT)
                return
            if sent != count:
                self._park(peer, data[sent:])
        # Last, so that looking never delays a byte.
        if end.watcher:
            end.watcher.feed(end.to_host, data)

    def _send(self, end: End, data: memoryview) -> None:
        try:
            sent = end.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._ended(end.conn, Outcome.LEFT)
            return
        if sent != len(data):
            self._park(end, data[sent:])

    def _park(self, end: End, data: memoryview) -> None:
        # A copy: the view is of the one buffer everybody's reads go through.
        end.out.append(memoryview(bytes(data)))
        end.out_size += len(data)
        if end.out_size > self._slow_client and not end.conn.is_link:
            self._ended(end.conn, Outcome.OVERRUN)
            return
        self._watch(end)
        if end.conn.is_link and end.peer.read:
            end.peer.read = False
            self._watch(end.peer)

    def _flush(self, end: End) -> None:
        while end.out:
            data = end.out[0]
            try:
                sent = end.sock.send(data)
            except BlockingIOError:
                return
            except OSError:
                self._ended(end.conn, Outcome.LEFT)
                return
            end.out_size -= sent
            if sent == len(data):
                end.out.popleft()
            else:
                end.out[0] = data[sent:]
        self._watch(end)
        if not end.peer.read:
            end.peer.read = True
            self._watch(end.peer)

    def _watch(self, end: End) -> None:
        self._epoll.modify(end.fd, (_IN if end.read else 0) | (_OUT if end.out else 0))
