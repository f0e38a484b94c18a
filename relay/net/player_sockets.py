"""The sockets of those who sit in core-less rooms: read when there is something, and written as far as they take it.

What a slow reader does not take waits in a backlog of its own, bounded: there is no host here whom it could stop, and
the others' game must not wait for it. A savestate waits in it too, but is there once for all who are sent it.
"""

from __future__ import annotations

import asyncio
import select
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator

from relay.net.poller import Poller
from relay.outcomes import Outcome
from relay.spool import Backlog, Blob, Spool, SpoolFullError
from relay.switchboard.connection import Conn

# What is read at once: commands, each of which may have to be told to fifteen others; and of a savestate.
READ_SIZE = 1024
READ_OF_STATE = 64 * 1024
NOTHING = 0
# What one who catches up may be sent in one wake-up, so that the others do not wait for it.
FLUSH_SIZE = 256 * 1024
# A sweep that comes so many seconds late means that the relay, or its machine, stood still: it says nothing of players.
SLEPT = 1.0


class PlayerSocket:
    """One socket. received counts its bytes, sent those it took; out is what waits to be sent to it, None for nothing.

    broken: its end is about to be told, with outcome; what is to be sent to it is not any more. want: how many bytes
    are read at once. events: what the kernel is asked to tell. resting: it is not read, for it has sent too much.
    """

    __slots__ = ("broken", "conn", "events", "fd", "out", "outcome", "received", "resting", "sent", "sock", "want")

    def __init__(self, conn: Conn, sock: socket.socket) -> None:
        self.conn = conn
        self.sock = sock
        self.fd = sock.fileno()
        self.out: Backlog | None = None
        self.received = 0
        self.sent = 0
        self.broken = False
        self.outcome: Outcome | None = None
        self.want = READ_SIZE
        self.events = select.EPOLLIN
        self.resting = False

    @property
    def waiting(self) -> int:
        """How many bytes wait to be sent to it."""
        return len(self.out) if self.out else 0


