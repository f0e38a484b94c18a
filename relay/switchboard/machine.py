"""The relay's state machine: connections, sessions and links, without sockets, event loop or clock.

The adapter (relay/net/server.py) tells it what happened, with the time in seconds of a clock that never goes back, and
carries out the actions it returns, in order. A connection is in exactly one state:

    OPENING --> [CLAIMING -->] HOSTING -------------> CLOSED
            --> [CLAIMING -->] WAITING --> LINKED (two of them) --> CLOSED
            --> [CLAIMING, WAITING -->] SEATED (in a core-less session) --> CLOSED
            --> CLOSED

CLAIMING is a host that wants a room which somebody seems to have, or a client that may mean one of several hosts: both
wait for signs of life of those who are there. A client that waits for a host whose line turns out to be dead is sent to
whom else it may mean.

and ends with exactly one outcome word (relay/outcomes.py). Time limits follow docs/protocol.md, Time limits.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections import Counter
from collections.abc import Callable, Iterable

from relay.addresses import Address
from relay.coreless import DEVICES, Conversion, CorelessSettings
from relay.limits import Buffers, Limits, Timeouts
from relay.liveness import Liveness, Sign
from relay.netplay import legacy_handshake, releases
from relay.outcomes import Outcome
from relay.protocol import tunnel
from relay.protocol.tunnel import Reason
from relay.spool import Spool
from relay.switchboard.admission import Admission, count_down, count_up
from relay.switchboard.connection import (
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
)
from relay.switchboard.coreless_sessions import CorelessSession, CorelessSessions
from relay.switchboard.rooms import Mode, RoomTable

# How many clients that have left a session's host may still ask the address of.
REMEMBERED_CLIENTS = 256
# Client numbers of netplay go to 31, pads to 16.
MOST_PLAYERS = 31
# Seconds after which a host is pinged that somebody waits for without knowing: who only looked in has left by then.
PROBED = 1.0
# Seconds after which a host that answers no ping, a paused one perhaps, is taken for one all the same.
STANDS = 10.0
# Whose machine gave no sign of life for so long (seconds) keeps nobody out of a full session.
GONE_SECONDS = 7.0
# How many hosts a tick looks at: pinging hundreds at once takes milliseconds, and games wait for that.
HOSTS_A_TICK = 32
# Seconds in which the answer to a ping tells a round trip.
LATEST_PONG = 10.0
# Ends of hosts that are not there any more.
DEAD = (Outcome.REPLACED, Outcome.HOST_DEAD)
NOWHERE = ipaddress.IPv6Address("::")
KINDS = {
    tunnel.HostHello: "host",
    tunnel.JoinHello: "client",
    tunnel.OldHello: "client",
    tunnel.LinkHello: "link",
}


class Switchboard:
    """Decides what every connection is and what becomes of it.

    rooms knows the ids; new_id returns 12 random bytes, never guessable: a client's id is all that keeps a stranger
    from taking its link. acked tells whether everything sent on a connection has been acknowledged by its peer's
    kernel: the sign of life of a host that is paused and answers nothing. devices are the types of the pads of a
    core-less room that has none of its own. quiet tells for how long (seconds) nothing has come from a peer's kernel:
    that of a link, or of a player of a core-less room; waits how many bytes such a player has not taken yet. Every
    method that takes `now` may be called with equal times, never with earlier ones.
    """

    def __init__(
        self,
        rooms: RoomTable,
        new_id: Callable[[], bytes],
        limits: Limits,
        timeouts: Timeouts,
        buffers: Buffers,
        link_from_host_address: bool = False,
        acked: Callable[[Conn], bool] = lambda _: True,
        devices: tuple[int, ...] = DEVICES,
        quiet: Callable[[Conn], float] = lambda _: 0.0,
        spool: Spool | None = None,
        waits: Callable[[Conn], int] = lambda _: 0,
    ) -> None:
        self.rooms = rooms
        self.limits = limits
        self.timeouts = timeouts
        self.buffers = buffers
        self.link_from_host_address = link_from_host_address
        self.sessions: dict[bytes, Session] = {}
        self.outcomes: Counter[Outcome] = Counter()
        # Of sessions, and of core-less sessions.
        self.session_outcomes: Counter[Outcome] = Counter()
        self.clients: Counter[str] = Counter()
        self.draining = False
        self._new_id = new_id
        self._acked = acked
        self._quiet = quiet
        self.liveness = Liveness(acked, quiet, timeouts.host_claim)
        self._opening: dict[Conn, None] = {}
        self._claiming: dict[Conn, None] = {}
        self._waiting: dict[bytes, Conn] = {}
        self._linked: set[Conn] = set()
        self._admission = Admission(limits)
        self._hosts_at: dict[bytes, int] = {}
        self._next_host = 0
        self._actions: list[Action] = []
        self._coreless = CorelessSettings(players=min(limits.clients_per_session, MOST_PLAYERS), devices=devices)
        self.tables = CorelessSessions(
            self._coreless_settings, self._emit, self._close, self.session_outcomes, quiet, spool, waits
        )

    # What the adapter tells.

    def connected(
        self, address: Address, port: int, room_port: int, now: float, friend: bool = True
    ) -> tuple[Conn, list[Action]]:
        """Take a new connection from address:port to room_port; friend tells whether the allowlist knows it."""
        deadline = now + self.timeouts.first_bytes
        conn = Conn(address, port, room_port, friend, now, State.OPENING, deadline, tunnel.Opening())
        self._opening[conn] = None
        outcome = self._admission.admit(conn.source, now)
        if outcome is Outcome.TOO_FAST and self._may_be_asked_for(conn):
            conn.hurried, outcome = True, None
        if outcome:
            # What it is was not waited for. To a client the word that it is full means something, to others nothing.
            self._close(conn, outcome, Reason.FULL if friend else Reason.NONE)
        elif victim := self._admission.evict(self._opening, friend):
            self._close(victim, Outcome.EVICTED if friend else Outcome.STRANGER)
        return conn, self._take()

    def _may_be_asked_for(self, conn: Conn) -> bool:
        """Tell whether a connection that comes too fast may be a link that a host was asked for: its word will tell.

        So many of one address are waited for as there are clients who wait; beyond that it is somebody else.
        """
        if not self._waiting or not conn.friend:
            return False
        hurried = sum(each.hurried and each.source == conn.source for each in self._opening)
        return hurried < len(self._waiting)

    def received(self, conn: Conn, data: bytes, now: float) -> list[Action]:
        """Take bytes of a connection. Those of a link that is forwarded never come here."""
        conn.heard = now
        if conn.owes is not None:
            self.liveness.heard(conn, now)
        conn.received += len(data)
        if conn.state is State.SEATED:
            self.tables.received(conn, data, now)
        elif conn.state is State.LINKED:
            self._introduce(conn, data)
        elif conn.state is State.OPENING:
            self._opening_received(conn, data, now)
        elif conn.state is State.HOSTING:
            self._host_received(conn, data, now)
        elif conn.state is State.CLAIMING and conn.kind == "host":
            self._close(conn, Outcome.HOST_BROKE_PROTOCOL)
        elif conn.state in (State.CLAIMING, State.WAITING):
            conn.head += data
            if len(conn.head) > self.buffers.waiting_client:
                self._close(conn, Outcome.FLOODED)
        return self._take()

    def lost(self, conn: Conn, now: float, outcome: Outcome | None = None) -> list[Action]:
        """Take the end of a connection: its peer closed, or the adapter gave it up and says why."""
        if conn.state is State.HOSTING:
            self._end_session(conn, outcome or Outcome.HOST_LEFT, now)
        elif conn.state is State.LINKED:
            self._unlink(conn, outcome or Outcome.LEFT)
        elif conn.state is State.SEATED:
            self._close(conn, outcome or Outcome.LEFT)
            self.tables.left(conn, now)
        elif conn.state is State.WAITING:
            self._close(conn, outcome or Outcome.LEFT_WAITING)
        elif conn.state is State.CLAIMING:
            self._close(conn, outcome or (Outcome.HOST_LEFT if conn.kind == "host" else Outcome.LEFT_WAITING))
        elif conn.state is State.OPENING:
            self._close(conn, outcome or (Outcome.LEFT_EARLY if conn.friend else Outcome.STRANGER))
        return self._take()

    def tick(self, now: float) -> list[Action]:
        """End what has waited too long, and ping hosts that have been silent. Call it a few times a second."""
        for conn in [conn for conn in self._opening if conn.deadline <= now]:
            self._close(conn, Outcome.INCOMPLETE if conn.opening.size >= tunnel.MAGIC_SIZE else Outcome.SILENT)
        self._leave_the_dead(dict.fromkeys(conn.session for conn in self._waiting.values() if conn.session), now)
        for conn in [conn for conn in self._waiting.values() if conn.deadline <= now]:
            self._close(conn, Outcome.NOT_LINKED, Reason.FULL)
        self._settle_choices(now)
        # What one of them leads to may send others on their way again.
        while due := [conn for conn in self._claiming if conn.deadline <= now]:
            self._settle(due[0], now)
        self._look_at_hosts(now)
        for table in list(self.tables.at.values()):
            self.tables.tick(table, now)
        self.rooms.forget_old(now)
        self._admission.forget_old(now)
        return self._take()

    def table_tick(self, table: CorelessSession, now: float) -> list[Action]:
        """Let a core-less room do what is due: its clock asks for more than a few times a second."""
        self.tables.tick(table, now)
        return self._take()

    def converted(self, table: CorelessSession, made: Conversion, failure: str, now: float) -> list[Action]:
        """Take the end of a conversion of a core-less room's savestate."""
        self.tables.converted(table, made, failure, now)
        return self._take()

    def drain(self) -> None:
        """Open no new rooms from now on; what is going on goes on."""
        self.draining = True

    def shutdown(self, now: float) -> list[Action]:
        """End everything."""
        for conn in [*self._opening, *self._claiming, *self._waiting.values(), *self._linked]:
            if conn.state is not State.CLOSED:
                self._close(conn, Outcome.SHUTDOWN)
        for session in list(self.sessions.values()):
            self._end_session(session.host, Outcome.SHUTDOWN, now)
        for conn in self.tables.conns():
            if conn.state is not State.CLOSED:  # the end of one can lead to that of others
                self._close(conn, Outcome.SHUTDOWN)
                self.tables.left(conn, now)
        return self._take()

    def live(self) -> list[Conn]:
        """Return all connections that are not closed."""
        hosts = [session.host for session in self.sessions.values()]
        seated = self.tables.conns()
        return [*self._opening, *self._claiming, *self._waiting.values(), *self._linked, *hosts, *seated]

    def adopt(self, conns: list[Conn], outcomes: Counter[Outcome], clients: Counter[str], draining: bool) -> None:
        """Go on with connections of another switchboard (relay/switchboard/snapshot.py); for a new one only."""
        self.outcomes, self.clients, self.draining = outcomes, clients, draining
        self._admission.adopt(conns)
        self._opening = {conn: None for conn in conns if conn.state is State.OPENING}
        self._claiming = {conn: None for conn in conns if conn.state is State.CLAIMING}
        self._waiting = {conn.client_id: conn for conn in conns if conn.state is State.WAITING}
        self._linked = {conn for conn in conns if conn.state is State.LINKED}
        for conn in conns:
            if conn.state is State.HOSTING and conn.session:
                self.sessions[conn.session.id] = conn.session
                count_up(self._hosts_at, conn.source)
                self.rooms.hosted.add(conn.session.id)

    @property
    def connections(self) -> int:
        """How many connections are not closed."""
        return self._admission.connections

    @property
    def busy(self) -> bool:
        """Whether anybody hosts, waits or plays."""
        return bool(self.sessions or self._claiming or self._waiting or self._linked or self.tables.at)

    # First bytes.

    def _opening_received(self, conn: Conn, data: bytes, now: float) -> None:
        hello = conn.opening.feed(data)
        if hello is None:
            if conn.opening.size >= tunnel.MAGIC_SIZE > conn.opening.size - len(data):
                conn.deadline = now + self.timeouts.header
            return
        if isinstance(hello, tunnel.Unknown):
            self._close(conn, Outcome.POKE if hello.word == "poke" else Outcome.GARBAGE)
            return
        conn.kind, conn.opening = KINDS[type(hello)], tunnel.SPENT
        if conn.hurried and not (isinstance(hello, tunnel.LinkHello) and hello.client in self._waiting):
            self._close(conn, Outcome.TOO_FAST, Reason.NONE if isinstance(hello, tunnel.HostHello) else Reason.FULL)
            return
        if not conn.friend:
            shown = Reason.DENIED if isinstance(hello, tunnel.JoinHello) else Reason.NONE
            self._close(conn, Outcome.STRANGER, shown)
        elif isinstance(hello, tunnel.HostHello):
            conn.probe = hello.probe
            self._host(conn, now)
        elif isinstance(hello, tunnel.JoinHello):
            self.clients[releases.of_header(hello.head)] += 1
            self._join(conn, hello, now)
        elif isinstance(hello, tunnel.OldHello):
            self.clients[releases.OLDEST] += 1
            self._join_old(conn, hello, now)
        else:
            self._link(conn, hello)

    def _host(self, conn: Conn, now: float) -> None:
        del self._opening[conn]
        if old := self._in_its_place(conn):
            # The same player back from a lost connection, or another one: the old connection's answer tells. A paused
            # RetroArch answers nothing, but its kernel acknowledges what we send.
            conn.state, conn.peer = State.CLAIMING, old
            conn.deadline = now + self.timeouts.host_claim
            self._claiming[conn] = None
            self._send_ping(old, now)
            return None
        return self._open_session(conn, now)

    def _in_its_place(self, conn: Conn) -> Conn | None:
        """Return the host that a new one may have been before: who has the room of its port, or came from its address.

        A router that dials in anew has another address. Where the port is the room's that is no hindrance; on the main
        port nothing else tells hosts apart.
        """
        claimed = {claim.peer for claim in self._claiming}
        if room := self.rooms.room_of(conn.room_port):
            session = self.sessions.get(room.id)
            return session.host if session and session.host not in claimed else None
        if conn.source not in self._hosts_at:
            return None
        hosts = (session.host for session in self.sessions.values() if session.host not in claimed)
        place = (conn.address, conn.room_port)
        return next((host for host in hosts if (host.address, host.room_port) == place), None)

    def _settle(self, conn: Conn, now: float) -> None:
        """Decide a claim: a room whose host is dead goes to the one who came back."""
        if conn.kind == "client":
            return self._find_game(conn, now)
        old = conn.peer
        silent = old is not None and old.heard < conn.since
        if old and old.session and old.state is State.HOSTING and silent and not self._acked(old):
            self._end_session(old, Outcome.REPLACED, now)
        if conn.state is State.CLAIMING:
            self._open_session(conn, now)
        return None

    def _settle_claims_on(self, host: Conn, now: float) -> None:
        for conn in [conn for conn in self._claiming if conn.peer is host]:
            self._settle(conn, now)

    def _settle_choices(self, now: float) -> None:
        """Let those who may mean one of several hosts look again: one may have given a sign of life."""
        for conn in [conn for conn in self._claiming if conn.kind == "client"]:
            if conn.state is State.CLAIMING:
                self._find_game(conn, now)

    def _open_session(self, conn: Conn, now: float) -> None:
        self._claiming.pop(conn, None)
        conn.peer = None
        self._leave_the_dead(self.sessions.values(), now)
        # Hosting already, so that a refusal too is written down as a host's.
        conn.state = State.HOSTING
        if self.draining:
            return self._close(conn, Outcome.DRAINING)
        if self.rooms.mode_of(conn.room_port) is Mode.CORELESS:
            return self._close(conn, Outcome.NO_HOSTS_HERE)
        if len(self.sessions) >= self.limits.sessions:
            return self._close(conn, Outcome.NO_ROOM_FREE)
        if self._hosts_at.get(conn.source, 0) >= self.limits.sessions_per_address:
            return self._close(conn, Outcome.TOO_MANY_HOSTS)
        session_id = self.rooms.take(conn.address, conn.room_port, now)
        if session_id is None:
            return self._close(conn, Outcome.ROOM_TAKEN)
        conn.session = self.sessions[session_id] = Session(session_id, conn, now)
        conn.control = tunnel.Control()
        count_up(self._hosts_at, conn.source)
        self._tell(conn, tunnel.session_message(session_id), now)
        if conn.probe:
            self._tell(conn, self._address_answer(conn, tunnel.NO_ID), now)
        return self._emit(SessionOpened(conn.session))

    def _join(self, conn: Conn, hello: tunnel.JoinHello, now: float) -> None:
        conn.head = hello.head
        if hello.session is None:
            return self._find_game(conn, now)
        conn.named = True
        if session := self.sessions.get(hello.session):
            self._leave_the_dead([session], now)
        session = self.sessions.get(hello.session)
        return self._wait_for_link(conn, session, now) if session else self._close(conn, Outcome.NO_SESSION)

    def _find_game(self, conn: Conn, now: float) -> None:
        """Bring a client that names no session to the game it means, or let it wait until it is known which that is."""
        self._leave_the_dead(self._candidates(conn.room_port, conn), now)
        wanted = self._wanted(conn, now)
        if wanted is None:
            return self._sit(conn, now)
        if isinstance(wanted, Session):
            return self._wait_for_link(conn, wanted, now)
        if wanted is not Outcome.AMBIGUOUS:
            return self._close(conn, wanted)
        asked = conn.deadline - self.timeouts.host_claim if conn.state is State.CLAIMING else None
        if doubted := self._doubted(conn, asked, now):
            return self._ask_the_doubted(conn, doubted, now)
        return self._close(conn, wanted, Reason.FULL)

    def _is_full(self, session: Session) -> bool:
        return len(session.waiting) + len(session.linked) // 2 >= self.limits.clients_per_session

    def _ask_the_doubted(self, conn: Conn, doubted: list[Conn], now: float) -> None:
        """Let a client wait until it is known which of several hosts are still there."""
        if conn.state is not State.CLAIMING or conn.deadline <= now:
            self._opening.pop(conn, None)
            self._claiming[conn] = None
            conn.state, conn.deadline = State.CLAIMING, now + self.timeouts.host_claim
        for host in doubted:
            if not self.liveness.is_asked(host, now):
                self._send_ping(host, now)

    def _doubted(self, client: Conn, asked: float | None, now: float) -> list[Conn]:
        """Return the hosts that a client may mean of whom it is not known whether they are there.

        asked: when they were asked for a sign of life. If they were not, all are in doubt that are not silent.
        """
        hosts = [session.host for session in self._candidates(client.room_port, client)]
        if asked is None:
            return [host for host in hosts if not self.liveness.is_silent(host, now)]
        return [host for host in hosts if self.liveness.sign(host, asked, now) is Sign.UNKNOWN]

    def _wait_for_link(self, conn: Conn, session: Session, now: float) -> None:
        """Ask a session's host for a link for a client."""
        if self._is_full(session):
            for client in [each for each in session.linked if not each.is_link and self._quiet(each) >= GONE_SECONDS]:
                self._unlink(client, Outcome.VANISHED)
        if self._is_full(session):
            return self._close(conn, Outcome.SESSION_FULL, Reason.FULL)
        self._opening.pop(conn, None)
        self._claiming.pop(conn, None)
        conn.state = State.WAITING
        conn.deadline = now + self.timeouts.link
        conn.session = session
        conn.client_id = self._client_id(session)
        session.waiting[conn.client_id] = self._waiting[conn.client_id] = conn
        session.addresses[conn.client_id] = conn.address
        if len(session.addresses) > REMEMBERED_CLIENTS:
            del session.addresses[next(iter(session.addresses))]
        return self._tell(session.host, tunnel.link_message(conn.client_id), now)

    def _join_old(self, conn: Conn, hello: tunnel.OldHello, now: float) -> None:
        """Take a client of protocol 4, which no host of a tunnel speaks: it plays without one or not at all."""
        conn.head = hello.head
        self._leave_the_dead(self._candidates(conn.room_port, conn), now)
        hosted = conn.room_port not in self.tables.at and self.session_at(conn.room_port, now, conn)
        if hosted or self.rooms.mode_of(conn.room_port) is Mode.TUNNEL:
            return self._close(conn, Outcome.OTHER_PROTOCOL)
        return self._sit(conn, now)

    def _sit(self, conn: Conn, now: float) -> None:
        if self.draining and conn.room_port not in self.tables.at:
            return self._close(conn, Outcome.DRAINING)
        self._opening.pop(conn, None)
        self._claiming.pop(conn, None)
        conn.state = State.SEATED
        self._emit(Seat(conn))
        return self.tables.sit(conn, now)

    def _coreless_settings(self, port: int) -> CorelessSettings:
        room = self.rooms.room_of(port)
        return dataclasses.replace(self._coreless, devices=room.devices) if room and room.devices else self._coreless

    def _wanted(self, client: Conn, now: float) -> Session | Outcome | None:
        """Return the session that who names none means, or why there is none; None: it means a game without a host."""
        port = client.room_port
        mode = self.rooms.mode_of(port)
        if mode is Mode.CORELESS:
            return None
        found = self.session_at(port, now, client)
        if found and (found.host.room_port == port or port not in self.tables.at):
            return found
        if mode is Mode.AUTO and port in self.tables.at:
            return None
        if self._candidates(port, client) and self.rooms.room_of(port) is None:
            return Outcome.AMBIGUOUS
        return None if mode is Mode.AUTO else Outcome.NO_HOST

    def session_at(self, port: int, now: float, client: Conn | None = None) -> Session | None:
        """Return the session that a client without a session id means at a port; None for nobody, or for several.

        A silent host is meant by nobody who may mean another.
        """
        found = self._candidates(port, client)
        if len(found) > 1:
            found = [session for session in found if not self.liveness.is_silent(session.host, now)]
        return found[0] if len(found) == 1 else None

    def _candidates(self, port: int, client: Conn | None = None) -> list[Session]:
        """Return the sessions that a client without a session id may mean at a port.

        A probe (docs/protocol.md, RATA) plays with itself alone: nobody else means it.
        """
        if room := self.rooms.room_of(port):
            found = [self.sessions[room.id]] if room.id in self.sessions else []
        else:
            found = list(self.sessions.values())
        whose = client.address if client else None
        sessions = [session for session in found if not session.host.probe or session.host.address == whose]
        return [session for session in sessions if session.host.room_port == port] or sessions

    def _leave_the_dead(self, sessions: Iterable[Session], now: float) -> None:
        """End those of some sessions whose hosts are dead: somebody wants in, or their place."""
        # Nearly nobody owes anything, and there may be hundreds.
        owing = [session for session in sessions if session.host.owes is not None]
        for session in [session for session in owing if self.liveness.is_dead(session, now)]:
            self._end_session(session.host, Outcome.HOST_DEAD, now)

    def _client_id(self, session: Session) -> bytes:
        while True:
            client_id = self._new_id()
            if client_id != tunnel.NO_ID and client_id not in self._waiting and client_id not in session.addresses:
                return client_id

    def _link(self, conn: Conn, hello: tunnel.LinkHello) -> None:
        client = self._waiting.get(hello.client)
        if client is None or client.session is None:
            return self._close(conn, Outcome.UNCLAIMED)
        session = client.session
        if self.link_from_host_address and conn.address != session.host.address:
            return self._close(conn, Outcome.UNCLAIMED)
        del self._opening[conn], self._waiting[hello.client], session.waiting[hello.client]
        client.state = conn.state = State.LINKED
        client.peer, conn.peer = conn, client
        conn.session, conn.is_link = session, True
        session.linked |= {client, conn}
        self._linked |= {client, conn}
        session.joins += 1
        head, client.head = client.head, b""
        if legacy_handshake.needed(head):
            client.introduction = conn.introduction = legacy_handshake.LegacyHandshake()
            self._introduce(client, head)
            self._introduce(conn, hello.rest)
        else:
            self._emit(Splice(client, conn, head, hello.rest))
        return None

    def _introduce(self, conn: Conn, data: bytes) -> None:
        """Pass on what one end of a link says in its handshake; forward the rest as it is when that is over."""
        talk, peer = conn.introduction, conn.peer
        if talk is None or peer is None:
            return
        if passed := talk.feed(not conn.is_link, data):
            self._emit(Send(peer, passed))
        if talk.done:
            client, link = (peer, conn) if conn.is_link else (conn, peer)
            client.introduction = link.introduction = None
            self._emit(Splice(client, link, b"", b"", tuple(talk.before)))
        elif talk.size > self.buffers.waiting_client:
            # A real one is over within some hundred bytes each way; one end that says nothing must not make it last.
            self._unlink(conn, Outcome.FLOODED)

    # Hosts.

    def _host_received(self, conn: Conn, data: bytes, now: float) -> None:
        self._settle_claims_on(conn, now)
        self._settle_choices(now)
        answers: list[bytes] = []
        for message in conn.control.feed(data):
            if isinstance(message, tunnel.AddressQuery):
                answers.append(self._address_answer(conn, message.client))
            elif isinstance(message, tunnel.Pong):
                if conn.pinged is not None:
                    # One that paused answers when it goes on: that tells how long the pause was.
                    conn.rtt = now - conn.pinged if now - conn.pinged <= LATEST_PONG else conn.rtt
                    conn.pinged = None
                self._send_off(conn)
            else:
                self._end_session(conn, Outcome.HOST_BROKE_PROTOCOL, now)
                return
        if answers:
            # Together: a read has room for 256 questions, and each Send is a call of the kernel's.
            self._tell(conn, b"".join(answers), now)

    def _address_answer(self, host: Conn, client_id: bytes) -> bytes:
        if client_id == tunnel.NO_ID:
            # No RetroArch asks for its own address.
            host.probe = True
            return tunnel.address_message(client_id, host.address)
        known = host.session.addresses.get(client_id) if host.session else None
        # For an id that is not known too, an answer that echoes it: silence would cost the host a slot for good.
        return tunnel.address_message(client_id, known or NOWHERE)

    def _look_at_hosts(self, now: float) -> None:
        sessions = list(self.sessions.values())
        if self._next_host >= len(sessions):
            self._next_host = 0
        for session in sessions[self._next_host : self._next_host + HOSTS_A_TICK]:
            self._ping(session.host, now)
            if now - session.since >= STANDS and not self.liveness.is_silent(session.host, now):
                self._send_off(session.host)
        self._next_host += HOSTS_A_TICK

    def _ping(self, host: Conn, now: float) -> None:
        # One at a time: a paused host answers nothing, and reads one message a frame when it wakes.
        last = max(host.heard, host.since)
        wanted = self.timeouts.ping
        if (table := self._table_beside(host)) and self.tables.is_lone(table):
            wanted = min(wanted, PROBED)
        if host.pinged is None and now - last >= wanted:
            self._send_ping(host, now)

    def _send_off(self, host: Conn) -> None:
        """Let go who is alone in a game without a host at the port where somebody hosts.

        Newcomers there come to the host, so nobody would ever play with that one. A probe, as the doctor and the proof
        of a deployment are, sends nobody off, however long it stays.
        """
        if (table := self._table_beside(host)) and self.tables.is_lone(table):
            self.tables.send_off(table)

    def _table_beside(self, host: Conn) -> CorelessSession | None:
        """Return the game without a host that is played at the port where somebody hosts; a probe hosts nothing."""
        return None if host.probe else self.tables.at.get(host.room_port)

    def _send_ping(self, host: Conn, now: float) -> None:
        # Of several on their way the answer to the first comes first.
        if host.pinged is None:
            host.pinged = now
        self._tell(host, tunnel.PING, now)

    def _tell(self, host: Conn, message: bytes, now: float) -> None:
        self.liveness.tells(host, now)
        self._emit(Send(host, message))

    def _end_session(self, host: Conn, outcome: Outcome, now: float) -> None:
        session = host.session
        if session is None or self.sessions.get(session.id) is not session:
            return
        del self.sessions[session.id]
        self.session_outcomes[outcome] += 1
        count_down(self._hosts_at, host.source)
        keep = outcome in DEAD
        self.rooms.give_back(session.id, host.address, session.since, now, keep)
        for client in list(session.waiting.values()):
            if outcome in DEAD and not client.named:
                self._look_again(client, now)
            else:
                self._close(client, Outcome.HOST_GONE)
        # Links are left alone: a host that ends its session closes them itself, each with what is still to be read.
        # But for a dead one's, over which nothing will ever come.
        if outcome is Outcome.HOST_DEAD:
            for link in [conn for conn in session.linked if conn.is_link]:
                self._unlink(link, outcome)
        self._close(host, outcome)
        self._actions.append(SessionEnded(session, outcome))
        self._settle_claims_on(host, now)

    def _look_again(self, client: Conn, now: float) -> None:
        """Let a client whose host is dead be sent to whom else it may mean, as soon as all of this has been done."""
        session = client.session
        if session:
            del self._waiting[client.client_id], session.waiting[client.client_id]
        client.session, client.client_id = None, b""
        client.state, client.deadline = State.CLAIMING, now
        self._claiming[client] = None

    # Ends.

    def _unlink(self, conn: Conn, outcome: Outcome) -> None:
        peer = conn.peer
        self._close(conn, outcome)
        if peer is not None and peer.state is State.LINKED:
            self._close(peer, Outcome.PEER_LEFT)

    def _close(self, conn: Conn, outcome: Outcome, reason: Reason = Reason.NONE) -> None:
        self._opening.pop(conn, None)
        self._claiming.pop(conn, None)
        self._linked.discard(conn)
        if conn.session:
            conn.session.linked.discard(conn)
            if conn.state is State.WAITING:
                del self._waiting[conn.client_id], conn.session.waiting[conn.client_id]
        self._admission.release(conn.source)
        conn.state = State.CLOSED
        conn.outcome = outcome
        conn.peer = None
        conn.head, conn.opening, conn.control = b"", tunnel.SPENT, tunnel.SILENT
        self.outcomes[outcome] += 1
        self._actions.append(Close(conn, tunnel.refusal(reason)))

    def _emit(self, action: Action) -> None:
        self._actions.append(action)

    def _take(self) -> list[Action]:
        actions, self._actions = self._actions, []
        return actions
