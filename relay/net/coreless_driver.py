"""The asyncio side of core-less rooms: their sockets and their clocks."""

from __future__ import annotations

import asyncio
import logging
import socket
import zlib
from collections import deque
from collections.abc import Callable

from relay.coreless import Conversion
from relay.coreless.conversion import NO_MEMORY
from relay.net.player_sockets import READ_OF_STATE, READ_SIZE, PlayerSockets
from relay.net.poller import Poller
from relay.outcomes import Outcome
from relay.spool import Backlog, Spool, SpoolFullError
from relay.switchboard.connection import Action, Conn
from relay.switchboard.coreless_sessions import CorelessSession
from relay.switchboard.machine import Switchboard

log = logging.getLogger("netplay-relay")


class CorelessDriver:
    """All tables and who sits at them. perform does what the switchboard wants done; slow, slow_all: in bytes."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        readiness: Poller,
        board: Switchboard,
        perform: Callable[[list[Action]], None],
        clock: Callable[[], float],
        slow: int,
        slow_all: int,
        spool: Spool,
    ) -> None:
        self.seats = PlayerSockets(
            loop, readiness, self._received, self._ended, slow, slow_all, spool, clock, self._appetite
        )
        # What is converted, a slice of each in turn.
        self._converting: deque[tuple[CorelessSession, Conversion]] = deque()
        self._loop = loop
        self._readiness = readiness
        self._board = board
        self._perform = perform
        self._clock = clock
        self._timers: dict[CorelessSession, tuple[float, asyncio.TimerHandle]] = {}

    def add(
        self, conn: Conn, sock: socket.socket, waiting: Backlog | None = None, received: int = 0, sent: int = 0
    ) -> None:
        """Take over the socket of somebody who has sat down; counts and what waits are from another program."""
        # What it had sent before it sat down counts, too.
        self.seats.add(conn, sock, waiting, max(received, conn.received), sent)
        self._loop.call_soon(self._schedule, conn)
        self._readiness.touched = True

    def closed(self, table: CorelessSession) -> None:
        """Forget a room."""
        if timer := self._timers.pop(table, None):
            timer[1].cancel()

    def convert(self, table: CorelessSession, made: Conversion) -> None:
        """Convert a savestate, a slice in each turn of the event loop."""
        self._converting.append((table, made))
        if len(self._converting) == 1:
            self._loop.call_soon(self._convert)
            self._readiness.touched = True

    def _convert(self) -> None:
        table, made = self._converting.popleft()
        failure = "" if table.seats else "nobody is there any more"
        try:
            done = bool(failure) or made.step()
        except (ValueError, zlib.error, SpoolFullError) as error:
            done, failure = True, str(error) or NO_MEMORY
        except Exception:
            # The states of other rooms are converted after this one.
            log.exception("internal error with a savestate of the core-less session on port %d", table.port)
            done, failure = True, "a mistake of the relay"
        if not done:
            self._converting.append((table, made))
        if self._converting:
            self._loop.call_soon(self._convert)
        if done:
            self._perform(self._board.converted(table, made, failure, self._clock()))
            self.seats.is_whole(made.target)

    def _appetite(self, conn: Conn) -> int:
        wanted = conn.table.room.appetite(conn.key) if conn.table else 0
        return min(max(wanted, READ_SIZE), READ_OF_STATE)

    def _received(self, conn: Conn, data: bytes) -> None:
        self._perform(self._board.received(conn, data, self._clock()))
        self._schedule(conn)

    def _ended(self, conn: Conn, outcome: Outcome | None) -> None:
        table = conn.table
        self._perform(self._board.lost(conn, self._clock(), outcome))
        if table and table.seats:
            self._schedule_table(table)

    def _schedule(self, conn: Conn) -> None:
        if conn.table and conn.table.seats:
            self._schedule_table(conn.table)

    def _schedule_table(self, table: CorelessSession) -> None:
        """Wake up when the table is due, if that is sooner than was known."""
        due = table.room.next_deadline()
        if due is None:
            return
        if timer := self._timers.get(table):
            if timer[0] <= due:
                return
            timer[1].cancel()
        self._timers[table] = due, self._loop.call_later(due - self._clock(), self._tick, table)
        self._readiness.touched = True

    def _tick(self, table: CorelessSession) -> None:
        self._timers.pop(table, None)
        if table.seats:
            self._perform(self._board.table_tick(table, self._clock()))
        if table.seats:
            self._schedule_table(table)
