"""The byte path: what is read from one end of a link is sent to the other, at once and unchanged.

One wake-up serves many linked sockets, without a task, a lock, a timer or a callback for a message
(relay/net/poller.py). Measured against alternatives in docs/performance.md.

A slow reader is treated by what it is. A client: the host is read on, and what it sends waits in that client's own
bounded buffer, for a host whose socket is full freezes its game for everybody. The host: the client that sends to it
is not read until the host has caught up.

A savestate can be more than that buffer may hold. So more may wait for a client that takes some of it, within bounds
(`_may_have_more`). Beyond them the host is not read until the client has caught up, which is what both would know of a
direct connection. A client that takes nothing is dropped after GRACE seconds, and one that takes next to nothing after
PACE_SECONDS (relay/spool.py), for its host stands still meanwhile.
"""

from __future__ import annotations

import logging
import select
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from os import read, write

from relay.net import sockets
from relay.net.link import NOBODY, Flow, LinkEnd
from relay.net.poller import Poller
from relay.net.selector import BATCH, Events, Poll
from relay.netplay.framing import HEAD_SIZE, INPUT, LEAST_INPUT, Data, head_of_input
from relay.netplay.watcher import Watcher
from relay.outcomes import Outcome
from relay.spool import Backlog, Spool, SpoolFullError
from relay.switchboard.connection import Conn

log = logging.getLogger("netplay-relay")

READ_SIZE = 64 * 1024
# What a message is read with, and a game's fit into it with room to spare. A bytes object of this size comes from
# Python's own allocator for small things; whatever fills it is read on with READ_SIZE.
MESSAGE = 472
LEAST_MESSAGE = HEAD_SIZE + LEAST_INPUT
# The table of descriptors begins with so many, and doubles: to look beyond its end is an exception, which costs time.
DESCRIPTORS = 4096
# What one slow reader that catches up may be sent in one wake-up, so that its neighbours do not wait for it.
FLUSH_SIZE = 256 * 1024
# Seconds in which a client for whom too much waits has to take something of it. A RetroArch that is stopped for so long
# plays on; after 5 s a host gives up a player, and after 10 s a client its host (docs/protocol.md, Time limits).
GRACE = 4.0
# Seconds after which a client that has taken nothing takes nothing, so that no more is read for it than may wait.
TAKES = 1.0
# The part of what may wait for all clients that one can have who takes what waits; and the part beyond which nobody can
# have more than may wait for one.
SHARE, PRESSED = 4, 2
# A sweep that comes so many seconds late means that the relay, or its machine, stood still: it says nothing of clients.
SLEPT = 1.0
# Reads of what an end sent before it failed: its last words still reach the other end.
LAST_READS = 8

_IN = select.EPOLLIN
_OUT = select.EPOLLOUT
# Told once for what has come, not again until more comes: the kernel need not look a second time whether a socket that
# was read empty is empty. So whoever does not read to the end has to ask again (_watch): epoll(7), edge-triggered. What
# else may be there is told with it: an end, or urgent data, before which a read stops.
_EDGE = select.EPOLLET
_READABLE = select.EPOLLIN | select.EPOLLPRI | select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR


