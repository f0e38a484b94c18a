"""The sockets of those who sit in core-less rooms: read when there is something, and written as far as they take it.

What a slow reader does not take waits in a buffer of its own, bounded: there is no host here whom it could stop, and
the others' game must not wait for it.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Callable

from relay.outcomes import Outcome
from relay.readiness import Readiness
from relay.states import Conn

READ_SIZE = 64 * 1024
READ_AND_WRITE = select.EPOLLIN | select.EPOLLOUT
# What one who catches up may be sent in one wake-up, so that the others do not wait for it.
FLUSH_SIZE = 1024 * 1024


class Seat:
    """One socket. received counts its bytes, sent those it took; out is what waits to be sent to it.

    broken: its end is about to be told, with outcome; what is to be sent to it is not any more.
    """

    __slots__ = ("broken", "conn", "fd", "out", "outcome", "received", "sent", "sock")

    def __init__(self, conn: Conn, sock: socket.socket) -> None:
        self.conn = conn
        self.sock = sock
        self.fd = sock.fileno()
        self.out = bytearray()
        self.received = 0
        self.sent = 0
        self.broken = False
        self.outcome: Outcome | None = None


class Seats:
    """All of them. They stand where all other connections do (relay/readiness.py).

    received(conn, data) and ended(conn, outcome) are called as things happen, never from within `send`; outcome is None
    where the peer closed.
    slow bounds what may wait for one of them (bytes), but one message is taken whatever its size: a savestate that the
    room has let through must reach everybody. slow_all bounds what waits for all of them together: whoever keeps most
    waiting goes first, for one such savestate waits once for each who does not read it.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        readiness: Readiness,
        received: Callable[[Conn, bytes], None],
        ended: Callable[[Conn, Outcome | None], None],
        slow: int,
        slow_all: int,
    ) -> None:
        self._loop = loop
        self._readiness = readiness
        self._received = received
        self._ended = ended
        self._slow = slow
        self._slow_all = slow_all
        self._waiting = 0
        self._by_conn: dict[Conn, Seat] = {}

    def __len__(self) -> int:
        return len(self._by_conn)

    def of(self, conn: Conn) -> Seat | None:
        """Return a connection's seat."""
        return self._by_conn.get(conn)

    def add(self, conn: Conn, sock: socket.socket, waiting: bytes = b"", received: int = 0, sent: int = 0) -> Seat:
        """Take over a connected, non-blocking socket, with what waits to be sent to it."""
        seat = self._by_conn[conn] = Seat(conn, sock)
        seat.received, seat.sent = received, sent
        self._readiness.watch(seat.fd, self._ready, seat)
        if waiting:
            seat.out += waiting
            self._waiting += len(waiting)
            self._readiness.epoll.modify(seat.fd, READ_AND_WRITE)
        return seat

    def release(self, conn: Conn) -> Seat:
        """Give a socket back, with what could not be sent to it. KeyError if it has none."""
        seat = self._by_conn.pop(conn)
        self._readiness.forget(seat.fd)
        self._waiting -= len(seat.out)
        return seat

    def send(self, seat: Seat, data: bytes) -> None:
        """Send, or keep what is not taken now."""
        if seat.broken:
            return
        if seat.out:
            self._keep(seat, data)
            return
        try:
            sent = seat.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._break(seat, None)
            return
        seat.sent += sent
        if sent != len(data):
            self._readiness.epoll.modify(seat.fd, READ_AND_WRITE)
            self._keep(seat, data[sent:])

    def end_broken(self) -> None:
        """Tell the ends that are about to be told: another program would take those seats for whole ones."""
        for _ in range(len(self)):  # what is sent to the others at one's end may be too much for the next
            for seat in [seat for seat in self._by_conn.values() if seat.broken]:
                self._ended(seat.conn, seat.outcome)

    def _keep(self, seat: Seat, data: bytes) -> None:
        if len(seat.out) > self._slow:
            self._break(seat, Outcome.OVERRUN)
        else:
            seat.out += data
            self._waiting += len(data)
            while self._waiting > self._slow_all:
                self._break_slowest()

    def _break_slowest(self) -> None:
        slowest = max(self._by_conn.values(), key=lambda each: len(each.out))
        # At once: what it would not read in all that time it will not read while it is told farewell.
        self._waiting -= len(slowest.out)
        slowest.out = bytearray()
        if not slowest.broken:
            self._break(slowest, Outcome.OVERRUN)

    def _break(self, seat: Seat, outcome: Outcome | None) -> None:
        # Not now: the room has perhaps more to send to others, and what this end leads to comes after it.
        seat.broken, seat.outcome = True, outcome
        self._loop.call_soon(self._ended, seat.conn, outcome)
        self._readiness.touched = True

    def _ready(self, seat: Seat) -> None:
        if seat.out and not self._flush(seat):
            return
        try:
            data = seat.sock.recv(READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            seat.received += len(data)
            self._received(seat.conn, data)
        else:
            self._ended(seat.conn, None)

    def _flush(self, seat: Seat) -> bool:
        """Send of what waits; return whether the connection still stands."""
        try:
            # The view must be gone before the buffer may shrink.
            with memoryview(seat.out) as view:
                sent = seat.sock.send(view[:FLUSH_SIZE])
        except BlockingIOError:
            return True
        except OSError:
            self._ended(seat.conn, None)
            return False
        seat.sent += sent
        del seat.out[:sent]
        self._waiting -= sent
        if not seat.out:
            self._readiness.epoll.modify(seat.fd, select.EPOLLIN)
        return True
