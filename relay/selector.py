"""A selector for asyncio that serves running links by itself, between two looks at everything else.

asyncio turns every ready socket into a callback, and a game is nothing but ready sockets: sixty times a second each.
So links share the event loop's epoll, but their events go straight to the forwarder, and the loop hears only of the
others. Costs and gains: docs/performance.md.
"""

from __future__ import annotations

import math
import select
import selectors
import time
from collections.abc import Callable

BATCH = 256

Events = list[tuple[int, int]]
# Serves its own among the events and returns the others; None where there are none and the loop need not wake up.
Serve = Callable[[Events], Events | None]


class LinkSelector(selectors.EpollSelector):
    """Linux's epoll with a short cut. Without one attached it is what asyncio uses anyway."""

    def __init__(self) -> None:
        super().__init__()
        self._serve: Serve | None = None

    def attach(self, serve: Serve) -> select.epoll:
        """Let serve see all events first, from now on; return the epoll on which its sockets are to be registered."""
        self._serve = serve
        epoll: select.epoll = self._selector  # type: ignore[attr-defined]
        return epoll

    def detach(self) -> None:
        """Go back to what asyncio knows."""
        self._serve = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait at most timeout seconds (None: for ever) for something that is not a link's."""
        if self._serve is None:
            return super().select(timeout)
        poll = self._selector.poll  # type: ignore[attr-defined]
        # Rounded up to what epoll counts in, or the loop would spin until a timer is due.
        wait = -1.0 if timeout is None else math.ceil(max(timeout, 0.0) * 1e3) * 1e-3
        end = time.monotonic() + wait
        while True:
            try:
                others = self._serve(poll(wait, BATCH))
            except InterruptedError:
                return []
            if others is not None:
                return self._ready(others)
            if timeout is not None:
                wait = end - time.monotonic()
                if wait <= 0:
                    return []

    def _ready(self, events: Events) -> list[tuple[selectors.SelectorKey, int]]:
        known = self.get_map()
        ready = []
        for fd, mask in events:
            if key := known.get(fd):
                write = selectors.EVENT_WRITE if mask & ~select.EPOLLIN else 0
                read = selectors.EVENT_READ if mask & ~select.EPOLLOUT else 0
                if wanted := (write | read) & key.events:
                    ready.append((key, wanted))
        return ready
