"""Closing without losing the last words.

A socket that is closed while bytes from its peer are unread answers with a reset, and a reset may take what was sent
before with it: the reason for a refusal, or the last frames of a game. So: send what is left, close the sending side
(the peer sees the end at once), read and forget until the peer closes too, all within a bound.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from base64 import b64encode
from collections.abc import Callable


class Farewells:
    """Sockets that are being closed. seconds bounds each.

    More than most at once are closed abruptly: a flood must not live on in its farewells. over is called whenever one
    has ended.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        seconds: float,
        most: int,
        over: Callable[[], None] = lambda: None,
    ) -> None:
        self._loop = loop
        self._seconds = seconds
        self._most = most
        self._over = over
        self._left: dict[socket.socket, asyncio.TimerHandle] = {}
        self._unsent: dict[socket.socket, memoryview] = {}

    def __len__(self) -> int:
        return len(self._left)

    def say(self, sock: socket.socket, data: bytes | bytearray = b"") -> None:
        """Close a non-blocking socket that nobody watches any more, after sending data to it."""
        if len(self._left) >= self._most:
            sock.close()
            return
        self._left[sock] = self._loop.call_later(self._seconds, self._close, sock)
        self._loop.add_reader(sock.fileno(), self._discard, sock)
        self._push(sock, memoryview(data))

    def capture(self) -> list[tuple[int, str]]:
        """Return what is left as plain data: descriptor and the bytes (base64) still to be sent."""
        return [(sock.fileno(), b64encode(self._unsent.get(sock, b"")).decode("ascii")) for sock in self._left]

    def close(self) -> None:
        """Close all that is left."""
        for sock in list(self._left):
            self._close(sock)

    def _push(self, sock: socket.socket, data: memoryview) -> None:
        try:
            while data:
                data = data[sock.send(data) :]
        except BlockingIOError:
            self._unsent[sock] = data
            self._loop.add_writer(sock.fileno(), self._push, sock, data)
            return
        except OSError:
            self._close(sock)
            return
        self._unsent.pop(sock, None)
        self._loop.remove_writer(sock.fileno())
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_WR)

    def _discard(self, sock: socket.socket) -> None:
        try:
            if sock.recv(16384):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._close(sock)

    def _close(self, sock: socket.socket) -> None:
        if timer := self._left.pop(sock, None):
            timer.cancel()
            self._unsent.pop(sock, None)
            self._loop.remove_reader(sock.fileno())
            self._loop.remove_writer(sock.fileno())
            sock.close()
            self._over()
