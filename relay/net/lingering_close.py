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
from collections.abc import Callable, Iterator
from typing import Any

from relay.spool import Backlog

# Bytes that one is sent in one wake-up, so that nobody waits for it.
SENT_AT_ONCE = 256 * 1024


class LingeringClose:
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
        self._unsent: dict[socket.socket, memoryview | Backlog] = {}

    def __len__(self) -> int:
        return len(self._left)

    def say(self, sock: socket.socket, data: bytes | Backlog = b"") -> None:
        """Close a non-blocking socket that nobody watches any more, after sending data to it."""
        if len(self._left) >= self._most:
            sock.close()
            return
        self._left[sock] = self._loop.call_later(self._seconds, self._close, sock)
        self._loop.add_reader(sock.fileno(), self._discard, sock)
        self._unsent[sock] = data if isinstance(data, Backlog) else memoryview(data)
        self._push(sock)

    def backlogs(self) -> Iterator[tuple[socket.socket, Backlog]]:
        """Return what was waiting for the connections that are being closed."""
        return ((sock, unsent) for sock, unsent in self._unsent.items() if isinstance(unsent, Backlog))

    def cut_off(self, sock: socket.socket) -> None:
        """Close one now, whatever is left of it."""
        self._close(sock)

    def capture(self) -> list[tuple[int, Any]]:
        """Return what is left as plain data: descriptor, and what is still to be sent, in base64 or as a backlog."""
        return [(sock.fileno(), _saved(self._unsent.get(sock, memoryview(b"")))) for sock in self._left]

    def close(self) -> None:
        """Close all that is left."""
        for sock in list(self._left):
            self._close(sock)

    def _push(self, sock: socket.socket) -> None:
        unsent = self._unsent[sock]
        try:
            left = self._send_some(sock, unsent)
        except BlockingIOError:
            left = True
        except OSError:
            self._close(sock)
            return
        if left:
            self._loop.add_writer(sock.fileno(), self._push, sock)
            return
        self._unsent.pop(sock, None)
        self._loop.remove_writer(sock.fileno())
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_WR)

    def _send_some(self, sock: socket.socket, unsent: memoryview | Backlog) -> bool:
        """Send a part; return whether anything is left. Raises OSError."""
        if isinstance(unsent, Backlog):
            views = unsent.views(SENT_AT_ONCE)
            if views:
                unsent.sent(sock.sendmsg(views), 0.0)
                return bool(unsent) and not unsent.blocked
            return False
        if unsent:
            self._unsent[sock] = unsent = unsent[sock.send(unsent[:SENT_AT_ONCE]) :]
        return bool(unsent)

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
            if isinstance(unsent := self._unsent.pop(sock, None), Backlog):
                unsent.close()
            self._loop.remove_reader(sock.fileno())
            self._loop.remove_writer(sock.fileno())
            sock.close()
            self._over()


def _saved(unsent: memoryview | Backlog) -> Any:
    return unsent.save() if isinstance(unsent, Backlog) else b64encode(unsent).decode("ascii")
