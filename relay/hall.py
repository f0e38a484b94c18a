"""The asyncio side of core-less rooms: their sockets, their clocks and their lines in the log."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

from relay import tcpinfo
from relay.endings import Endings
from relay.observe import Events
from relay.outcomes import Outcome
from relay.readiness import Readiness
from relay.seats import Seat, Seats
from relay.states import Action, Conn, Said, TableClosed, TableOpened
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
        events: Events,
        endings: Endings,
        slow: int,
        slow_all: int,
    ) -> None:
        self.seats = Seats(loop, readiness, self._received, self._ended, slow, slow_all)
        self._loop = loop
        self._readiness = readiness
        self._board = board
        self._perform = perform
        self._clock = clock
        self._events = events
        self._endings = endings
        self._timers: dict[Table, tuple[float, asyncio.TimerHandle]] = {}

    def add(self, conn: Conn, sock: socket.socket, waiting: bytes = b"", received: int = 0, sent: int = 0) -> None:
        """Take over the socket of somebody who has sat down; counts and what waits are from another program."""
        # What it had sent before it sat down counts, too.
        self.seats.add(conn, sock, waiting, max(received, conn.received), sent)
        self._loop.call_soon(self._schedule, conn)
        self._readiness.touched = True

    def note(self, seat: Seat) -> None:
        """Keep what is known of somebody who is about to leave."""
        conn = seat.conn
        self._endings.add(
            "player",
            table=conn.room_port,
            address=str(conn.address),
            port=conn.port,
            outcome=conn.outcome.value if conn.outcome else "",
            reason=conn.reason,
            seconds=round(self._clock() - conn.since, 1),
            bytes_from_client=seat.received,
            bytes_to_client=seat.sent,
            to_client=tcpinfo.way(seat.sock),
        )

    def opened(self, action: TableOpened) -> None:
        """Write down that somebody opened a room."""
        sentence = "a room without a host opened on port {port}"
        self._events.write(logging.INFO, "table-opened", sentence, port=action.table.port)

    def said(self, action: Said) -> None:
        """Write down what a room says."""
        sentence = "room without a host on port {port}: {text}"
        self._events.write(logging.INFO, f"table-{action.event}", sentence, port=action.table.port, text=action.text)

    def closed(self, action: TableClosed) -> None:
        """Forget a room, and write down and keep how it ended."""
        table = action.table
        outcome = table.outcome.value if table.outcome else ""
        if timer := self._timers.pop(table, None):
            timer[1].cancel()
        seconds = self._clock() - table.since
        self._events.write(
            logging.INFO,
            "table-closed",
            "the room without a host on port {port} ended: {outcome}, {joins} joins in {seconds} s",
            port=table.port,
            outcome=outcome,
            joins=table.joins,
            seconds=seconds,
        )
        seconds = round(seconds, 1)
        self._endings.add("table", table=table.port, outcome=outcome, seconds=seconds, joins=table.joins)

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