class Forwarder:
    """Forwards the bytes of all links whose sockets readiness watches.

    ended(conn, outcome) is called when an end has closed, failed or read too slowly; it must lead to `release` of both
    ends. slow_client bounds what waits for one client that does not take it, slow_clients what waits for all of them
    together (bytes), in the blocks of spool. clock returns seconds.
    """

    def __init__(
        self,
        readiness: Poller,
        ended: Callable[[Conn, Outcome], None],
        slow_client: int,
        slow_clients: int,
        spool: Spool | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spool = spool or Spool(slow_clients)
        self._clock = clock
        self._readiness = readiness
        self._epoll = readiness.epoll
        readiness.serve_links(self._serve)
        self._ended = ended
        self._slow_client = slow_client
        self._slow_clients = slow_clients
        self._waiting = 0
        # For whom more waits than may for who takes nothing.
        self._over: set[LinkEnd] = set()
        self._swept: float | None = None
        # By descriptor. A list, for in a dictionary each message would look at two more places.
        self._flows: list[Flow | None] = [None] * DESCRIPTORS
        self._by_conn: dict[Conn, LinkEnd] = {}
        self._view = memoryview(bytearray(READ_SIZE))

    def __len__(self) -> int:
        return len(self._by_conn)

    def __iter__(self) -> Iterator[LinkEnd]:
        return iter(self._by_conn.values())

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
        a, b = LinkEnd(*client), LinkEnd(*link)
        a.join(b, watcher)
        for end in (a, b):
            self._readiness.cede(end.fd, _EDGE | _READABLE)
        self._add(a)
        self._add(b)
        for end, data in ((b, to_host), (a, to_client)):
            if data and end.conn in self._by_conn:
                end.peer.flow.received += len(data)
                self._pass_on(end, data)
                self._look(end.peer, data)

    def release(self, conn: Conn) -> tuple[socket.socket, Backlog | None]:
        """Stop forwarding for one end; return its socket and what could not be sent to it yet. KeyError if unknown."""
        end = self._by_conn.pop(conn)
        self._flows[end.fd] = None
        self._epoll.unregister(end.fd)
        self._note(end, -end.waiting)
        self._over.discard(end)
        out, end.out = end.out, None
        if not self._is_served(end.peer):
            end.part()
        # What the caller does now may be for the event loop to carry out.
        self._readiness.touched = True
        return end.sock, out

    def adopt(self, conn: Conn, sock: socket.socket, waiting: Backlog | None, received: int) -> LinkEnd:
        """Take over one end from another program; `pair` both ends of a link afterwards."""
        end = LinkEnd(conn, sock, received, waiting)
        self._note(end, end.waiting)
        self._add(end)
        return end

    def pair(self, client: LinkEnd, link: LinkEnd, watcher: Watcher | None) -> None:
        """Begin to forward between two adopted ends."""
        client.join(link, watcher)
        client.read = not link.out
        for end in (client, link):
            self._epoll.register(end.fd, 0)
            self._watch(end)
        if client.waiting > self._slow_client:
            self._is_over(client)

    def _add(self, end: LinkEnd) -> None:
        while end.fd >= len(self._flows):
            self._flows.extend([None] * len(self._flows))
        self._flows[end.fd] = end.flow
        self._by_conn[end.conn] = end

    def end_of(self, conn: Conn) -> LinkEnd | None:
        """Return the end that belongs to a connection."""
        return self._by_conn.get(conn)

    def _serve(self, poll: Poll, wait: float | None) -> Events | None:
        """Serve links until there is something else, or once where the wait has an end; return what others are told.

        Longer than it were nice, and with everything that is rare elsewhere: a message pays for every call.
        """
        flows, readiness = self._flows, self._readiness
        while True:
            others: Events | None = None
            for fd, mask in poll(wait, BATCH):
                try:
                    flow = flows[fd]
                except IndexError:
                    flow = None
                if flow is None:
                    # Somebody else's, or an end that has gone with its peer earlier in this batch.
                    others = others or []
                    others.append((fd, mask))
                    continue
                try:
                    if mask != _IN:
                        self._serve_end(flow.end, mask)
                        continue
                    try:
                        data = read(fd, MESSAGE)
                    except BlockingIOError:
                        continue
                    except OSError:
                        data = b""
                    count = len(data)
                    if not 0 < count < MESSAGE or flow.to < 0:
                        self._read_on(flow.end, data)
                        continue
                    flow.received += count
                    try:
                        sent = write(flow.to, data)
                    except BlockingIOError:
                        sent = 0
                    except OSError:
                        self._failed(flow.end.peer)
                        continue
                    if sent != count:
                        self._park(flow.end.peer, data[sent:])
                    # Last, so that looking never delays a byte.
                    who = flow.who
                    if who >= 0 and count >= LEAST_MESSAGE:
                        command, length, frame, whose = head_of_input(data)
                        if command == INPUT and length == count - HEAD_SIZE:
                            if whose == who and frame == flow.frame + 1:
                                flow.frame = frame
                                continue
                            if whose and not who:
                                # The host tells what the others play, too; nobody counts that.
                                continue
                    if who != NOBODY:
                        self._look(flow.end, data)
                except Exception:
                    self._mistaken(flow.end)
            if others is not None or readiness.touched:
                rest = readiness.tell(others or [])
                if rest is not None:
                    return rest
            if wait is not None:
                return None

    def _serve_end(self, end: LinkEnd, mask: int) -> None:
        """Serve an end that can be written to again, that has closed or that has failed."""
        if mask & _OUT:
            self._flush(end)
        if mask & _READABLE and self._is_served(end):
            self._read_on(end, b"")
            if mask & select.EPOLLPRI and self._is_served(end):
                self._watch(end)  # whatever the read said: it stops before urgent data

    def _read_on(self, end: LinkEnd, begun: bytes) -> None:
        """Read on after what was begun, pass it on together, and ask to be told again: there may be more."""
        at = len(begun)
        self._view[:at] = begun
        try:
            count = at + end.sock.recv_into(self._view[at:])
        except BlockingIOError:
            if not begun:
                return
            count = at
        except OSError:
            count = at
        if not count:
            self._ended(end.conn, Outcome.LEFT)
            return
        data = self._view[:count]
        end.flow.received += count
        if end.peer.out:
            self._park(end.peer, data)
        else:
            self._pass_on(end.peer, data)
        self._look(end, data)
        if self._is_served(end):
            self._watch(end)

    def _look(self, end: LinkEnd, data: Data) -> None:
        try:
            end.look(data)
        except Exception:
            # A game does not need to be looked at.
            log.exception("internal error: the link of %s is no longer watched", end.name)
            end.watch(None)

    def _mistaken(self, end: LinkEnd) -> None:
        """End one link for a mistake of ours; all the others go on."""
        log.exception("internal error: the link of %s is closed", end.name)
        self._readiness.touched = True
        try:
            if self._is_served(end):
                self._ended(end.conn if end.to_host else end.peer.conn, Outcome.LINK_FAILED)
        except Exception:
            log.exception("internal error while closing a broken link")
        for each in (end, getattr(end, "peer", end)):
            if self._is_served(each):
                self.release(each.conn)[0].close()

    def _is_served(self, end: LinkEnd) -> bool:
        return self._by_conn.get(end.conn) is end

    def _pass_on(self, end: LinkEnd, data: Data) -> None:
        try:
            sent = end.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._failed(end)
            return
        if sent != len(data):
            self._park(end, data[sent:])

    def _failed(self, end: LinkEnd) -> None:
        """End a link whose end cannot be sent to any more; what it had sent before still goes to the other."""
        for _ in range(LAST_READS):
            try:
                count = end.sock.recv_into(self._view)
            except OSError:
                break
            if not count:
                break
            if not self._keep(end.peer, self._view[:count]):
                return
        self._ended(end.conn, Outcome.LEFT)

    def _note(self, end: LinkEnd, more: int) -> None:
        """Count what waits for clients: what waits for a host is bounded by itself, for its client is not read."""
        if end.to_host:
            self._waiting += more

    def _backlog(self) -> Backlog:
        return Backlog(self._spool, self._clock())

    def _keep(self, end: LinkEnd, data: Data) -> bool:
        """Let data wait, and count it; return whether it does. Where it does not, the link is ended, or about to be."""
        if end.out is not None and end.out.closed:
            return False
        before = end.waiting
        try:
            end.keep(data, self._backlog)
        except SpoolFullError:
            # With a hole in what it is sent nobody can play.
            self._note(end, end.waiting - before)
            self.take_away(end)
            self._ended(end.conn if end.to_host else end.peer.conn, Outcome.OVERRUN)
            return False
        self._note(end, len(data))
        return True

    def _park(self, end: LinkEnd, data: Data) -> None:
        if not self._keep(end, data):
            return
        if end.conn.is_link:
            if end.peer.read:
                end.peer.read = False
                self._watch(end.peer)
        elif self._waiting > self._slow_clients:
            slowest = self._slowest()
            self._ended(slowest.conn, Outcome.OVERRUN)
            if slowest is end:
                return
        elif end.waiting > self._slow_client:
            self._is_over(end)
        self._watch(end)

    def _slowest(self) -> LinkEnd:
        """Return for whom most waits, of the address for which most waits."""
        clients = [end for end in self if end.to_host]
        waiting: Counter[bytes] = Counter()
        for end in clients:
            waiting[end.conn.source] += end.waiting
        return max(clients, key=lambda end: (waiting[end.conn.source], end.waiting))

    def _is_over(self, end: LinkEnd) -> None:
        """Let more wait for who takes it; read no more for who does not, and end it if that lasts (`sweep`)."""
        now, out = self._clock(), end.out
        if out is None:
            return
        if end not in self._over:
            self._over.add(end)
            out.since = now
            out.look(now)
        if end.peer.read and not self._may_have_more(end, now):
            end.peer.read = False
            self._watch(end.peer)

    def _may_have_more(self, end: LinkEnd, now: float) -> bool:
        """Tell whether to read more for a client than what may wait for one: for who takes it, while there is room."""
        if end.out is None or end.waiting <= self._slow_client:
            return True
        if now - end.out.taken_at > TAKES or self._waiting > self._slow_clients // PRESSED:
            return False
        return end.waiting <= self._slow_client + self._slow_clients // SHARE

    def sweep(self) -> None:
        """End whoever takes nothing, or too little, of more than may wait for one. Call it a few times a second."""
        now = self._clock()
        slept = self._swept is not None and now - self._swept > SLEPT
        self._swept = now
        for end in list(self._over):
            out = end.out
            if not out or not self._is_served(end):
                continue
            out.acknowledged(sockets.unacked(end.sock), now)
            if slept:
                out.since = now
                out.look(now)
            if now - max(out.since, out.taken_at) > GRACE or out.too_slow(now):
                self._ended(end.conn, Outcome.OVERRUN)
            elif out.taken_at == now:
                self._shrinks(end)

    def _flush(self, end: LinkEnd) -> None:
        budget, out = FLUSH_SIZE, end.out
        while out and budget > 0 and not out.closed:
            views = out.views(budget)
            try:
                sent = end.sock.sendmsg(views)
            except BlockingIOError:
                return
            except OSError:
                self._failed(end)
                return
            out.sent(sent, self._clock())
            self._note(end, -sent)
            budget -= sent
        if end in self._over:
            self._shrinks(end)
        if out:
            self._watch(end)
            return
        end.caught_up()
        self._watch(end)
        if not end.peer.read:
            end.peer.read = True
            self._watch(end.peer)

    def _shrinks(self, end: LinkEnd) -> None:
        """Read the host again of a client that takes what waits for it, as soon as more may wait."""
        if end.waiting <= self._slow_client:
            self._over.discard(end)
        if not end.peer.read and self._may_have_more(end, self._clock()):
            end.peer.read = True
            self._watch(end.peer)

    def take_away(self, end: LinkEnd) -> None:
        """Give back at once what waits for a client, and end it as soon as nothing else is being done."""
        if end.out:
            self._note(end, -end.waiting)
            end.out.close()

    def _watch(self, end: LinkEnd) -> None:
        self._epoll.modify(end.fd, _EDGE | (_READABLE if end.read else 0) | (_OUT if end.out else 0))
