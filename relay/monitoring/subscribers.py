"""Those who follow the relay's state over the control socket: a JSON line now and then, until they go.

Each line is what relay/monitoring/status.py gives. A follower that reads too slowly is dropped, and there are never
more than MOST of them, so that being watched costs a game nothing it could feel.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

from relay.net import control_socket

log = logging.getLogger("netplay-relay")

MOST = 4
# Seconds between two lines: what is asked for, within these.
SHORTEST, LONGEST = 0.2, 60.0


class Subscribers:
    """Sends what look gives. look is told the number of the last ending its follower has been shown."""

    def __init__(self, look: Callable[[int], dict[str, Any]]) -> None:
        self._look = look
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    async def add(self, sock: socket.socket, request: dict[str, Any]) -> dict[str, Any] | None:
        """Take a follower, as a control socket's handler; request["every"] is in seconds, 1 without it."""
        every = request.get("every", 1.0)
        if isinstance(every, bool) or not isinstance(every, (int, float)):
            return {"error": f"every is a number of seconds, not {every!r}"}
        if len(self._tasks) >= MOST:
            return {"error": f"{MOST} follow already, and no more may"}
        pause = min(LONGEST, max(SHORTEST, float(every)))
        task = asyncio.get_running_loop().create_task(self._serve(sock, pause))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return None

    def close(self) -> None:
        """Let go of all of them."""
        for task in self._tasks:
            task.cancel()

    async def _serve(self, sock: socket.socket, pause: float) -> None:
        known = 0
        try:
            while True:
                state = self._look(known)
                known = max([known, *(entry["number"] for entry in state["ended"])])
                await control_socket.answer(sock, state)
                await asyncio.sleep(pause)
        except (OSError, TimeoutError) as error:
            log.debug("somebody follows no more: %s", error)
        finally:
            sock.close()
