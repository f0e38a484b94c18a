"""Who is told that a socket can be read: the forwarder of its links, the server of each other connection.

Both without the detour over the event loop's callbacks: the sockets stand in the loop's own epoll
(relay/net/selector.py), or, on a loop that has another selector, in one of their own that the loop watches. A
connection that becomes an end of a link stays where it stands. Measured in docs/performance.md.
"""

from __future__ import annotations

import asyncio
import logging
import select
from collections.abc import Callable
from typing import Any

from relay.net.selector import BATCH, Events, LinkSelector, Poll, Serve

log = logging.getLogger("netplay-relay")


class Poller:
    """Watches sockets, by descriptor; whoever serves the links sees all events first, and passes on the others.

    Everybody who is told must take it calmly when there is nothing to read: events can be older than the descriptor.
    touched: whoever gives the event loop something to do meanwhile, a timer or a callback, says so by setting it, or
    the loop will look only when it wakes up for something else. Who is forgotten may have: that sets it, too.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, selector: LinkSelector | None = None) -> None:
        self.touched = False
        self._loop = loop
        self._selector = selector
        self._told: dict[int, tuple[Callable[[Any], object], Any]] = {}
        self._links: Serve = self._tell_all
        self.epoll = selector.attach(self._links) if selector else select.epoll()
        if not selector:
            loop.add_reader(self.epoll.fileno(), self._poll)

    def serve_links(self, links: Serve) -> None:
        """Let links wait for all events from now on; it gives those that are not its own to `tell`."""
        self._links = links
        if self._selector:
            self._selector.attach(links)

    def __len__(self) -> int:
        return len(self._told)

    def watch(self, fd: int, told: Callable[[Any], object], about: object) -> None:
        """Call told(about) whenever fd can be read or has ended. One socket at a time has a descriptor."""
        self._told[fd] = told, about
        self.epoll.register(fd, select.EPOLLIN)

    def forget(self, fd: int) -> None:
        """Watch fd no longer; nothing happens if it is not watched."""
        self.touched = True
        if self._told.pop(fd, None):
            self.epoll.unregister(fd)

    def cede(self, fd: int, events: int) -> None:
        """Leave fd to the links: it is registered for events from now on, whether it was watched before or not."""
        if self._told.pop(fd, None):
            self.epoll.modify(fd, events)
        else:
            self.epoll.register(fd, events)

    def close(self) -> None:
        """Watch nothing any more."""
        if self._selector:
            self._selector.detach()
        else:
            self._loop.remove_reader(self.epoll.fileno())
            self.epoll.close()

    def _poll(self) -> None:
        self._links(self.epoll.poll, 0)

    def _tell_all(self, poll: Poll, wait: float | None) -> Events | None:
        return self.tell(poll(wait, BATCH))

    def tell(self, events: Events) -> Events | None:
        """Tell all that are concerned; return the events of others, None when the event loop has nothing to do."""
        rest: Events = []
        for event in events:
            if entry := self._told.get(event[0]):
                told, about = entry
                try:
                    told(about)
                except Exception:
                    # As the event loop does it: what one connection breaks must not end everybody's game.
                    log.exception("internal error while serving %r", about)
                    self.touched = True
            else:
                rest.append(event)
        if not rest and not self.touched:
            return None
        self.touched = False
        return rest
