"""The asyncio adapter: tells the switchboard what sockets do, and does with them what it decides.

Connections that are not linked yet are watched one by one; linked ones belong to the forwarder. No task, and no timer,
stands behind a connection: one sweep looks at all deadlines.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import secrets
import socket
import time
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from relay import lan, protocol, snapshot, sockets, tcpinfo
from relay.config import Config
from relay.endings import Endings
from relay.ends import End
from relay.farewell import Farewells
from relay.forward import Forwarder
from relay.gate.allowlist import Allowlist
from relay.hall import Hall
from relay.observe import Events, log
from relay.outcomes import Outcome
from relay.protocol import Address
from relay.readiness import Readiness
from relay.rooms import Room, RoomTable
from relay.selector import LinkSelector
from relay.states import (
    Action,
    Close,
    Conn,
    Seat,
    Send,
    Session,
    SessionEnded,
    SessionOpened,
    Splice,
    State,
    TableClosed,
    TableOpened,
)
from relay.stream import Watcher
from relay.switchboard import Switchboard

SWEEP = 0.25
# Sockets that are being closed with words still to be read. Strangers have few, and none of the others'.
FAREWELLS = 512
FAREWELLS_TO_STRANGERS = 32
# How long (seconds) nothing is accepted when there is no file descriptor left at all.
OUT_OF_FILES = 0.1
READ_SIZE = 4096


class Server:
    """A relay on listening sockets. clock returns seconds and never goes back; new_id returns 12 random bytes."""

    def __init__(
        self,
        config: Config,
        listeners: Iterable[socket.socket],
        events: Events,
        clock: Callable[[], float] = time.monotonic,
        new_id: Callable[[], bytes] = lambda: secrets.token_bytes(protocol.ID_SIZE),
        selector: LinkSelector | None = None,
    ) -> None:
        rooms = RoomTable(
            (
                Room(protocol.session_id(room.id), room.port, config.mode_of(room), room.devices)
                for room in config.rooms
            ),
            new_id,
            config.timeouts.host_return,
            config.coreless.mode,
        )
        self.board = Switchboard(
            rooms,
            new_id,
            config.limits,
            config.timeouts,
            config.buffers,
            config.gate.link_from_host_address,
            lambda conn: sockets.acked(self._socks[conn]),
            config.coreless.devices,
        )
        self.listeners = list(listeners)
        self.drained = asyncio.Event()
        self.endings = Endings()
        self._config = config
        self._events = events
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._allowlist = Allowlist(config.gate.allowlist)
        self._farewells = Farewells(self._loop, config.timeouts.farewell, FAREWELLS, self._check_drained)
        self._to_strangers = Farewells(self._loop, config.timeouts.farewell, FAREWELLS_TO_STRANGERS)
        buffers = config.buffers
        self._readiness = Readiness(self._loop, selector)
        self._forwarder = Forwarder(self._readiness, self._end, buffers.slow_client, buffers.slow_clients)
        self.hall = Hall(
            self._loop,
            self._readiness,
            self.board,
            self._perform,
            clock,
            events,
            self.endings,
            buffers.slow_client,
            buffers.slow_clients,
        )
        self._socks: dict[Conn, socket.socket] = {}
        # One for all: a method looked up anew is an object, and each connection would keep its own.
        self._told = self._readable
        self._reserve: int | None = os.open(os.devnull, os.O_RDONLY)
        self._timer: asyncio.TimerHandle | None = None
        self._todo: deque[Action] = deque()
        self._performing = False
        self._shed_told, self._shed_count = float("-inf"), 0

    def start(self) -> None:
        """Begin to accept and to watch the time."""
        for listener in self.listeners:
            self._listen(listener)
        self._tick()

    def sweep(self) -> None:
        """End what has waited too long."""
        self._perform(self.board.tick(self._clock()))

    def drain(self) -> None:
        """Open no new rooms; `drained` is set when the last game has ended."""
        self.board.drain()
        self._check_drained()

    def stop(self) -> None:
        """End everything now."""
        if self._timer:
            self._timer.cancel()
        for listener in self.listeners:
            self._readiness.forget(listener.fileno())
            listener.close()
        self._perform(self.board.shutdown(self._clock()))
        self._readiness.close()
        self._farewells.close()
        self._to_strangers.close()
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None

    def allows(self, address: Address) -> bool:
        """Tell whether the allowlist knows an address."""
        return self._allowlist.allows(address, self._clock())

    def kick(self, networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> int:
        """End every connection from these addresses; return how many there were."""
        kicked = [conn for conn in self.board.live() if any(conn.address in network for network in networks)]
        for conn in kicked:
            self._perform(self.board.lost(conn, self._clock(), Outcome.KICKED))
        return len(kicked)

    def lan_rooms(self) -> list[lan.Room]:
        """Return what LAN discovery may say: whatever can be joined without an id, at the port it is at."""
        ports = dict.fromkeys(listener.getsockname()[1] for listener in self.listeners)
        rooms = []
        for port in ports:
            session, table = self.board.session_at(port), self.board.tables.at.get(port)
            if session and session.host.room_port == port:
                rooms.append(self._lan_room(session, port))
            elif table and (facts := table.room.status())["content_crc"]:
                version, crc = facts["core_version"] or lan.UNKNOWN, int(facts["content_crc"], 16)
                rooms.append(lan.Room(f"without a host: {port}", port, facts["core"] or lan.UNKNOWN, version, crc))
        return rooms

    def _lan_room(self, session: Session, port: int) -> lan.Room:
        ends = (self.end_of(conn) for conn in session.linked)
        seen = next((end.watcher.seen for end in ends if end and end.watcher), None)
        if seen is None:
            return lan.Room(session.text, port)
        host = seen.host
        return lan.Room(
            host.nick or session.text,
            port,
            host.core or lan.UNKNOWN,
            host.core_version or lan.UNKNOWN,
            host.content_crc or 0,
            password=bool(seen.password),
        )

    def end_of(self, conn: Conn) -> End | None:
        """Return the forwarder's end of a linked connection."""
        return self._forwarder.end_of(conn)

    # Changing programs (relay/upgrade.py).

    def capture(self) -> dict[str, Any]:
        """Return everything another program needs to go on: plain data, with the numbers of open descriptors."""
        self.hall.seats.end_broken()
        self._end_ghosts()
        board, conns = snapshot.dump(self.board)
        return {
            "board": board,
            "listeners": [listener.fileno() for listener in self.listeners],
            "conns": [self._capture_conn(conn) for conn in conns],
            "farewells": self._farewells.capture(),
        }

    def _end_ghosts(self) -> None:
        """End whoever has no socket any more, which only a mistake of ours makes: there is nothing to hand over."""
        for conn in list(self.board.live()):
            if not (self._forwarder.end_of(conn) or self.hall.seats.of(conn) or conn in self._socks):
                self._end(conn, Outcome.LINK_FAILED)

    def _capture_conn(self, conn: Conn) -> dict[str, Any]:
        if end := self._forwarder.end_of(conn):
            waiting = b64encode(end.out or b"").decode("ascii")
            watcher = end.watcher.save() if end.watcher and end.to_host else None
            return {"fd": end.fd, "received": end.received, "waiting": waiting, "watcher": watcher}
        if seat := self.hall.seats.of(conn):
            waiting = b64encode(seat.out).decode("ascii")
            return {"fd": seat.fd, "received": seat.received, "sent": seat.sent, "waiting": waiting}
        return {"fd": self._socks[conn].fileno()}

    def restore(self, data: dict[str, Any]) -> None:
        """Go on with what another program captured; before `start`. KeyError, ValueError or OSError if it is broken."""
        watchers = {}
        for conn, entry in zip(snapshot.load(data["board"], self.board), data["conns"], strict=True):
            sock = sockets.inherit(entry["fd"])
            if conn.state in (State.LINKED, State.SEATED):
                sockets.linked(sock)  # an older program may have left that out
            if conn.state is State.LINKED and not conn.introduction:
                self._forwarder.adopt(conn, sock, b64decode(entry["waiting"]), entry["received"])
                watchers[conn] = entry["watcher"]
            elif conn.state is State.SEATED:
                self.hall.add(conn, sock, b64decode(entry["waiting"]), entry["received"], entry["sent"])
            else:
                self._socks[conn] = sock
                self._readiness.watch(sock.fileno(), self._told, conn)
        for conn in self.board.live():
            end, peer = self._forwarder.end_of(conn), conn.peer and self._forwarder.end_of(conn.peer)
            if end and peer and end.to_host:
                watch = self._config.watch
                watcher = Watcher.restored(watchers[conn], watch.names) if watch.links and watchers[conn] else None
                self._forwarder.pair(end, peer, watcher)
        for fd, waiting in data["farewells"]:
            self._farewells.say(sockets.inherit(fd), b64decode(waiting))

    # Accepting.

    def _listen(self, listener: socket.socket) -> None:
        if listener.fileno() >= 0:
            self._readiness.watch(listener.fileno(), self._accept, (listener, listener.getsockname()[1]))

    def _accept(self, at: tuple[socket.socket, int]) -> None:
        """Accept one connection: games come between it and the next, so a flood does not keep them waiting."""
        listener, port = at
        try:
            sock, peer = listener.accept()
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno in sockets.OUT_OF_FILES:
                self._shed(listener)
            # Anything else happened to one connection before it was ours (ECONNABORTED and the like).
            return
        sock.setblocking(False)
        self._connected(sock, peer, port)

    def _shed(self, listener: socket.socket) -> None:
        # With no descriptor left, what waits in the backlog would wake the loop for ever: spend the reserve on
        # accepting and closing one connection.
        if self._reserve is not None:
            os.close(self._reserve)
        with contextlib.suppress(OSError):
            listener.accept()[0].close()
        try:
            self._reserve = os.open(os.devnull, os.O_RDONLY)
        except OSError:
            self._reserve = None
            self._readiness.forget(listener.fileno())
            self._loop.call_later(OUT_OF_FILES, self._listen, listener)
        self._shed_count += 1
        if self._clock() - self._shed_told >= 1.0:
            sentence = "out of file descriptors: {count} connections were closed unseen"
            self._events.write(logging.WARNING, "out-of-files", sentence, count=self._shed_count)
            self._shed_told, self._shed_count = self._clock(), 0

    def _connected(self, sock: socket.socket, peer: tuple[str, int], port: int) -> None:
        now = self._clock()
        address = protocol.canonical(peer[0])
        friend = self._allowlist.allows(address, now)
        conn, actions = self.board.connected(address, peer[1], port, now, friend)
        self._socks[conn] = sock
        if conn.state is State.OPENING:
            self._readiness.watch(sock.fileno(), self._told, conn)
        self._perform(actions)

    # What the sockets do.

    def _readable(self, conn: Conn) -> None:
        try:
            data = self._socks[conn].recv(READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        now = self._clock()
        self._perform(self.board.received(conn, data, now) if data else self.board.lost(conn, now))

    def _end(self, conn: Conn, outcome: Outcome) -> None:
        self._perform(self.board.lost(conn, self._clock(), outcome))

    def _tick(self) -> None:
        # First of all: a sweep that fails must not be the last one.
        self._timer = self._loop.call_later(SWEEP, self._tick)
        self.sweep()

    # What the switchboard decides.

    def _perform(self, actions: list[Action]) -> None:
        """Carry out actions, behind those that are being carried out: what one of them leads to comes after them all.

        Whatever fails at one of them keeps none of the others from being done.
        """
        self._todo += actions
        if self._performing:
            return
        self._performing = True
        while self._todo:
            action = self._todo.popleft()
            try:
                self._carry_out(action)
            except Exception:
                # Not the action itself: it may have ids, and what players say.
                log.exception("this should not have happened, in carrying out %s", type(action).__name__)
                self._give_up(action)
        self._performing = False
        if self.board.draining:
            self._check_drained()

    def _give_up(self, action: Action) -> None:
        """End those who could not be brought together: half of it is nobody's game, and nobody would ever end it."""
        if isinstance(action, Splice):
            for conn in (action.client, action.link):
                self._lose(conn, Outcome.LINK_FAILED)
        elif isinstance(action, Seat):
            self._lose(action.conn, Outcome.ROOM_FAILED)

    def _lose(self, conn: Conn, outcome: Outcome) -> None:
        if conn.state is not State.CLOSED:
            self._todo += self.board.lost(conn, self._clock(), outcome)

    def _carry_out(self, action: Action) -> None:
        if isinstance(action, Send):
            self._send(action.conn, action.data)
        elif isinstance(action, Close):
            self._close(action)
        elif isinstance(action, Splice):
            self._splice(action)
        elif isinstance(action, Seat):
            self._seat(action.conn)
        elif isinstance(action, SessionOpened):
            self._session_opened(action)
        elif isinstance(action, SessionEnded):
            self._session_ended(action)
        elif isinstance(action, TableOpened):
            self.hall.opened(action)
        elif isinstance(action, TableClosed):
            self.hall.closed(action)
        else:
            self.hall.said(action)

    def _send(self, conn: Conn, data: bytes) -> None:
        if seat := self.hall.seats.of(conn):
            self.hall.seats.send(seat, data)
            return
        if conn.state is State.CLOSED:
            return
        try:
            sent = self._socks[conn].send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._perform(self.board.lost(conn, self._clock()))
            return
        if sent != len(data):
            # 16 or 32 bytes did not fit into a socket buffer of 256 KiB: nobody has read there for a very long time.
            self._perform(self.board.lost(conn, self._clock(), Outcome.HOST_STUCK))

    def _seat(self, conn: Conn) -> None:
        sock = self._socks[conn]
        self._readiness.forget(sock.fileno())
        sockets.linked(sock)
        self.hall.add(conn, sock)
        del self._socks[conn]

    def _splice(self, action: Splice) -> None:
        if State.CLOSED in (action.client.state, action.link.state):
            return  # one of them was gone when it was told the last of their handshake
        client, link = self._socks[action.client], self._socks[action.link]
        for sock in (client, link):
            sockets.linked(sock)
        watch = self._config.watch
        watcher = Watcher(watch.names) if watch.links else None
        try:
            for to_host, data in action.before:
                if watcher:
                    watcher.feed(to_host, data)
        except Exception:
            log.exception("this should not have happened; a link is not looked at")
            watcher = None
        ends = (action.client, client), (action.link, link)
        self._forwarder.splice(*ends, action.to_host, action.to_client, watcher)
        for conn in (action.client, action.link):
            del self._socks[conn]

    def _close(self, action: Close) -> None:
        conn = action.conn
        try:
            self._note(conn)
        except Exception:
            # What is not noted is no reason to keep a socket: it would wake the loop for ever.
            log.exception("this should not have happened, at the end of %r", conn)
        waiting: bytes | bytearray = action.farewell
        if end := self._forwarder.end_of(conn):
            sock, waiting = self._forwarder.release(conn)
            received = end.received
        elif self.hall.seats.of(conn):
            seat = self.hall.seats.release(conn)
            sock, waiting, received = seat.sock, seat.out, seat.received
        elif conn in self._socks:
            sock = self._socks[conn]
            self._readiness.forget(sock.fileno())
            received = 0
        else:
            self._log_end(conn, 0)
            return  # its socket went when something failed
        self._socks.pop(conn, None)
        if conn.outcome is Outcome.PEER_LEFT or (waiting and conn.friend):
            self._farewells.say(sock, waiting)
        elif waiting and conn.outcome is Outcome.STRANGER:
            self._to_strangers.say(sock, waiting)
        else:
            sock.close()
        self._log_end(conn, received)

    def _note(self, conn: Conn) -> None:
        """Keep what is known of a connection that is about to be closed."""
        if end := self._forwarder.end_of(conn):
            if self._forwarder.end_of(end.peer.conn):
                self._note_end(end if end.to_host else end.peer)
        elif seat := self.hall.seats.of(conn):
            self.hall.note(seat)
        else:
            self._note_refusal(conn)

    def _check_drained(self) -> None:
        if self.board.draining and not self.board.busy and not self._farewells:
            self.drained.set()

    # The log.

    def _session_opened(self, action: SessionOpened) -> None:
        host = action.session.host
        sentence = "session {session} opened by {address} on port {port}"
        session = action.session.hint
        self._events.write(
            logging.INFO, "session-opened", sentence, session=session, address=host.address, port=host.room_port
        )

    def _session_ended(self, action: SessionEnded) -> None:
        session = action.session
        self._events.write(
            logging.INFO,
            "session-ended",
            "session {session} ended: {outcome}, {joins} joins in {seconds} s",
            session=session.hint,
            outcome=action.outcome.value,
            joins=session.joins,
            seconds=self._clock() - session.since,
        )
        self.endings.add(
            "session",
            session=session.text,
            address=str(session.host.address),
            outcome=action.outcome.value,
            seconds=round(self._clock() - session.since, 1),
            joins=session.joins,
        )

    def _note_end(self, end: End) -> None:
        """Keep what is known of a player whose link is about to be closed; end is the client's."""
        conn, seen = end.conn, end.watcher.seen if end.watcher else None
        self.endings.add(
            "client",
            session=conn.session.text if conn.session else "",
            address=str(conn.address),
            port=conn.port,
            outcome=conn.outcome.value if conn.outcome else "",
            seconds=round(self._clock() - conn.since, 1),
            bytes_from_client=end.received,
            bytes_from_host=end.peer.received,
            to_client=tcpinfo.way(end.sock),
            to_host=tcpinfo.way(end.peer.sock),
            seen=seen.as_dict() if seen else None,
        )

    def _note_refusal(self, conn: Conn) -> None:
        """Keep that a friend who wanted to join or to host did not get as far as a game."""
        if (
            conn.friend
            and conn.kind in ("client", "host")
            and conn.outcome not in (Outcome.HOST_LEFT, Outcome.SHUTDOWN)
        ):
            self.endings.add(
                "refused",
                session=conn.session.text if conn.session else "",
                address=str(conn.address),
                outcome=conn.outcome.value if conn.outcome else "",
                seconds=round(self._clock() - conn.since, 1),
            )

    def _log_end(self, conn: Conn, received: int) -> None:
        outcome = conn.outcome
        noise = conn.kind == "unknown"  # a scanner, or somebody who never said what they are
        if outcome is Outcome.AMBIGUOUS:
            hint = "client {address} named no session and {count} are hosted: tell that friend relay|{port}|SESSION"
            count, port = len(self.board.sessions), conn.room_port
            self._events.write(logging.WARNING, "ambiguous", hint, address=conn.address, count=count, port=port)
        self._events.write(
            logging.DEBUG if noise else logging.INFO,
            "connection-ended",
            "{role} {address} ended: {outcome} after {seconds} s, {received} bytes",
            role=conn.kind,
            address=conn.address,
            outcome=outcome.value if outcome else "",
            seconds=self._clock() - conn.since,
            received=received,
            session=conn.session.hint if conn.session else "",
        )
