"""What is written down of sessions, core-less sessions and connections: a line in the log, and what status shows.

Words for outcomes are in relay/outcomes.py. Session ids stand in the log by their beginning only.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from relay import before_end
from relay.addresses import Address
from relay.logbound import LogBound
from relay.logs import Events, Seldom, log
from relay.net import tcpinfo
from relay.net.history import History
from relay.net.link import LinkEnd
from relay.net.player_sockets import PlayerSocket
from relay.outcomes import Outcome
from relay.switchboard.connection import (
    SOURCE_SIZE,
    Conn,
    CorelessSessionClosed,
    CorelessSessionOpened,
    Said,
    Session,
    SessionEnded,
    SessionOpened,
)

# By which a friend is refused before anybody knows what it wants: the log says so as it does of nobody else unknown.
MANY_OF_ROOM = "{count} lines about the core-less session on port {port} were left out"
LIMITS = (Outcome.TOO_MANY, Outcome.TOO_MANY_FROM_ADDRESS, Outcome.TOO_FAST, Outcome.EVICTED)


class SessionLog:
    """Writes to the log and to the list of endings. clock returns the seconds in which connections are dated."""

    def __init__(self, events: Events, endings: History, clock: Callable[[], float]) -> None:
        self._events = events
        self._endings = endings
        self._clock = clock
        self._seldom = {outcome: Seldom(clock) for outcome in LIMITS}
        self._bound = LogBound(clock())

    def _write(self, about: Address | int, level: int, event: str, sentence: str, **fields: Any) -> None:
        """Write a line about an address or the room of a port, unless there were too many of these."""
        if not log.isEnabledFor(level):
            return
        key = about if isinstance(about, int) else about.packed[:SOURCE_SIZE]
        if (left_out := self._bound.take(key, self._clock())) is None:
            return
        if left_out:
            whom = {"port": about} if isinstance(about, int) else {"address": about}
            told = "{count} lines about {address} were left out" if "address" in whom else MANY_OF_ROOM
            self._events.write(logging.WARNING, "lines-left-out", told, count=left_out, **whom)
        self._events.write(level, event, sentence, **fields)

    def opened(self, action: SessionOpened) -> None:
        """Write down that a host has a session."""
        session = action.session
        self._write(
            session.host.address,
            logging.INFO,
            "session-opened",
            "session {session} opened by {address} on port {port}",
            session=session.hint,
            address=session.host.address,
            port=session.host.room_port,
        )

    def closed(self, action: SessionEnded) -> None:
        """Write down that a session is over."""
        session, outcome = action.session, action.outcome.value
        seconds = self._clock() - session.since
        self._write(
            session.host.address,
            logging.INFO,
            "session-ended",
            "session {session} ended: {outcome}, {joins} joins in {seconds} s",
            session=session.hint,
            outcome=outcome,
            joins=session.joins,
            seconds=seconds,
        )
        self._endings.add(
            "session",
            session=session.text,
            address=str(session.host.address),
            outcome=outcome,
            seconds=round(seconds, 1),
            joins=session.joins,
        )

    def table_opened(self, action: CorelessSessionOpened) -> None:
        """Write down that somebody opened a core-less session."""
        sentence = "a core-less session opened on port {port}"
        self._write(action.table.port, logging.INFO, "table-opened", sentence, port=action.table.port)

    def table_said(self, action: Said) -> None:
        """Write down what a core-less session says."""
        sentence = "core-less session on port {port}: {text}"
        self._write(
            action.table.port, logging.INFO, f"table-{action.event}", sentence, port=action.table.port, text=action.text
        )

    def table_closed(self, action: CorelessSessionClosed) -> None:
        """Write down that a core-less session is over."""
        table = action.table
        outcome, seconds = _word(table.outcome), self._clock() - table.since
        self._write(
            table.port,
            logging.INFO,
            "table-closed",
            "the core-less session on port {port} ended: {outcome}, {joins} joins in {seconds} s",
            port=table.port,
            outcome=outcome,
            joins=table.joins,
            seconds=seconds,
        )
        seconds = round(seconds, 1)
        self._endings.add("table", table=table.port, outcome=outcome, seconds=seconds, joins=table.joins)

    def unseated(self, seat: PlayerSocket, *, links: bool) -> None:
        """Keep what is known of a player of a core-less session who is about to leave.

        links: whether what was said in the game may be shown ([watch] links).
        """
        conn = seat.conn
        way = tcpinfo.way(seat.sock)
        if conn.outcome in before_end.BARE and not conn.reason:
            conn.reason = before_end.of_player(conn.lately if links else (), way)
        self._endings.add(
            "player",
            table=conn.room_port,
            address=str(conn.address),
            port=conn.port,
            outcome=_word(conn.outcome),
            reason=conn.reason,
            seconds=round(self._clock() - conn.since, 1),
            bytes_from_client=seat.received,
            bytes_to_client=seat.sent,
            to_client=way,
        )

    def unlinked(self, end: LinkEnd) -> None:
        """Keep what is known of a player whose link is about to be closed; end is the client's."""
        conn, seen = end.conn, end.watcher.seen.as_dict() if end.watcher else None
        to_client, to_host = tcpinfo.way(end.sock), tcpinfo.way(end.peer.sock)
        if conn.outcome in before_end.BARE and not conn.reason:
            conn.reason = end.peer.conn.reason = before_end.of_link(seen, to_client, to_host)
        self._endings.add(
            "client",
            session=_text(conn.session),
            address=str(conn.address),
            port=conn.port,
            outcome=_word(conn.outcome),
            reason=conn.reason,
            seconds=round(self._clock() - conn.since, 1),
            bytes_from_client=end.received,
            bytes_from_host=end.peer.received,
            to_client=to_client,
            to_host=to_host,
            seen=seen,
        )

    def refused(self, conn: Conn) -> None:
        """Keep that a friend who wanted to join or to host did not get as far as a game; others are not kept."""
        if conn.friend and conn.outcome in LIMITS:
            self._limited(conn, conn.outcome)
        wanted = conn.kind in ("client", "host") and conn.outcome not in (Outcome.HOST_LEFT, Outcome.SHUTDOWN)
        hosted = conn.kind == "host" and conn.session
        if conn.friend and wanted and not hosted:
            self._endings.add(
                "refused",
                session=_text(conn.session),
                address=str(conn.address),
                outcome=_word(conn.outcome),
                seconds=round(self._clock() - conn.since, 1),
            )

    def _limited(self, conn: Conn, outcome: Outcome) -> None:
        if count := self._seldom[outcome].count():
            sentence = "{address} was refused, {count} in all since this was last said: {why}"
            facts = {"address": conn.address, "count": count, "outcome": outcome.value, "why": outcome.doc}
            self._write(conn.address, logging.WARNING, "limit", sentence, **facts)
            self._endings.add("refused", session="", address=str(conn.address), outcome=outcome.value, seconds=0.0)

    def ended(self, conn: Conn, received: int, sessions: int) -> None:
        """Write down that a connection has ended, after so many bytes from it, with so many sessions open."""
        noise = conn.kind == "unknown"  # a scanner, or somebody who never said what they are
        if conn.outcome is Outcome.AMBIGUOUS:
            hint = "client {address} named no session and {count} are hosted: tell that friend relay|{port}|SESSION"
            port = conn.room_port
            self._write(
                conn.address, logging.WARNING, "ambiguous", hint, address=conn.address, count=sessions, port=port
            )
        self._write(
            conn.address,
            logging.DEBUG if noise else logging.INFO,
            "connection-ended",
            "{role} {address} ended: {outcome}{why} after {seconds} s, {received} bytes",
            role=conn.kind,
            address=conn.address,
            outcome=_word(conn.outcome),
            seconds=self._clock() - conn.since,
            received=received,
            why=_why(conn),
            session=conn.session.hint if conn.session else "",
        )


def _why(conn: Conn) -> str:
    # That somebody closed is no consequence of what came before, only perhaps.
    before = "right before: " if conn.outcome in before_end.BARE else ""
    return f" ({before}{conn.reason})" if conn.reason else ""


def _word(outcome: Outcome | None) -> str:
    return outcome.value if outcome else ""


def _text(session: Session | None) -> str:
    return session.text if session else ""