class PlayerSockets:
    """All of them. They stand where all other connections do (relay/net/poller.py).

    received(conn, data) and ended(conn, outcome) are called as things happen, never from within `send`; outcome is None
    where the peer closed. appetite(conn) tells how many bytes it may be worth to read of it at once.
    slow bounds what may wait for one of them (bytes), but one message is taken whatever its size, and a savestate for
    as long as it shrinks: one that the room has let through must reach everybody. slow_all bounds what waits for all of
    them together, savestates not counted: whoever keeps most waiting goes first. clock returns seconds.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        readiness: Poller,
        received: Callable[[Conn, bytes], None],
        ended: Callable[[Conn, Outcome | None], None],
        slow: int,
        slow_all: int,
        spool: Spool | None = None,
        clock: Callable[[], float] = time.monotonic,
        appetite: Callable[[Conn], int] = lambda _: READ_SIZE,
    ) -> None:
        self._loop = loop
        self._readiness = readiness
        self._received = received
        self._ended = ended
        self._slow = slow
        self._slow_all = slow_all
        self._spool = spool or Spool(slow_all)
        self._clock = clock
        self._appetite = appetite
        self._waiting = 0
        self._swept: float | None = None
        self._by_conn: dict[Conn, PlayerSocket] = {}

    def __len__(self) -> int:
        return len(self._by_conn)

    def __iter__(self) -> Iterator[PlayerSocket]:
        return iter(self._by_conn.values())

    def of(self, conn: Conn) -> PlayerSocket | None:
        """Return a connection's seat."""
        return self._by_conn.get(conn)

    def add(
        self, conn: Conn, sock: socket.socket, waiting: Backlog | None = None, received: int = 0, sent: int = 0
    ) -> PlayerSocket:
        """Take over a connected, non-blocking socket, with what waits to be sent to it."""
        seat = self._by_conn[conn] = PlayerSocket(conn, sock)
        seat.received, seat.sent = received, sent
        self._readiness.watch(seat.fd, self._ready, seat)
        if waiting:
            seat.out = waiting
            self._waiting += waiting.own
            self._ask(seat)
        return seat

    def release(self, conn: Conn) -> PlayerSocket:
        """Give a socket back, with what could not be sent to it. KeyError if it has none."""
        seat = self._by_conn.pop(conn)
        self._readiness.forget(seat.fd)
        if seat.out:
            self._waiting -= seat.out.own
        return seat

    def send(self, seat: PlayerSocket, data: bytes | Blob) -> None:
        """Send, or keep what is not taken now."""
        if seat.broken:
            return
        if seat.out or isinstance(data, Blob):
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
            self._keep(seat, data[sent:])

    def end_broken(self) -> None:
        """Tell the ends that are about to be told: another program would take those seats for whole ones."""
        for _ in range(len(self)):  # what is sent to the others at one's end may be too much for the next
            for seat in [seat for seat in self._by_conn.values() if seat.broken]:
                self._ended(seat.conn, seat.outcome)

    def is_whole(self, blob: Blob) -> None:
        """Begin to send a blob that was not whole to those who wait for it; one that is lost has kept the rest back."""
        for seat in self:
            if seat.out and any(each is blob for each in seat.out.blobs()):
                seat.out.measure()
                self._ask(seat)

    def sweep(self) -> None:
        """End whoever takes too little of more than may wait for one. Call it a few times a second."""
        now = self._clock()
        slept = self._swept is not None and now - self._swept > SLEPT
        self._swept = now
        for seat in list(self):
            out = seat.out
            if not out or seat.broken:
                continue
            if len(out) <= self._slow or slept:
                out.look(now)
            elif out.too_slow(now):
                self._break(seat, Outcome.OVERRUN)

    def rest(self, conn: Conn, seconds: float) -> None:
        """Read nothing of somebody for a while."""
        seat = self._by_conn.get(conn)
        if seat and not seat.resting:
            seat.resting = True
            self._ask(seat)
            self._loop.call_later(seconds, self._wake, seat)
            self._readiness.touched = True

    def take_away(self, seat: PlayerSocket) -> None:
        """Give back at once what waits for somebody, and end it as soon as nothing else is being done."""
        if seat.out:
            self._waiting -= seat.out.own
            seat.out.close()
        if not seat.broken:
            self._break(seat, Outcome.OVERRUN)

    def _wake(self, seat: PlayerSocket) -> None:
        seat.resting = False
        if self._by_conn.get(seat.conn) is seat:
            self._ask(seat)

    def _ask(self, seat: PlayerSocket) -> None:
        """Have the kernel tell what there is to do: to read, and to write where something may be sent."""
        events = NOTHING if seat.resting else select.EPOLLIN
        if seat.out and not seat.out.blocked:
            events |= select.EPOLLOUT
        if events != seat.events:
            seat.events = events
            self._readiness.epoll.modify(seat.fd, events)

    def _keep(self, seat: PlayerSocket, data: bytes | Blob) -> None:
        if seat.out is None:
            seat.out = Backlog(self._spool, self._clock())
        if seat.out.own > self._slow:
            self._break(seat, Outcome.OVERRUN)
            return
        own = seat.out.own
        if isinstance(data, Blob):
            seat.out.add_blob(data)
        else:
            try:
                seat.out.add(data)
            except SpoolFullError:
                # With a hole in what it is sent nobody can play.
                self._waiting += seat.out.own - own
                self.take_away(seat)
                return
            self._waiting += len(data)
            while self._waiting > self._slow_all:
                self.take_away(self._slowest())
        self._ask(seat)

    def _slowest(self) -> PlayerSocket:
        """Return for whom most waits, of the address for which most waits."""
        waiting: Counter[bytes] = Counter()
        kept = [(seat, seat.out.own) for seat in self if seat.out]
        for seat, own in kept:
            waiting[seat.conn.source] += own
        return max(kept, key=lambda each: (waiting[each[0].conn.source], each[1]))[0]

    def _break(self, seat: PlayerSocket, outcome: Outcome | None) -> None:
        # Not now: the room has perhaps more to send to others, and what this end leads to comes after it.
        seat.broken, seat.outcome = True, outcome
        self._loop.call_soon(self._ended, seat.conn, outcome)
        self._readiness.touched = True

    def _ready(self, seat: PlayerSocket) -> None:
        if seat.out and not self._flush(seat):
            return
        if seat.resting:
            # The kernel tells of a failed connection whatever it was asked, and would go on doing so.
            if seat.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self._ended(seat.conn, None)
            return
        try:
            data = seat.sock.recv(seat.want)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._ended(seat.conn, None)
            return
        seat.received += len(data)
        self._received(seat.conn, data)
        if len(data) == seat.want:
            # There is more: of a savestate, or of what nobody sends who plays.
            seat.want = self._appetite(seat.conn)
        elif seat.want != READ_SIZE:
            seat.want = READ_SIZE

    def _flush(self, seat: PlayerSocket) -> bool:
        """Send of what waits; return whether the connection still stands."""
        out = seat.out
        if not out or out.closed or not (views := out.views(FLUSH_SIZE)):
            return True
        try:
            sent = seat.sock.sendmsg(views)
        except BlockingIOError:
            return True
        except OSError:
            self._ended(seat.conn, None)
            return False
        own = out.own
        out.sent(sent, self._clock())
        seat.sent += sent
        self._waiting -= own - out.own
        if not out:
            seat.out = None
        self._ask(seat)
        return True
