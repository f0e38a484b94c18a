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

from relay.net.wakeup import WakeupTimer

# Events of one wake-up. Python asks for the memory of as many each time: these fit into what malloc has at hand.
BATCH = 84

Events = list[tuple[int, int]]
# Waits so many seconds (None: for ever) for so many events.
Poll = Callable[[float | None, int], Events]
# Is given a poll and its seconds; serves its own among the events and returns the others, None where there are none
# and the loop need not wake up. It may poll again by itself where the wait has no end.
Serve = Callable[[Poll, float | None], Events | None]


class LinkSelector(selectors.EpollSelector):
    """Linux's epoll with a short cut. Without one attached it is what asyncio uses anyway."""

    def __init__(self) -> None:
        super().__init__()
        self._serve: Serve | None = None
        self._alarm: WakeupTimer | None = None

    def wake_by(self, alarm: WakeupTimer | None) -> None:
        """Let an alarm end the waits from now on that have a time-out; None: each ends by itself."""
        self._alarm = alarm

    def attach(self, serve: Serve) -> select.epoll:
        """Let serve see all events first, from now on; return the epoll on which its sockets are to be registered."""
        self._serve = serve
        epoll: select.epoll = self._selector  # type: ignore[attr-defined]
        return epoll

    def close(self) -> None:
        """Close it, as a loop does before it gives its signals back: an alarm that rang later would end the process."""
        if self._alarm:
            self._alarm.stop()
        super().close()

    def detach(self) -> None:
        """Go back to what asyncio knows."""
        self._serve = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait at most timeout seconds (None: for ever) for something that is not a link's."""
        if self._serve is None:
            return super().select(timeout)
        poll: Poll = self._selector.poll  # type: ignore[attr-defined]
        if timeout is not None and timeout > 0 and self._alarm:
            self._alarm.set(timeout)
            timeout = None
        if timeout is None:
            while (others := self._serve(poll, None)) is None:
                pass
            return self._ready(others)
        # Rounded up to what epoll counts in, or the loop would spin until a timer is due.
        wait = math.ceil(max(timeout, 0.0) * 1e3) * 1e-3
        end = time.monotonic() + wait
        while (others := self._serve(poll, wait)) is None:
            wait = end - time.monotonic()
            if wait <= 0:
                return []
        return self._ready(others)

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
