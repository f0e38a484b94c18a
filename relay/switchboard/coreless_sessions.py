"""Where core-less rooms stand in the relay: one at each port, opened by its first player, gone with its last.

A table joins a room (relay/coreless), which knows clients by number, to the relay's connections. Sans-I/O, like the
switchboard that it is a part of.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from itertools import islice
from typing import Any

from relay import coreless
from relay.outcomes import Outcome
from relay.spool import Blob, Spool
from relay.switchboard.connection import (
    Action,
    Conn,
    Convert,
    CorelessSessionClosed,
    CorelessSessionOpened,
    Rest,
    Said,
    Send,
)

log = logging.getLogger("netplay-relay")

OUTCOMES = {outcome.value: outcome for outcome in Outcome}


class CorelessSession:
    """A core-less room that is played in at a port, since a time (seconds). joins counts who ever sat down.

    outcome is the room's, once it has ended: that of whoever was in it last.
    """

    def __init__(self, port: int, since: float, room: coreless.CorelessRoom, seats: dict[int, Conn]) -> None:
        self.port = port
        self.since = since
        self.room = room
        self.joins = 0
        self.outcome: Outcome | None = None
        self.seats = seats

    def held(self) -> list[tuple[Conn, Blob]]:
        """Return what has arrived of savestates that are not whole, and of whom."""
        return [(self.seats[key], blob) for key, blob in self.room.held() if key in self.seats]


class CorelessSessions:
    """All tables of a relay, by port.

    settings(port) tells what a room at a port allows. emit(action) takes what is to be done, in order;
    close(conn, outcome) ends a connection on behalf of its room. ended counts how rooms have ended. quiet(conn) tells
    for how long (seconds) nothing at all has come from a connection's machine, waits(conn) how many bytes it has not
    taken yet of what it was sent. spool is where large savestates lie, one
    of each room's own where there is none.
    """

    def __init__(
        self,
        settings: Callable[[int], coreless.CorelessSettings],
        emit: Callable[[Action], None],
        close: Callable[[Conn, Outcome], None],
        ended: Counter[Outcome],
        quiet: Callable[[Conn], float],
        spool: Spool | None = None,
        waits: Callable[[Conn], int] = lambda _: 0,
    ) -> None:
        self.at: dict[int, CorelessSession] = {}
        self._settings = settings
        self._emit = emit
        self._close = close
        self._ended = ended
        self._quiet = quiet
        self._waits = waits
        self._spool = spool

    def save(self, number: dict[Conn, int]) -> list[dict[str, Any]]:
        """Return all tables as plain data; number tells how a connection is called there."""
        return [
            {
                "port": table.port,
                "since": table.since,
                "joins": table.joins,
                "seats": [[key, number[conn]] for key, conn in table.seats.items()],
                "room": table.room.save(),
            }
            for table in self.at.values()
        ]

    def restore(self, data: list[dict[str, Any]], conns: list[Conn]) -> None:
        """Go on with what another program saved. KeyError, TypeError or ValueError if it is broken."""
        for entry in data:
            settings, seats = self._settings(entry["port"]), dict[int, Conn]()
            room = coreless.CorelessRoom.restored(
                entry["room"], settings, self._quiet_at(seats), self._spool, self._waits_at(seats)
            )
            table = self.at[entry["port"]] = CorelessSession(entry["port"], entry["since"], room, seats)
            table.joins = entry["joins"]
            for key, number in entry["seats"]:
                table.seats[key] = conn = conns[number]
                conn.table, conn.key = table, key

    def conns(self) -> list[Conn]:
        """Return everybody who sits at a table."""
        return [conn for table in self.at.values() for conn in table.seats.values()]

    def sit(self, conn: Conn, now: float) -> None:
        """Give a connection a seat at its port's table; the first opens it. Its head is what it has said so far."""
        table = self.at.get(conn.room_port)
        if table is None:
            seats: dict[int, Conn] = {}
            quiet, waits = self._quiet_at(seats), self._waits_at(seats)
            room = coreless.CorelessRoom(self._settings(conn.room_port), self._spool, quiet=quiet, waits=waits)
            table = self.at[conn.room_port] = CorelessSession(conn.room_port, now, room, seats)
            self._emit(CorelessSessionOpened(table))
        table.joins += 1
        conn.table, conn.key = table, table.joins
        table.seats[conn.key] = conn
        head, conn.head = conn.head, b""
        self._guarded(table, table.room.connect, conn.key, now, conn.source.hex())
        if conn.key in table.seats:
            self._guarded(table, table.room.receive, conn.key, head, now)

    def converted(self, table: CorelessSession, made: coreless.Conversion, failure: str, now: float) -> None:
        """Take the end of a conversion; failure says why it is nobody's state, "" that it is whole."""
        if self.at.get(table.port) is table:
            self._guarded(table, table.room.converted, made, failure, now)

    def received(self, conn: Conn, data: bytes, now: float) -> None:
        """Take bytes of somebody who sits at a table."""
        if table := conn.table:
            self._guarded(table, table.room.receive, conn.key, data, now)

    def left(self, conn: Conn, now: float) -> None:
        """Take the end of a connection, before or after it was closed."""
        table = conn.table
        if table and table.seats.pop(conn.key, None):
            conn.lately = table.room.lately(conn.key, now)
            self._guarded(table, table.room.disconnect, conn.key, now)
            self._clear(table, conn.outcome or Outcome.LEFT)

    def tick(self, table: CorelessSession, now: float) -> None:
        """Let a table do what is due."""
        self._guarded(table, self._due, table, now)

    def _due(self, table: CorelessSession, now: float) -> list[coreless.Action]:
        due = table.room.next_deadline()
        return table.room.tick(now) if due is not None and due <= now else []

    def _guarded(self, table: CorelessSession, deed: Callable[..., list[coreless.Action]], *about: object) -> None:
        """Let a room do something. One that fails is ended: it would fail again, or go on half changed."""
        try:
            self._perform(table, deed(*about))
        except Exception:
            log.exception("internal error in the core-less session on port %d", table.port)
            self._end(table, Outcome.ROOM_FAILED)

    def is_lone(self, table: CorelessSession) -> bool:
        """Tell whether one player at most is left in a room; whoever gives no sign of life is not counted."""
        gone = table.room.settings.gone_seconds
        there = (conn for conn in table.seats.values() if self._quiet(conn) < gone)
        # The kernel is asked about each, for every host there several times a second: two are enough to know.
        return len(list(islice(there, 2))) < 2

    def send_off(self, table: CorelessSession) -> None:
        """End a room whose only player could play with somebody who hosts: it has to connect again for that."""
        told = "somebody hosts at this port now; the player who was alone was disconnected and has to connect again"
        self._emit(Said(table, "sent-off", told))
        self._end(table, Outcome.HOST_CAME)

    def _end(self, table: CorelessSession, outcome: Outcome) -> None:
        seats = list(table.seats.values())
        table.seats.clear()
        for conn in seats:
            self._close(conn, outcome)
        self._clear(table, outcome)

    def _quiet_at(self, seats: dict[int, Conn]) -> Callable[[int], float]:
        return lambda key: self._quiet(seats[key]) if key in seats else 0.0

    def _waits_at(self, seats: dict[int, Conn]) -> Callable[[int], int]:
        return lambda key: self._waits(seats[key]) if key in seats else 0

    def _perform(self, table: CorelessSession, wanted: list[coreless.Action]) -> None:
        for action in wanted:
            if isinstance(action, coreless.Send):
                self._emit(Send(table.seats[action.key], action.data))
            elif isinstance(action, coreless.Close):
                outcome = OUTCOMES[action.outcome]
                gone = table.seats.pop(action.key)
                gone.reason = action.reason
                self._close(gone, outcome)
                self._clear(table, outcome)
            elif isinstance(action, coreless.Rest):
                if conn := table.seats.get(action.key):
                    self._emit(Rest(conn, action.seconds))
            elif isinstance(action, coreless.Convert):
                self._emit(Convert(table, action.conversion))
            else:
                self._emit(Said(table, action.event, action.text))

    def _clear(self, table: CorelessSession, outcome: Outcome) -> None:
        """End a table that nobody sits at any more, with the word of the last."""
        if not table.seats and self.at.get(table.port) is table:
            del self.at[table.port]
            table.outcome = outcome
            self._ended[outcome] += 1
            self._emit(CorelessSessionClosed(table))
