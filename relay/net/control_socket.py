"""The relay's unix socket: one request a connection, a JSON object on a line, and a JSON object back.

Who may use it is the file system's business: the socket is open to the relay's own user and root.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from relay.control_client import SECONDS
from relay.net import sockets

log = logging.getLogger("netplay-relay")

MOST = 16
# How long nothing is accepted when file descriptors have run out.
PAUSE = 0.1
REQUEST_SIZE = 65536

Handler = Callable[[socket.socket, dict[str, Any]], Awaitable[dict[str, Any] | None]]


class ControlSocket:
    """Answers requests by name. A handler returns the answer, or None when it has kept the socket for itself."""

    def __init__(self, path: Path, handlers: Mapping[str, Handler]) -> None:
        self._path = path
        self._handlers = handlers
        self._tasks: set[asyncio.Task[None]] = set()
        self._sock: socket.socket | None = None

    def open(self, inherited: int | None = None) -> None:
        """Listen, on the descriptor an older program left or anew. Raises OSError.

        A socket of somebody else at the path is replaced.
        """
        self._sock = sockets.inherit(inherited) if inherited is not None else self._listen()
        asyncio.get_running_loop().add_reader(self._sock.fileno(), self._accept)

    def capture(self) -> dict[str, Any] | None:
        """Return descriptor and path for a newer program."""
        return {"fd": self._sock.fileno(), "path": str(self._path)} if self._sock else None

    def _listen(self) -> socket.socket:
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o117)
        try:
            sock.bind(str(temporary))
            sock.listen(MOST)
            sock.setblocking(False)
            temporary.replace(self._path)
        except OSError:
            sock.close()
            temporary.unlink(missing_ok=True)
            raise
        finally:
            os.umask(mask)
        return sock

    def point(self, path: Path) -> None:
        """Have another path lead here. Raises OSError."""
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(self._path)
        temporary.replace(path)

    def close(self) -> None:
        """Stop listening; the path stays for whoever comes next."""
        if self._sock:
            asyncio.get_running_loop().remove_reader(self._sock.fileno())
            self._sock.close()
            self._sock = None
        for task in self._tasks:
            task.cancel()

    def _accept(self) -> None:
        if not self._sock:
            return
        try:
            sock, _ = self._sock.accept()
        except OSError as error:
            if error.errno in sockets.OUT_OF_FILES:
                # What waits would wake the loop for ever.
                loop = asyncio.get_running_loop()
                loop.remove_reader(self._sock.fileno())
                loop.call_later(PAUSE, self._accept_again)
            return
        sock.setblocking(False)
        if len(self._tasks) >= MOST:
            sock.close()
            return
        task = asyncio.get_running_loop().create_task(self._serve(sock))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _accept_again(self) -> None:
        if self._sock:
            asyncio.get_running_loop().add_reader(self._sock.fileno(), self._accept)

    async def _serve(self, sock: socket.socket) -> None:
        kept = False
        try:
            async with asyncio.timeout(SECONDS):
                request = await _request(sock)
            name = str(request.get("do"))
            handler = self._handlers.get(name)
            if handler is None:
                await answer(sock, {"error": f"no such request: {name!r}", "requests": sorted(self._handlers)})
            elif (result := await handler(sock, request)) is None:
                kept = True
            else:
                await answer(sock, result)
        except (OSError, ValueError, TimeoutError) as error:
            log.debug("control request failed: %s", error)
        finally:
            if not kept:
                sock.close()


async def _request(sock: socket.socket) -> dict[str, Any]:
    data = b""
    while not data.endswith(b"\n"):
        chunk = await asyncio.get_running_loop().sock_recv(sock, REQUEST_SIZE)
        data += chunk
        if not chunk or len(data) > REQUEST_SIZE:
            raise ValueError("a request is one line of JSON")
    request = json.loads(data)
    if not isinstance(request, dict):
        raise ValueError("a request is an object")
    return request


async def answer(sock: socket.socket, result: dict[str, Any]) -> None:
    """Send an answer, within a bound."""
    async with asyncio.timeout(SECONDS):
        await asyncio.get_running_loop().sock_sendall(sock, json.dumps(result).encode() + b"\n")
