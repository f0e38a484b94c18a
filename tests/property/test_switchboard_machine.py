"""Whatever the order of events: nothing leaks, every connection ends once, and the books agree with each other.

At any moment the whole state may be handed to a new switchboard, as an upgrade does, and nothing may change by it.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import itertools
import json
from collections import Counter
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, precondition, rule

from relay.limits import Buffers, Limits, Timeouts
from relay.outcomes import Outcome
from relay.switchboard import snapshot
from relay.switchboard.connection import (
    Action,
    Close,
    Conn,
    CorelessSessionClosed,
    CorelessSessionOpened,
    Send,
    SessionEnded,
    SessionOpened,
    Splice,
    State,
)
from relay.switchboard.machine import Switchboard
from relay.switchboard.rooms import Mode, Room, RoomTable
from tests.support import netplay, wire

ADDRESSES = [ipaddress.ip_address(text) for text in ("203.0.113.1", "203.0.113.7", "2001:db8::7")]
PORTS = [55435, 55440]
ROOM = b"friday-night"
OLDEST = netplay.words(0x241, 0, 1, 0)
HEADERS = (wire.header(), wire.OLD_HEADER)
# What the ends of a link with an old client say, as far as the relay looks at it.
BY_CLIENT = netplay.nick("anna") + netplay.old_info()
BY_HOST = netplay.host_header(protocol=5) + netplay.nick("ben") + netplay.info()
# What a player in a core-less session says, cut where it may be.
SAID = [
    [netplay.nick("anna"), netplay.info(), netplay.info(), netplay.play()],
    [netplay.nick("ben"), netplay.old_info(core="Snes9x"), netplay.old_info(core="Snes9x"), netplay.play()],
    [netplay.game_input(0, 1, 0, 0, 0), netplay.savestate(0, 80), netplay.command(0x24)],
    [netplay.pause("anna"), netplay.RESET, netplay.command(1)],
]
# Who hears nothing of the relay's own but a farewell: what is sent there is an introduction.
INTRODUCED = ("client", "link")
WITH_DEADLINE = (State.OPENING, State.CLAIMING, State.WAITING)


def shuffled(data: dict[str, Any]) -> dict[str, Any]:
    """Return a state without what depends on the order in which connections are numbered."""
    conns = [
        {**conn, "peer": conn["peer"] is not None, "session": conn["session"] is not None} for conn in data["conns"]
    ]
    sessions = [{**session, "host": session["host"] is not None} for session in data["sessions"]]
    tables = [{**table, "seats": [key for key, _ in table["seats"]]} for table in data["tables"]]
    by_text = {"conns": sorted(map(repr, conns)), "sessions": sorted(map(repr, sessions)), "tables": tables}
    return {**data, **by_text}


class SwitchboardMachine(RuleBasedStateMachine):
    """Connections come, speak in pieces, and die, in every order; the clock jumps forward."""

    conns = Bundle("conns")

    @initialize(named=st.booleans(), limited=st.booleans(), mode=st.sampled_from(Mode), other=st.sampled_from(Mode))
    def start(self, named: bool, limited: bool, mode: Mode, other: Mode) -> None:
        numbers = itertools.count(1)
        rooms = [Room(ROOM, 55440, other)] if named else []
        few = {"sessions": 2, "clients_per_session": 2, "connections": 8, "half_open": 3, "half_open_strangers": 1}
        limits = dataclasses.replace(Limits(), setups_per_second=50, **(few if limited else {}))
        new_id = lambda: next(numbers).to_bytes(12, "big")  # noqa: E731
        self.limits = limits
        self.now = 0.0

        def new_board() -> Switchboard:
            table = RoomTable(rooms, new_id, 60, mode)
            return Switchboard(
                table,
                new_id,
                limits,
                Timeouts(),
                Buffers(),
                acked=lambda conn: self.number[conn] not in self.dead,
                quiet=lambda conn: 60.0 if self.number[conn] in self.dead else 0.0,
            )

        self.new_board = new_board
        self.board = new_board()
        self.dead: set[int] = set()
        self.all: list[Conn] = []
        self.closed: Counter[int] = Counter()
        self.linked: Counter[int] = Counter()
        self.number: dict[Conn, int] = {}
        self.opened: list[bytes] = []
        self.ended: list[bytes] = []
        self.to_host: dict[int, bytes] = {}
        self.tables: Counter[int] = Counter()
        self.closed_tables = 0
        self.said: Counter[int] = Counter()

    def take(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Close):
                self.closed[self.number[action.conn]] += 1
                assert action.conn.outcome is not None
            elif isinstance(action, Splice):
                self.linked.update([self.number[action.client], self.number[action.link]])
                heard = b"".join([*(data for to_host, data in action.before if to_host), action.to_host])
                assert heard.startswith(b"RANP"), "a host hears a client's header first"
            elif isinstance(action, SessionOpened):
                self.opened.append(action.session.id)
            elif isinstance(action, SessionEnded):
                self.ended.append(action.session.id)
            elif isinstance(action, CorelessSessionOpened):
                self.tables.update([action.table.port])
            elif isinstance(action, CorelessSessionClosed):
                self.closed_tables += 1
                assert action.table.outcome is not None
                self.tables.subtract([action.table.port])
            elif isinstance(action, Send) and not (action.conn.table or action.conn.kind in INTRODUCED):
                assert len(action.data) in (4, 16, 32)
                self.check_control_message(action)

    def check_control_message(self, action: Send) -> None:
        assert action.data[4:16] != wire.ZERO or action.data[:4] == b"RATA", "an all-zero id is forbidden"
        if action.data[:4] == b"RATA":
            assert action.data[4:16] == self.to_host.pop(self.number[action.conn]), (
                "an address is told only for the id asked"
            )

    @rule(target=conns, address=st.sampled_from(ADDRESSES), port=st.sampled_from(PORTS), friend=st.booleans())
    def connect(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int, friend: bool) -> int:
        conn, actions = self.board.connected(address, 40000, port, self.now, friend)
        self.number[conn] = len(self.all)
        self.all.append(conn)
        self.take(actions)
        return self.number[conn]

    @rule(target=conns, address=st.sampled_from(ADDRESSES), port=st.sampled_from(PORTS))
    def host(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> int:
        index = self.connect(address, port, True)
        self.send(self.all[index], wire.HOST_HELLO)
        return index

    @rule(target=conns, address=st.sampled_from(ADDRESSES), port=st.sampled_from(PORTS), data=st.data())
    def join(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int, data: st.DataObject) -> int:
        known = [None, b"never-issued", *self.board.sessions]
        session = data.draw(st.sampled_from(known))
        index = self.connect(address, port, True)
        header = data.draw(st.sampled_from(HEADERS if session else (*HEADERS, OLDEST)))
        self.send(self.all[index], wire.join(session, header) if session else header)
        return index

    @rule(target=conns, data=st.data())
    def link(self, data: st.DataObject) -> object:
        waiting = [conn.client_id for conn in self.all if conn.state is State.WAITING]
        if not waiting:
            return multiple()
        index = self.connect(data.draw(st.sampled_from(ADDRESSES)), 55435, True)
        self.send(self.all[index], wire.link(data.draw(st.sampled_from(waiting))))
        return index

    @rule(
        index=conns,
        data=st.sampled_from([b"", b"R", b"RATS", b"RANP", b"GET /", wire.PING, wire.header()[:20], b"x" * 70_000]),
    )
    def send_a_piece(self, index: int, data: bytes) -> None:
        conn = self.all[index]
        if (conn.state is not State.LINKED or conn.introduction) and data:
            self.send(conn, data)

    @rule(target=conns, address=st.sampled_from(ADDRESSES), data=st.data())
    def join_and_be_linked(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address, data: st.DataObject) -> object:
        """Join a session if there is one: one step after the other hardly anybody gets that far."""
        if not self.board.sessions:
            return multiple()
        client = self.connect(address, 55435, True)
        session = data.draw(st.sampled_from(list(self.board.sessions)))
        self.send(self.all[client], wire.join(session, data.draw(st.sampled_from(HEADERS))))
        link = self.connect(address, 55435, True)
        self.send(self.all[link], wire.link(self.all[client].client_id))
        return multiple(client, link)

    @precondition(lambda self: any(conn.introduction for conn in self.board._linked))
    @rule(data=st.data(), size=st.sampled_from([10, 200]), both=st.booleans())
    def be_introduced(self, data: st.DataObject, size: int, both: bool) -> None:
        """Say the next of a handshake, and when that is over something more; perhaps the other end does so, too."""
        talking = sorted(self.number[conn] for conn in self.board._linked if conn.introduction)
        one = self.all[data.draw(st.sampled_from(talking))]
        for conn in (one, one.peer if both else None):
            if conn and conn.introduction:
                said = self.said[self.number[conn]]
                self.said[self.number[conn]] += size
                self.send(conn, (BY_HOST if conn.is_link else BY_CLIENT)[said : said + size] or b"a game")

    @rule(index=conns, said=st.sampled_from(SAID), data=st.data())
    def play_without_a_host(self, index: int, said: list[bytes], data: st.DataObject) -> None:
        for piece in said:
            if self.all[index].state is State.SEATED:
                self.send(self.all[index], piece[: data.draw(st.integers(1, 2 * len(piece)))])

    @rule(index=conns, client=st.sampled_from([wire.ZERO, b"never-issued"]), known=st.booleans())
    def ask_for_an_address(self, index: int, client: bytes, known: bool) -> None:
        conn = self.all[index]
        if conn.state is State.HOSTING and not conn.control.rest and conn.session:
            wanted = next(iter(conn.session.addresses), client) if known else client
            self.to_host[index] = wanted
            self.send(conn, wire.address_query(wanted))
            assert index not in self.to_host, "every question is answered"

    @rule(index=conns, outcome=st.sampled_from([None, Outcome.OVERRUN]))
    def lose(self, index: int, outcome: Outcome | None) -> None:
        conn = self.all[index]
        outcome = outcome if conn.state is State.LINKED else None
        self.take(self.board.lost(conn, self.now, outcome))
        assert conn.state is State.CLOSED

    @rule(seconds=st.sampled_from([0.0, 0.25, 4.0, 11.0, 3600.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.take(self.board.tick(self.now))
        late = [conn for conn in self.all if conn.state in WITH_DEADLINE and conn.deadline <= self.now]
        assert not late, "no wait is longer than its bound"
        assert all(until > self.now for _, _, until in self.board.rooms.kept_ids()), "no id is kept for ever"
        assert all(self.now - last < 1.0 for _, last in self.board._admission.allowances.values()), (
            "nor who has connected once"
        )

    @rule(index=conns)
    def die_silently(self, index: int) -> None:
        self.dead.add(index)

    # Not among the first things: nobody hosts after it, and little would ever be played.
    @precondition(lambda self: len(self.all) > 5)
    @rule()
    def drain(self) -> None:
        self.board.drain()

    @rule()
    def upgrade(self) -> None:
        data, before = snapshot.dump(self.board)
        text = json.dumps(data)
        shown = self.shown()
        self.board = self.new_board()
        after = snapshot.load(json.loads(text), self.board)
        for old, new in zip(before, after, strict=True):
            index = self.number[old]
            self.number[new] = index
            self.all[index] = new
        again, _ = snapshot.dump(self.board)
        assert shuffled(again) == shuffled(data), "what is handed over is what was there"
        assert self.shown() == shown, "and what is not handed over nobody would miss"

    def shown(self) -> dict[str, object]:
        """Return what the owner is shown, and what decides over whoever comes next."""
        board = self.board
        sessions = {
            session.text: (session.joins, session.since, session.host.room_port, session.host.rtt, session.addresses)
            for session in board.sessions.values()
        }
        signs = ("since", "heard", "told", "owes", "named")
        conns = Counter(
            (str(conn.address), conn.state, conn.kind, *(getattr(conn, name) for name in signs))
            for conn in board.live()
        )
        tables = {port: (table.joins, table.since, table.room.status()) for port, table in board.tables.at.items()}
        kept = sorted(map(repr, board.rooms.kept_ids()))
        counted = board.outcomes, board.session_outcomes, board.clients
        counted += board.connections, board._admission.per_source, board._hosts_at
        return {
            "sessions": sessions,
            "conns": conns,
            "tables": tables,
            "kept": kept,
            "hosted": set(board.rooms.hosted),
            "counted": counted,
            "draining": board.draining,
        }

    def send(self, conn: Conn, data: bytes) -> None:
        if conn.state is not State.CLOSED:
            self.take(self.board.received(conn, data, self.now))

    @invariant()
    def the_books_agree(self) -> None:
        if not hasattr(self, "board"):
            return
        board = self.board
        alive = [conn for conn in self.all if conn.state is not State.CLOSED]
        by_state = Counter(conn.state for conn in alive)
        assert board.connections == len(alive) <= self.limits.connections
        assert by_state[State.OPENING] == len(board._opening)
        assert by_state[State.CLAIMING] == len(board._claiming)
        assert by_state[State.WAITING] == len(board._waiting)
        assert by_state[State.LINKED] == len(board._linked)
        assert by_state[State.SEATED] == len(board.tables.conns())
        assert all(table.seats and table.port == port for port, table in board.tables.at.items())
        assert +self.tables == Counter(board.tables.at.keys())
        assert by_state[State.HOSTING] == len(board.sessions) <= self.limits.sessions
        assert board._admission.per_source == Counter(conn.source for conn in alive)
        assert board.rooms.hosted == set(board.sessions)
        for conn in board._waiting.values():
            assert conn.session
            assert board.sessions.get(conn.session.id) is conn.session, "nobody waits for a host that has left"
        assert board.outcomes.total() == len(self.all) - len(alive)
        assert board.session_outcomes.total() == len(self.ended) + self.closed_tables

    @invariant()
    def links_come_in_pairs_and_ends_come_once(self) -> None:
        if not hasattr(self, "board"):
            return
        for index, conn in enumerate(self.all):
            closed = conn.state is State.CLOSED
            assert self.closed[index] == (1 if closed else 0)
            assert (conn.outcome is not None) == closed
            assert self.linked[index] <= 1
            if conn.state is State.LINKED:
                assert conn.peer is not None
                assert conn.peer.peer is conn
                assert conn.peer.is_link != conn.is_link
                assert conn.introduction is conn.peer.introduction
                assert (conn.introduction is None) == bool(self.linked[index]), "it is introduced, or forwarded"

    def teardown(self) -> None:
        if not hasattr(self, "board"):
            return
        self.take(self.board.shutdown(self.now))
        self.the_books_agree()
        self.links_come_in_pairs_and_ends_come_once()
        assert self.board.connections == 0
        assert not self.board.busy
        assert not self.board._admission.per_source
        assert Counter(self.opened) == Counter(self.ended)


SwitchboardMachine.TestCase.settings = settings(max_examples=250, stateful_step_count=40, deadline=None)
TestSwitchboard = SwitchboardMachine.TestCase
