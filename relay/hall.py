"""The asyncio side of core-less rooms: their sockets and their clocks."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from relay.outcomes import Outcome
from relay.readiness import Readiness
from relay.seats import Seats
from relay.states import Action, Conn
from relay.switchboard import Switchboard
from relay.tables import Table


class Hall:
    """All tables and who sits at them. perform does what the switchboard wants done; slow, slow_all: in bytes."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        readiness: Readiness,
        board: Switchboard,
        perform: Callable[[list[Action]], None],
        clock: Callable[[], float],
        slow: int,
        slow_all: int,
    ) -> None:
        self.seats = Seats(loop, readiness, self._received, self._ended, slow, slow_all)
        self._loop = loop
        self._readiness = readiness
        self._board = board
        self._perform = perform
        self._clock = clock
        self._timers: dict[Table, tuple[float, asyncio.TimerHandle]] = {}

    def add(self, conn: Conn, sock: socket.socket, waiting: bytes = b"", received: int = 0, sent: int = 0) -> None:
        """Take over the socket of somebody who has sat down; counts and what waits are from another program."""
        # What it had sent before it sat down counts, too.
        self.seats.add(conn, sock, waiting, max(received, conn.received), sent)
        self._loop.call_soon(self._schedule, conn)
        self._readiness.touched = True

    def closed(self, table: Table) -> None:
        """Forget a room."""
        if timer := self._timers.pop(table, None):
            timer[1].cancel()

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

    def _schedule_table(self, table: Table) -> None:
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

    def _tick(self, table: Table) -> None:
        self._timers.pop(table, None)
        if table.seats:
            self._perform(self._board.table_tick(table, self._clock()))
        if table.seats:
            self._schedule_table(table)
