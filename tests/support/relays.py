"""A relay inside the test's own event loop, on loopback, with a clock that the test moves."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from relay.config import Config
from relay.logs import Events
from relay.net import sockets
from relay.net.server import Server
from tests.support.fakes import close_all

BOUND = 60.0


class Clock:
    """Seconds that pass only when the test says so."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@dataclass
class Relay:
    """A running relay: server, its address and port, its clock."""

    server: Server
    address: str
    port: int
    ports: list[int]
    clock: Clock

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and the relay look at its deadlines."""
        self.clock.now += seconds
        self.server.sweep()

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for a condition of the relay, bounded."""
        try:
            async with asyncio.timeout(BOUND):
                while not condition():  # noqa: ASYNC110 - the condition is another program's state, nobody sets an event
                    await asyncio.sleep(0.002)
        except TimeoutError:
            raise AssertionError(f"this did not happen within {BOUND} s: {what}") from None

    async def until_outcome(self, outcome: str, count: int = 1) -> None:
        """Wait until so many connections have ended with outcome."""
        outcomes = self.server.board.outcomes
        try:
            await self.until(lambda: _count(outcomes, outcome) >= count, outcome)
        except AssertionError:
            seen = {key.value: number for key, number in outcomes.items()}
            raise AssertionError(f"wanted {count} x {outcome}, the connections ended as {seen}") from None

    def assert_empty(self) -> None:
        """Assert that nothing is left of anybody."""
        board = self.server.board
        assert not board.busy
        assert board.connections == 0
        assert not self.server._socks
        assert len(self.server._forwarder) == 0
        assert not board._admission.per_source
        assert not board.rooms.hosted


def _count(outcomes: object, outcome: str) -> int:
    return sum(number for key, number in outcomes.items() if key.value == outcome)  # type: ignore[attr-defined]


def started(config: Config, listeners: list[socket.socket], clock: Clock, state: dict[str, Any] | None = None) -> Relay:
    """Start a relay on listeners; state is what another one has left. Whoever calls it has to stop it.

    A config whose rooms have a port p below the number of listeners gets the p-th of them instead.
    """
    ports = [listener.getsockname()[1] for listener in listeners]
    rooms = tuple(
        dataclasses.replace(room, port=ports[room.port]) if room.port and room.port < len(ports) else room
        for room in config.rooms
    )
    config = dataclasses.replace(config, rooms=rooms)
    for listener in listeners:
        sockets.prepare(listener)
    logging.getLogger("netplay-relay").setLevel(logging.DEBUG)
    server = Server(config, listeners, Events(config.log.addresses == "blurred"), clock)
    if state is not None:
        server.restore(state)
    server.start()
    return Relay(server, listeners[0].getsockname()[0], ports[0], ports, clock)


@contextlib.asynccontextmanager
async def running(
    config: Config | None = None, address: str = "127.0.0.1", extra_ports: int = 0
) -> AsyncIterator[Relay]:
    """Run a relay until the end of the block; then nothing of it may be left. extra_ports adds listeners (started)."""
    config = config or Config()
    listeners = [sockets.listen(address, 0, config.buffers.socket) for _ in range(1 + extra_ports)]
    relay = started(config, listeners, Clock())
    try:
        yield relay
    finally:
        relay.server.stop()
        await close_all()
    relay.assert_empty()
