"""The asyncio adapter: tells the switchboard what sockets do, and does with them what it decides.

Connections that are not linked yet are watched one by one; linked ones belong to the forwarder. No task, and no timer,
stands behind a connection: one sweep looks at all deadlines.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import socket
import time
from base64 import b64decode
from collections import Counter, deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from relay.addresses import Address
from relay.allowlist import Allowlist
from relay.config import Config
from relay.logs import Events, log
from relay.net import sockets, tcpinfo
from relay.net.acceptor import Acceptor
from relay.net.coreless_driver import CorelessDriver
from relay.net.forwarder import Forwarder
from relay.net.history import History
from relay.net.lingering_close import LingeringClose
from relay.net.link import LinkEnd
from relay.net.poller import Poller
from relay.net.selector import LinkSelector
from relay.net.session_log import SessionLog
from relay.netplay.watcher import Watcher
from relay.outcomes import Outcome
from relay.protocol import lan, tunnel
from relay.spool import Backlog, Blob, Spool
from relay.switchboard import snapshot
from relay.switchboard.connection import (
    Action,
    Close,
    Conn,
    Convert,
    CorelessSessionClosed,
    CorelessSessionOpened,
    Rest,
    Seat,
    Send,
    Session,
    SessionEnded,
    SessionOpened,
    Splice,
    State,
)
from relay.switchboard.machine import Switchboard
from relay.switchboard.rooms import Room, RoomTable

SWEEP = 0.25
# Sockets that are being closed with words still to be read. Strangers have few, and none of the others'.
FAREWELLS = 512
FAREWELLS_TO_STRANGERS = 32
READ_SIZE = 4096
# Seconds between two turns in which memory goes back to the kernel.
TRIM = 0.02


class Server:
    """A relay on listening sockets. clock returns seconds and never goes back; new_id returns 12 random bytes."""

    def __init__(
        self,
        config: Config,
        listeners: Iterable[socket.socket],
        events: Events,
        clock: Callable[[], float] = time.monotonic,
        new_id: Callable[[], bytes] = lambda: secrets.token_bytes(tunnel.ID_SIZE),
        selector: LinkSelector | None = None,
    ) -> None:
        rooms = RoomTable(
            (Room(tunnel.session_id(room.id), room.port, config.mode_of(room), room.devices) for room in config.rooms),
            new_id,
            config.timeouts.host_return,
            config.coreless.mode,
        )
        self._spool = Spool(config.buffers.memory)
        self._spool.relieve = self._relieve
        self.board = Switchboard(
            rooms,
            new_id,
            config.limits,
            config.timeouts,
            config.buffers,
            config.gate.link_from_host_address,
            lambda conn: sockets.acked(self._socks[conn]),
            config.coreless.devices,
            self._quiet,
            self._spool,
            self._waits,
        )
        self.drained = asyncio.Event()
        self.endings = History()
        self._config = config
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._allowlist = Allowlist(config.gate.allowlist)
        self._farewells = LingeringClose(self._loop, config.timeouts.farewell, FAREWELLS, self._check_drained)
        self._to_strangers = LingeringClose(self._loop, config.timeouts.farewell, FAREWELLS_TO_STRANGERS)
        buffers = config.buffers
        self._readiness = Poller(self._loop, selector)
        self._forwarder = Forwarder(
            self._readiness, self._end, buffers.slow_client, buffers.slow_clients, self._spool, clock
        )
        self.entrance = Acceptor(self._loop, self._readiness, listeners, self._connected, events)
        self._journal = SessionLog(events, self.endings, clock)
        self.hall = CorelessDriver(
            self._loop,
            self._readiness,
            self.board,
            self._perform,
            clock,
            buffers.slow_client,
            buffers.slow_clients,
            self._spool,
        )
        self._socks: dict[Conn, socket.socket] = {}
        # One for all: a method looked up anew is an object, and each connection would keep its own.
        self._told = self._readable
        self._timer: asyncio.TimerHandle | None = None
        self._trimming: asyncio.TimerHandle | None = None
        # Whose memory was taken: to be ended as soon as nothing else is being done.
        self._robbed: list[Conn] = []
        self._todo: deque[Action] = deque()
        self._performing = False

    def start(self) -> None:
        """Begin to accept and to watch the time."""
        self.entrance.open()
        self._tick()

    def sweep(self) -> None:
        """End what has waited too long."""
        self._perform(self.board.tick(self._clock()))
        self._forwarder.sweep()
        self.hall.seats.sweep()
        if self._spool.untidy and not self._trimming:
            self._trim()

    def drain(self) -> None:
        """Open no new rooms; `drained` is set when the last game has ended."""
        self.board.drain()
        self._check_drained()

    def stop(self) -> None:
        """End everything now."""
        for timer in (self._timer, self._trimming):
            if timer:
                timer.cancel()
        self.entrance.close()
        self._perform(self.board.shutdown(self._clock()))
        self._readiness.close()
        self._farewells.close()
        self._to_strangers.close()
        self._spool.close()

    def allows(self, address: Address) -> bool:
        """Tell whether the allowlist knows an address."""
        return self._allowlist.allows(address, self._clock())

    def allowlist(self) -> dict[str, Any]:
        """Return which allowlist is in force (relay/allowlist.py)."""
        return self._allowlist.told()

    def kick(self, networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> int:
        """End every connection from these addresses; return how many there were."""
        kicked = [conn for conn in self.board.live() if any(conn.address in network for network in networks)]
        for conn in kicked:
            self._perform(self.board.lost(conn, self._clock(), Outcome.KICKED))
        return len(kicked)

    def lan_rooms(self) -> list[lan.Room]:
        """Return what LAN discovery may say: whatever can be joined without an id, at the port it is at."""
        ports = dict.fromkeys(listener.getsockname()[1] for listener in self.entrance.listeners)
        rooms = []
        for port in ports:
            session, table = self.board.session_at(port, self._clock()), self.board.tables.at.get(port)
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
            return lan.Room(session.hint, port)
        host = seen.host
        return lan.Room(
            host.nick or session.hint,
            port,
            host.core or lan.UNKNOWN,
            host.core_version or lan.UNKNOWN,
            host.content_crc or 0,
            password=bool(seen.password),
        )

    def silence(self, session: Session) -> float | None:
        """Return for how long (seconds) a session's host gave no sign of life; None for one that is not silent."""
        return self.board.liveness.silence(session.host, self._clock())

    def _quiet(self, conn: Conn) -> float:
        """Return for how long (seconds) nothing has come from a peer's machine."""
        sock = self.sock_of(conn)
        info = tcpinfo.of(sock) if sock else None
        return info.heard if info else 0.0

    def _waits(self, conn: Conn) -> int:
        """Return how many bytes a player of a core-less room has not taken yet of what it was sent."""
        seat = self.hall.seats.of(conn)
        return seat.waiting + sockets.unacked(seat.sock) if seat else 0

    def sock_of(self, conn: Conn) -> socket.socket | None:
        """Return the socket of a connection that is not closed."""
        if end := self._forwarder.end_of(conn):
            return end.sock
        seat = self.hall.seats.of(conn)
        return seat.sock if seat else self._socks.get(conn)

    def end_of(self, conn: Conn) -> LinkEnd | None:
        """Return the forwarder's end of a linked connection."""
        return self._forwarder.end_of(conn)

    # Memory (relay/spool.py).

    def _trim(self) -> None:
        """Give memory that nobody needs any more back to the kernel, a little at a time."""
        self._spool.trim()
        again = self._loop.call_later(TRIM, self._trim) if self._spool.untidy else None
        self._trimming = again

    def _relieve(self) -> None:
        """Take memory from the address that holds most, for more is held than may be."""
        for sock, _ in list(self._farewells.backlogs()):
            self._farewells.cut_off(sock)
        while self._spool.held > self._spool.most and self._take_from_greediest():
            pass

    def _take_from_greediest(self) -> bool:
        """End whoever holds most of the address that does; return whether there is anybody."""
        totals: Counter[str] = Counter()
        shared: set[tuple[str, int]] = set()
        holders: list[tuple[str, int, Callable[[], None]]] = []

        def count(source: str, own: int, blobs: Iterable[Blob], take: Callable[[], None]) -> None:
            holds = own
            for blob in blobs:
                holds += blob.size
                if (source, id(blob)) not in shared:
                    shared.add((source, id(blob)))
                    totals[source] += blob.size
            totals[source] += own
            if holds:
                holders.append((source, holds, take))

        for end in self._forwarder:
            if end.to_host and end.out:
                count(end.conn.source.hex(), end.waiting, (), partial(self._rob, end))
        for seat in self.hall.seats:
            if seat.out:
                take = partial(self.hall.seats.take_away, seat)
                count(seat.conn.source.hex(), seat.out.own, list(seat.out.blobs()), take)
        for table in self.board.tables.at.values():
            for conn, blob in table.held():
                count(conn.source.hex(), 0, [blob], partial(self._rob_of_state, conn, blob))
            for made in table.room.game.conversions:
                count(made.target.source, 0, [made.target], made.target.lose)
        if not holders:
            return False
        max(holders, key=lambda holder: (totals[holder[0]], holder[1]))[2]()
        return True

    def _rob(self, end: LinkEnd) -> None:
        self._forwarder.take_away(end)
        self._end_soon(end.conn)

    def _rob_of_state(self, conn: Conn, blob: Blob) -> None:
        blob.lose()
        self._end_soon(conn)

    def _end_soon(self, conn: Conn) -> None:
        self._robbed.append(conn)
        self._loop.call_soon(self._end_robbed)
        self._readiness.touched = True

    def _end_robbed(self) -> None:
        robbed, self._robbed = self._robbed, []
        for conn in robbed:
            self._end(conn, Outcome.OVERRUN)

    # Changing programs (relay/upgrade.py).

    def capture(self) -> dict[str, Any]:
        """Return everything another program needs to go on: plain data, with the numbers of open descriptors."""
        self._end_robbed()
        self.hall.seats.end_broken()
        self._end_ghosts()
        board, conns = snapshot.dump(self.board)
        return {
            "board": board,
            "spool": self._spool.save(),
            "listeners": [listener.fileno() for listener in self.entrance.listeners],
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
            waiting = end.out.save() if end.out else []
            watcher = end.watcher.save() if end.watcher and end.to_host else None
            return {"fd": end.fd, "received": end.received, "waiting": waiting, "watcher": watcher}
        if seat := self.hall.seats.of(conn):
            waiting = seat.out.save() if seat.out else []
            return {"fd": seat.fd, "received": seat.received, "sent": seat.sent, "waiting": waiting}
        return {"fd": self._socks[conn].fileno()}

    def restore(self, data: dict[str, Any]) -> None:
        """Go on with what another program captured; before `start`. KeyError, ValueError or OSError if it is broken."""
        watchers = {}
        if spool := data.get("spool"):
            self._spool.restore(spool)
        for conn, entry in zip(snapshot.load(data["board"], self.board), data["conns"], strict=True):
            sock = sockets.inherit(entry["fd"])
            if conn.state in (State.LINKED, State.SEATED):
                sockets.linked(sock)  # an older program may have left that out
            if conn.state is State.LINKED and not conn.introduction:
                self._forwarder.adopt(conn, sock, self._waiting(entry["waiting"]), entry["received"])
                watchers[conn] = entry["watcher"]
            elif conn.state is State.SEATED:
                self.hall.add(conn, sock, self._waiting(entry["waiting"]), entry["received"], entry["sent"])
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
            self._farewells.say(sockets.inherit(fd), self._waiting(waiting) or b"")
        self._spool.restored()
        for table in self.board.tables.at.values():
            for made in table.room.game.conversions:
                self.hall.convert(table, made)

    def _waiting(self, data: Any) -> Backlog | None:
        """Return what waits for somebody, as another program has left it: version 2 did so in base64."""
        if not isinstance(data, str):
            return Backlog.load(self._spool, data, self._clock()) or None
        backlog = Backlog(self._spool, self._clock())
        backlog.add(b64decode(data))
        return backlog or None

    def _connected(self, sock: socket.socket, peer: tuple[str, int], port: int) -> None:
        now = self._clock()
        address = sockets.address_of(peer[0])
        friend = self._allowlist.allows(address, now)
        conn, actions = self.board.connected(address, peer[1], port, now, friend)
        self._socks[conn] = sock
        self._perform(actions)
        if conn.state is State.OPENING:
            self._readiness.watch(sock.fileno(), self._told, conn)
            # Whoever connects says at once what it wants: mostly it has come already.
            self._readable(conn)

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
        if self._performing or not self._todo:
            return
        self._performing = True
        while self._todo:
            action = self._todo.popleft()
            try:
                self._carry_out(action)
            except Exception:
                # Not the action itself: it may have ids, and what players say.
                log.exception("internal error while carrying out %s", type(action).__name__)
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
        elif isinstance(action, Rest):
            self.hall.seats.rest(action.conn, action.seconds)
        elif isinstance(action, Convert):
            self.hall.convert(action.table, action.conversion)
        elif isinstance(action, SessionOpened):
            self._journal.opened(action)
        elif isinstance(action, SessionEnded):
            self._journal.closed(action)
        elif isinstance(action, CorelessSessionOpened):
            self._journal.table_opened(action)
        elif isinstance(action, CorelessSessionClosed):
            self.hall.closed(action.table)
            self._journal.table_closed(action)
        else:
            self._journal.table_said(action)

    def _send(self, conn: Conn, data: bytes | Blob) -> None:
        if not (sock := self._socks.get(conn)):
            if seat := self.hall.seats.of(conn):
                self.hall.seats.send(seat, data)
            return
        if conn.state is State.CLOSED or isinstance(data, Blob):
            return
        try:
            sent = sock.send(data)
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
            log.exception("internal error: a link is not watched")
            watcher = None
        ends = (action.client, client), (action.link, link)
        self._forwarder.splice(*ends, action.to_host, action.to_client, watcher)
        for to_host, data in action.before:
            if end := self._forwarder.end_of(action.client if to_host else action.link):
                end.flow.received += len(data)
        for conn in (action.client, action.link):
            del self._socks[conn]

    def _close(self, action: Close) -> None:
        conn = action.conn
        try:
            self._note(conn)
        except Exception:
            # What is not noted is no reason to keep a socket: it would wake the loop for ever.
            log.exception("internal error at the end of %r", conn)
        waiting: bytes | Backlog | None = action.farewell
        if end := self._forwarder.end_of(conn):
            sock, waiting = self._forwarder.release(conn)
            received = end.received
        elif self.hall.seats.of(conn):
            seat = self.hall.seats.release(conn)
            sock, waiting, received = seat.sock, seat.out, seat.received
        elif conn in self._socks:
            sock = self._socks[conn]
            self._readiness.forget(sock.fileno())
            received = conn.received
        else:
            self._journal.ended(conn, conn.received, len(self.board.sessions))
            return  # its socket went when something failed
        self._socks.pop(conn, None)
        if isinstance(waiting, Backlog) and conn.outcome is Outcome.OVERRUN:
            waiting.close()  # what it did not take in all that time it will not take now
            sock.close()
        elif conn.outcome is Outcome.PEER_LEFT or (waiting and conn.friend):
            self._farewells.say(sock, waiting or b"")
        elif waiting and conn.outcome is Outcome.STRANGER:
            self._to_strangers.say(sock, waiting)
        else:
            sock.close()
        self._journal.ended(conn, received, len(self.board.sessions))
        if conn.session and conn.session.host is conn:
            conn.session = None  # a circle of the two is freed by the collector alone

    def _note(self, conn: Conn) -> None:
        """Keep what is known of a connection that is about to be closed."""
        if end := self._forwarder.end_of(conn):
            if self._forwarder.end_of(end.peer.conn):
                self._journal.unlinked(end if end.to_host else end.peer)
        elif seat := self.hall.seats.of(conn):
            self._journal.unseated(seat, links=self._config.watch.links)
        else:
            self._journal.refused(conn)

    def _check_drained(self) -> None:
        if self.board.draining and not self.board.busy and not self._farewells:
            self.drained.set()
