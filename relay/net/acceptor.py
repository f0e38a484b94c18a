"""The relay's listeners: one connection is accepted a wake-up, and a shortage of descriptors is lived through."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable, Iterable

from relay.logs import Events, Seldom
from relay.net import sockets
from relay.net.poller import Poller

# How long (seconds) nothing is accepted when there is no file descriptor left at all.
OUT_OF_FILES = 0.1

Connected = Callable[[socket.socket, tuple[str, int], int], None]


class Acceptor:
    """Accepts on listeners. connected(sock, peer, port) is given each new connection, and the port it came to."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        readiness: Poller,
        listeners: Iterable[socket.socket],
        connected: Connected,
        events: Events,
    ) -> None:
        self.listeners = list(listeners)
        self._loop = loop
        self._readiness = readiness
        self._connected = connected
        self._events = events
        self._reserve: int | None = os.open(os.devnull, os.O_RDONLY)
        self._seldom = Seldom(loop.time)

    def open(self) -> None:
        """Begin to accept."""
        for listener in self.listeners:
            self.listen(listener)

    def listen(self, listener: socket.socket) -> None:
        """Accept on a listener from now on, unless it has been closed meanwhile."""
        if listener.fileno() >= 0:
            self._readiness.watch(listener.fileno(), self._accept, (listener, listener.getsockname()[1]))

    def close(self) -> None:
        """Accept no more."""
        for listener in self.listeners:
            self._readiness.forget(listener.fileno())
            listener.close()
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None

    def _accept(self, at: tuple[socket.socket, int]) -> None:
        """Accept one connection: games come between it and the next, so a flood does not keep them waiting."""
        listener, port = at
        try:
            sock, peer = listener.accept()
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno in sockets.OUT_OF_FILES:
                self._shed(listener)
            # Anything else happened to one connection before it was ours (ECONNABORTED and the like).
            return
        sock.setblocking(False)
        self._connected(sock, peer, port)

    def _shed(self, listener: socket.socket) -> None:
        # With no descriptor left, what waits in the backlog would wake the loop for ever: spend the reserve on
        # accepting and closing one connection.
        if self._reserve is not None:
            os.close(self._reserve)
        with contextlib.suppress(OSError):
            listener.accept()[0].close()
        try:
            self._reserve = os.open(os.devnull, os.O_RDONLY)
        except OSError:
            self._reserve = None
            self._readiness.forget(listener.fileno())
            self._loop.call_later(OUT_OF_FILES, self.listen, listener)
        if count := self._seldom.count():
            sentence = "out of file descriptors: {count} connections were closed unseen"
            self._events.write(logging.WARNING, "out-of-files", sentence, count=count)
