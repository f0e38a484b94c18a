"""The two ends of a link: what stands behind each, and the little of it that every message needs."""

from __future__ import annotations

import socket
from collections.abc import Callable

from relay.netplay.framing import Data, Direction
from relay.netplay.watcher import Watcher
from relay.spool import Backlog
from relay.switchboard.connection import Conn

NOBODY = -2
"""In Flow.who: nobody looks at what goes by."""
WAITING = -1
"""In Flow.to: nothing can be written there at once."""


class Flow:
    """What a message from one end needs, and no more: each further object that is touched costs every message time.

    What is rarely needed stands in end. to: the descriptor it goes to, WAITING while something waits there. received:
    bytes. who and frame: whose INPUT is understood at a glance, and its newest frame (Direction.glance); NOBODY where
    nobody looks.
    """

    __slots__ = ("end", "frame", "received", "to", "who")

    # Of one that is in use; what is left of it only counts.
    end: LinkEnd

    def __init__(self, end: LinkEnd | None, received: int = 0) -> None:
        if end:
            self.end = end
        self.to = WAITING
        self.received = received
        self.who, self.frame = NOBODY, 0


class LinkEnd:
    """One end of a link. out is what waits to be sent to it, None while nothing does; read: it may be read from.

    The watcher is shown what this end sends, after it was sent on; None where nothing is to be seen.
    """

    __slots__ = ("_watcher", "_way", "conn", "fd", "flow", "out", "peer", "read", "sock", "to_host")

    peer: LinkEnd

    def __init__(self, conn: Conn, sock: socket.socket, received: int = 0, out: Backlog | None = None) -> None:
        self.conn = conn
        self.sock = sock
        self.fd = sock.fileno()
        self.out = out or None
        self.read = True
        self.to_host = not conn.is_link
        self.flow = Flow(self, received)
        self._watcher: Watcher | None = None
        self._way: Direction | None = None

    def join(self, peer: LinkEnd, watcher: Watcher | None) -> None:
        """Make a link of two ends."""
        self.peer, peer.peer = peer, self
        self.flow.to = WAITING if peer.out else peer.fd
        peer.flow.to = WAITING if self.out else self.fd
        if watcher:
            self.watch(watcher)
            peer.watch(watcher)

    @property
    def name(self) -> str:
        """What it is called in a log, where no address belongs."""
        return "a client" if self.to_host else "a host"

    def watch(self, watcher: Watcher | None) -> None:
        """Show a watcher what this end sends from now on."""
        self._watcher = watcher
        self._way = watcher.way(self.to_host) if watcher else None
        self._expect()

    def _expect(self) -> None:
        self.flow.who, self.flow.frame = self._way.glance() if self._way else (NOBODY, 0)

    @property
    def watcher(self) -> Watcher | None:
        """The watcher of the link, told of all that was understood at a glance until now."""
        self.tell_glances()
        self.peer.tell_glances()
        return self._watcher

    def tell_glances(self) -> None:
        """Tell the watcher what was understood at a glance of what this end sent."""
        if self._way and self.flow.who >= 0:
            self._way.glanced(self.flow.frame)

    def look(self, data: Data) -> None:
        """Show the watcher what this end sent and what could not be understood at a glance."""
        if self._way:
            self.tell_glances()
            self._way.feed(data)
            self._expect()

    @property
    def received(self) -> int:
        """How many bytes came from it."""
        return self.flow.received

    @property
    def waiting(self) -> int:
        """How many bytes wait to be sent to it."""
        return len(self.out) if self.out else 0

    def keep(self, data: Data, backlog: Callable[[], Backlog]) -> None:
        """Let data wait, in a new backlog if nothing has waited until now."""
        if self.out is None:
            self.out = backlog()
        self.out.add(data)
        self.peer.flow.to = WAITING

    def caught_up(self) -> None:
        """Nothing waits to be sent to it any more: what comes from its peer goes straight there."""
        self.out = None
        self.peer.flow.to = self.fd

    def part(self) -> None:
        """Let go of the other end, both having been released: a circle of them is freed by the collector alone.

        `received` can still be asked for, of both.
        """
        for end in (self, self.peer):
            end.flow = Flow(None, end.flow.received)
        del self.peer.peer, self.peer
