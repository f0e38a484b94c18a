"""The byte path: what is read from one end of a link is sent to the other, at once and unchanged.

One wake-up serves up to 256 linked sockets, without a task, a lock, a timer or a callback for a message
(relay/readiness.py). Measured against alternatives in docs/performance.md.

A slow reader is treated by what it is. A client: the host is read on, and what it sends waits in that client's own
bounded buffer, for a host whose socket is full freezes its game for everybody. The host: the client that sends to it
is not read until the host has caught up.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable

from relay.outcomes import Outcome
from relay.readiness import Readiness
from relay.selector import Events
from relay.states import Conn
from relay.stream import Watcher

READ_SIZE = 64 * 1024
# What one slow reader that catches up may be sent in one wake-up, so that its neighbours do not wait for it.
FLUSH_SIZE = 1024 * 1024
# Reads of what an end sent before it failed: its last words still reach the other end.
LAST_READS = 8

_IN = select.EPOLLIN
_OUT = select.EPOLLOUT
_READABLE = select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR


class End:
    """One end of a link. received counts its bytes; out is what waits to be sent to it, None while nothing does.

    watcher is shown what this end sends (its way), after it was sent on; None where nothing is to be seen.
    """

    __slots__ = ("conn", "fd", "out", "peer", "read", "received", "sock", "to_host", "watcher", "way")

    peer: End

    def __init__(self, conn: Conn, sock: socket.socket, watcher: Watcher | None) -> None:
        self.conn = conn
        self.sock = sock
        self.fd = sock.fileno()
        self.out: bytearray | None = None
        self.received = 0
        self.read = True
        self.to_host = not conn.is_link
        self.watch(watcher)

    def watch(self, watcher: Watcher | None) -> None:
        """Show a watcher what this end sends from now on."""
        self.watcher = watcher
        self.way = watcher.way(self.to_host) if watcher else None

    @property
    def waiting(self) -> int:
        """How many bytes wait to be sent to it."""
        return len(self.out) if self.out else 0

    def keep(self, data: bytes | memoryview) -> None:
        """Let data wait."""
        if self.out is None:
            self.out = bytearray(data)
        else:
            self.out += data


class Forwarder:
    """Forwards the bytes of all links whose sockets readiness watches.

    ended(conn, outcome) is called when an end has closed, failed or read too slowly; it must lead to `release` of both
    ends. slow_client bounds what waits for one client, slow_clients what waits for all of them together (bytes).
    """

    def __init__(
        self,
        readiness: Readiness,
        ended: Callable[[Conn, Outcome], None],
        slow_client: int,
        slow_clients: int,
    ) -> None:
        self._readiness = readiness
        self._epoll = readiness.epoll
        readiness.serve_links(self._serve)
        self._ended = ended
        self._slow_client = slow_client
        self._slow_clients = slow_clients
        self._waiting = 0
        self._ends: dict[int, End] = {}
        self._by_conn: dict[Conn, End] = {}
        self._view = memoryview(bytearray(READ_SIZE))

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
        """Begin to forward between two connected non-blocking sockets, which are the forwarder's until released.

        It does not matter whether readiness watches them for somebody else.
        """
        a, b = End(*client, watcher), End(*link, watcher)
        a.peer, b.peer = b, a
        for end in (a, b):
            self._ends[end.fd] = self._by_conn[end.conn] = end
            self._readiness.cede(end.fd)
        for end, data in ((b, to_host), (a, to_client)):
            if data and end.conn in self._by_conn:
                end.peer.received += len(data)
                self._pass_on(end, memoryview(data))
                if watcher:
                    watcher.feed(end.peer.to_host, data)

    def release(self, conn: Conn) -> tuple[socket.socket, bytearray]:
        """Stop forwarding for one end; return its socket and what could not be sent to it yet. KeyError if unknown."""
        end = self._by_conn.pop(conn)
        del self._ends[end.fd]
        self._epoll.unregister(end.fd)
        self._waiting -= end.waiting
        # What the caller does now may be for the event loop to carry out.
        self._readiness.touched = True
        return end.sock, end.out or bytearray()

    def adopt(self, conn: Conn, sock: socket.socket, waiting: bytes, received: int) -> End:
        """Take over one end from another program; `pair` both ends of a link afterwards."""
        end = End(conn, sock, None)
        end.received = received
        if waiting:
            end.keep(waiting)
            self._waiting += len(waiting)
        self._ends[end.fd] = self._by_conn[conn] = end
        return end

    def pair(self, client: End, link: End, watcher: Watcher | None) -> None:
        """Begin to forward between two adopted ends."""
        client.peer, link.peer = link, client
        client.watch(watcher)
        link.watch(watcher)
        client.read = not link.out
        for end in (client, link):
            self._epoll.register(end.fd, 0)
            self._watch(end)

    def end_of(self, conn: Conn) -> End | None:
        """Return the end that belongs to a connection."""
        return self._by_conn.get(conn)

    def _serve(self, events: Events) -> Events | None:
        """Serve the links among events. Longer than it were nice: a message pays for every call."""
        others: Events | None = None
        get, view = self._ends.get, self._view
        for fd, mask in events:
            end = get(fd)
            if end is None:
                # Somebody else's, or an end that has gone with its peer earlier in this batch.
                others = others or []
                others.append((fd, mask))
                continue
            if mask != _IN:
                if mask & _OUT:
                    self._flush(end)
                if not mask & _READABLE or get(fd) is not end:
                    continue
            try:
                count = end.sock.recv_into(view)
            except BlockingIOError:
                continue
            except OSError:
                count = 0
            if not count:
                self._ended(end.conn, Outcome.LEFT)
                continue
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
                    self._failed(peer)
                    continue
                if sent != count:
                    self._park(peer, data[sent:])
            # Last, so that looking never delays a byte.
            way = end.way
            if way is not None:
                way.feed(data)
        if others is None and not self._readiness.touched:
            return None
        return self._readiness.tell(others or [])

    def _pass_on(self, end: End, data: memoryview) -> None:
        try:
            sent = end.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._failed(end)
            return
        if sent != len(data):
            self._park(end, data[sent:])

    def _failed(self, end: End) -> None:
        """End a link whose end cannot be sent to any more; what it had sent before still goes to the other."""
        for _ in range(LAST_READS):
            try:
                count = end.sock.recv_into(self._view)
            except OSError:
                break
            if not count:
                break
            end.peer.keep(self._view[:count])
            self._waiting += count
        self._ended(end.conn, Outcome.LEFT)

    def _park(self, end: End, data: memoryview) -> None:
        end.keep(data)
        self._waiting += len(data)
        if end.conn.is_link:
            if end.peer.read:
                end.peer.read = False
                self._watch(end.peer)
        elif end.waiting > self._slow_client:
            self._ended(end.conn, Outcome.OVERRUN)
            return
        elif self._waiting > self._slow_clients:
            slowest = max((each for each in self._ends.values() if each.to_host), key=lambda each: each.waiting)
            self._ended(slowest.conn, Outcome.OVERRUN)
            if slowest is end:
                return
        self._watch(end)

    def _flush(self, end: End) -> None:
        budget, out = FLUSH_SIZE, end.out
        while out and budget > 0:
            try:
                # The view must be gone before the buffer may shrink.
                with memoryview(out) as view:
                    sent = end.sock.send(view[:budget])
            except BlockingIOError:
                return
            except OSError:
                self._failed(end)
                return
            del out[:sent]
            self._waiting -= sent
            budget -= sent
        if out:
            return
        end.out = None
        self._watch(end)
        if not end.peer.read:
            end.peer.read = True
            self._watch(end.peer)

    def _watch(self, end: End) -> None:
        self._epoll.modify(end.fd, (_IN if end.read else 0) | (_OUT if end.out else 0))
