"""The state machine, without sockets: what happens to each connection, and with which word it ends."""

from __future__ import annotations

import dataclasses
import ipaddress
import itertools
import json

import pytest

from relay.limits import Buffers, Limits, Timeouts
from relay.outcomes import Outcome
from relay.switchboard import snapshot
from relay.switchboard.connection import Action, Close, Conn, Send, SessionEnded, SessionOpened, Splice, State
from relay.switchboard.machine import Switchboard
from relay.switchboard.rooms import Room, RoomTable
from tests.support import wire

HOST = ipaddress.ip_address("203.0.113.1")
ANNA = ipaddress.ip_address("203.0.113.7")
BEN = ipaddress.ip_address("2001:db8::7")
MAIN = 55435
ROOM = b"friday-night"


class Board:
    """A switchboard with a clock and ids that count, and everything it did so far."""

    def __init__(self, *rooms: Room, link_from_host_address: bool = False, **limits: int) -> None:
        numbers = itertools.count(1)
        self.now = 1000.0

        def new_id() -> bytes:
            return next(numbers).to_bytes(12, "big")

        self.timeouts, self.buffers = Timeouts(), Buffers()
        self.dead: set[Conn] = set()
        self.cut: dict[Conn, int] = {}
        self.quiet: dict[Conn, float] = {}
        self.board = Switchboard(
            RoomTable(rooms, new_id, self.timeouts.host_return),
            new_id,
            dataclasses.replace(Limits(), **limits),
            self.timeouts,
            self.buffers,
            link_from_host_address,
            self.acked,
            quiet=lambda conn: self.quiet.get(conn, 0.0),
        )
        self.actions: list[Action] = []

    def acked(self, conn: Conn) -> bool:
        """Whether all was acknowledged: by a dead peer nothing is, by one that was cut off nothing from then on."""
        sent = len(self.sent_to(conn))
        return conn not in self.dead and sent <= self.cut.get(conn, sent)

    def connect(
        self, address: ipaddress.IPv4Address | ipaddress.IPv6Address = ANNA, port: int = MAIN, friend: bool = True
    ) -> Conn:
        conn, actions = self.board.connected(address, 40000, port, self.now, friend)
        self.actions += actions
        return conn

    def send(self, conn: Conn, data: bytes) -> Conn:
        self.actions += self.board.received(conn, data, self.now)
        return conn

    def lose(self, conn: Conn, outcome: Outcome | None = None) -> None:
        self.actions += self.board.lost(conn, self.now, outcome)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.actions += self.board.tick(self.now)

    def host(self, port: int = MAIN, address: ipaddress.IPv4Address | ipaddress.IPv6Address = HOST) -> Conn:
        return self.send(self.connect(address, port), wire.HOST_HELLO)

    def join(self, session: bytes | None = None, port: int = MAIN) -> Conn:
        return self.send(self.connect(ANNA, port), wire.join(session) if session else wire.header())

    def link(self, client: Conn) -> Conn:
        return self.send(self.connect(HOST), wire.link(client.client_id))

    def sent_to(self, conn: Conn) -> list[bytes]:
        return [action.data for action in self.actions if isinstance(action, Send) and action.conn is conn]

    def farewell(self, conn: Conn) -> bytes:
        (close,) = [action for action in self.actions if isinstance(action, Close) and action.conn is conn]
        return close.farewell


def ended(conn: Conn) -> str:
    assert conn.state is State.CLOSED
    assert conn.outcome
    return conn.outcome.value


# Hosting.


def test_a_host_gets_a_session_with_an_id_that_is_not_zero() -> None:
    board = Board()
    host = board.host()
    assert host.session
    assert board.sent_to(host) == [b"RATS" + host.session.id]
    assert host.session.id != wire.ZERO
    assert SessionOpened(host.session) in board.actions


def test_a_host_that_leaves_ends_its_session() -> None:
    board = Board()
    host = board.host()
    board.lose(host)
    assert ended(host) == "host-left"
    assert host.session
    assert SessionEnded(host.session, Outcome.HOST_LEFT) in board.actions
    assert not board.board.busy


def test_a_second_host_on_a_rooms_port_is_refused() -> None:
    board = Board(Room(ROOM, 55440))
    first = board.host(55440)
    second = board.host(55440, BEN)
    board.send(first, b"RATP")
    assert ended(second) == "room-taken"
    assert first.state is State.HOSTING


def test_a_host_beyond_the_limit_is_refused() -> None:
    board = Board(sessions=1)
    board.host()
    assert ended(board.host(address=BEN)) == "no-room-free"


def test_claims_do_not_get_round_the_limit() -> None:
    board = Board(sessions=2)
    hosts = [board.host() for _ in range(3)]
    board.wait(1.5)
    assert [conn.state for conn in hosts].count(State.HOSTING) == 2


def test_at_the_limit_a_host_over_a_dead_connection_still_gets_its_room_again() -> None:
    board = Board(sessions=1)
    old = board.host()
    board.dead.add(old)
    board.wait(30)
    new = board.host()
    board.wait(1.5)
    assert new.state is State.HOSTING


def test_no_new_host_while_the_relay_stops() -> None:
    board = Board()
    host = board.host()
    board.board.drain()
    assert ended(board.host(address=BEN)) == "draining"
    assert host.state is State.HOSTING


def test_clients_still_join_while_the_relay_stops() -> None:
    board = Board()
    host = board.host()
    board.board.drain()
    client = board.join()
    assert board.sent_to(host)[-1] == b"RATL" + client.client_id


def test_a_host_that_sends_what_no_host_sends_is_ended() -> None:
    board = Board()
    assert ended(board.send(board.host(), b"GET /")) == "host-broke-protocol"


def test_a_host_that_was_paused_for_ten_minutes_still_has_its_session() -> None:
    board = Board()
    host = board.host()
    client = board.join()
    board.link(client)
    for _ in range(2400):
        board.wait(0.25)
    assert host.state is State.HOSTING
    assert client.state is State.LINKED


def test_a_silent_host_is_pinged_once_until_it_answers() -> None:
    board = Board()
    host = board.host()
    for _ in range(600):
        board.wait(1)
    assert board.sent_to(host)[1:] == [b"RATP"]
    board.send(host, b"RATP")
    board.wait(board.timeouts.ping - 1)
    assert board.sent_to(host)[1:] == [b"RATP"]
    board.wait(1)
    assert board.sent_to(host)[1:] == [b"RATP", b"RATP"]


def test_the_answer_to_a_ping_measures_the_way_to_the_host() -> None:
    board = Board()
    host = board.host()
    board.wait(20)
    board.now += 0.05
    board.send(host, b"RATP")
    assert host.rtt == pytest.approx(0.05)


def test_how_long_a_host_was_paused_is_not_how_far_away_it_is() -> None:
    board = Board()
    host = board.host()
    board.wait(20)
    board.now += 0.05
    board.send(host, b"RATP")
    board.wait(20)
    board.wait(600)
    board.send(host, b"RATP")
    assert host.rtt == pytest.approx(0.05)
    board.wait(20)
    assert board.sent_to(host)[1:] == [b"RATP"] * 3, "and it is pinged again"


def test_a_pong_nobody_asked_for_is_ignored() -> None:
    board = Board()
    host = board.send(board.host(), b"RATP")
    assert host.state is State.HOSTING
    assert host.rtt is None


# A host that comes back.


def test_a_host_whose_old_connection_is_dead_gets_its_room_again() -> None:
    board = Board(Room(ROOM, 55440))
    old = board.host(55440)
    board.dead.add(old)
    board.wait(30)
    new = board.host(55440)
    assert new.state is State.CLAIMING
    assert board.sent_to(old)[-1] == b"RATP"
    board.wait(1.5)
    assert ended(old) == "replaced"
    assert new.state is State.HOSTING
    assert board.sent_to(new) == [b"RATS" + ROOM]


def test_a_random_id_is_given_again_too() -> None:
    board = Board()
    old = board.host()
    assert old.session
    board.dead.add(old)
    board.wait(30)
    new = board.host()
    board.wait(1.5)
    assert board.sent_to(new) == [b"RATS" + old.session.id]


def test_a_host_replaced_within_five_seconds_gets_its_room_again() -> None:
    board = Board()
    old = board.host()
    assert old.session
    board.dead.add(old)
    board.wait(1)
    new = board.host()
    board.wait(1.5)
    assert board.sent_to(new) == [b"RATS" + old.session.id]


def test_a_paused_host_is_not_replaced_by_somebody_of_the_same_house() -> None:
    board = Board(Room(ROOM, 55440))
    paused = board.host(55440)
    board.wait(30)
    other = board.host(55440)
    board.wait(1.5)
    assert paused.state is State.HOSTING
    assert ended(other) == "room-taken"


def test_two_hosts_of_one_house_have_a_room_each_as_soon_as_the_first_gives_a_sign() -> None:
    board = Board()
    first = board.host()
    board.now += 1
    second = board.host()
    assert second.state is State.CLAIMING
    board.send(first, b"RATP")
    assert second.state is State.HOSTING
    assert first.session
    assert second.session
    assert first.session.id != second.session.id


def test_a_claim_is_settled_at_once_when_the_old_connection_ends() -> None:
    board = Board(Room(ROOM, 55440))
    old = board.host(55440)
    board.now += 1
    new = board.host(55440)
    board.lose(old)
    assert board.sent_to(new) == [b"RATS" + ROOM]


def test_a_host_whose_address_changed_gets_its_rooms_port_again_from_its_dead_connection() -> None:
    board = Board(Room(ROOM, 55440))
    old = board.host(55440)
    board.dead.add(old)
    board.wait(30)
    new = board.host(55440, BEN)
    board.wait(1.5)
    assert ended(old) == "replaced"
    assert board.sent_to(new) == [b"RATS" + ROOM]


def test_a_paused_host_keeps_its_rooms_port_from_somebody_elsewhere() -> None:
    board = Board(Room(ROOM, 55440))
    paused = board.host(55440)
    board.wait(30)
    other = board.host(55440, BEN)
    board.wait(1.5)
    assert paused.state is State.HOSTING
    assert ended(other) == "room-taken"


def test_of_two_who_want_a_rooms_port_at_once_one_waits_for_a_sign_and_one_is_refused() -> None:
    board = Board(Room(ROOM, 55440))
    old = board.host(55440)
    board.dead.add(old)
    board.wait(30)
    new, third = board.host(55440, BEN), board.host(55440, ANNA)
    assert ended(third) == "room-taken"
    board.wait(1.5)
    assert new.state is State.HOSTING


def test_on_the_main_port_a_host_from_elsewhere_claims_nothing() -> None:
    board = Board()
    old = board.host()
    board.dead.add(old)
    new = board.host(address=BEN)
    assert [old.state, new.state] == [State.HOSTING, State.HOSTING]


def test_a_claim_may_be_given_up() -> None:
    board = Board()
    board.host()
    board.now += 1
    new = board.host()
    board.lose(new)
    board.wait(1.5)
    assert ended(new) == "host-left"
    assert len(board.board.sessions) == 1


# Address queries.


def test_the_host_is_told_the_address_of_a_client() -> None:
    board = Board()
    host, client = board.host(), board.join()
    board.send(host, wire.address_query(client.client_id))
    assert board.sent_to(host)[-1] == b"RATA" + client.client_id + b"\0" * 10 + b"\xff\xff" + ANNA.packed


def test_the_host_is_told_the_address_of_a_client_that_has_left() -> None:
    board = Board()
    host, client = board.host(), board.join()
    board.lose(client)
    board.send(host, wire.address_query(client.client_id))
    assert board.sent_to(host)[-1] == b"RATA" + client.client_id + b"\0" * 10 + b"\xff\xff" + ANNA.packed


def test_an_unknown_id_is_answered_with_that_id() -> None:
    board = Board()
    host = board.send(board.host(), wire.address_query(b"never-issued"))
    assert board.sent_to(host)[-1] == b"RATA" + b"never-issued" + bytes(16)


def test_a_host_that_asks_for_zero_is_told_its_own_address() -> None:
    board = Board()
    host = board.send(board.host(), wire.address_query(wire.ZERO))
    assert board.sent_to(host)[-1] == b"RATA" + wire.ZERO + b"\0" * 10 + b"\xff\xff" + HOST.packed


def test_an_address_is_never_sent_unasked() -> None:
    board = Board()
    host = board.host()
    board.link(board.join())
    assert not [data for data in board.sent_to(host) if data.startswith(b"RATA")]


def test_no_more_clients_are_remembered_than_the_bound() -> None:
    board = Board(connections_per_address=10_000, setups_per_second=10_000)
    host = board.host()
    for _ in range(300):
        board.lose(board.join())
    assert host.session
    assert len(host.session.addresses) == 256


# Joining.


def test_a_client_with_the_sessions_id_is_announced_to_its_host() -> None:
    board = Board()
    host = board.host()
    assert host.session
    client = board.join(host.session.id)
    assert board.sent_to(host)[-1] == b"RATL" + client.client_id
    assert client.client_id != wire.ZERO


def test_a_client_is_not_announced_before_it_has_shown_its_header() -> None:
    board = Board()
    host = board.host()
    assert host.session
    client = board.send(board.connect(), wire.join(host.session.id)[:-1])
    assert board.sent_to(host) == [b"RATS" + host.session.id]
    board.send(client, wire.header()[-1:])
    assert board.sent_to(host)[-1][:4] == b"RATL"


def test_a_client_without_an_id_joins_the_only_session() -> None:
    board = Board()
    host = board.host()
    assert board.join().session is host.session


def test_a_client_without_an_id_joins_the_room_of_its_port() -> None:
    board = Board(Room(ROOM, 55440))
    board.host()
    host = board.host(55440)
    assert board.join(port=55440).session is host.session


def test_on_the_main_port_the_one_host_of_that_port_is_meant() -> None:
    board = Board(Room(ROOM, 55440))
    board.host(55440)
    host = board.host()
    assert board.join().session is host.session


def test_on_the_main_port_the_only_session_is_meant_wherever_it_is_hosted() -> None:
    board = Board(Room(ROOM, 55440))
    host = board.host(55440)
    assert board.join().session is host.session


def test_a_rooms_port_means_no_other_session() -> None:
    board = Board(Room(ROOM, 55440))
    board.host()
    assert ended(board.join(port=55440)) == "no-host"


def test_where_several_could_be_meant_the_client_is_refused_with_a_reason() -> None:
    board = Board()
    board.host()
    board.host(address=BEN)
    client = board.join()
    board.wait(0.25)
    assert ended(client) == "ambiguous"
    assert board.farewell(client)[:4] == b"FULL"


def test_a_guessed_session_is_refused() -> None:
    board = Board()
    host = board.host()
    assert ended(board.join(b"not-a-number")) == "no-session"
    assert len(board.sent_to(host)) == 1


def test_a_clients_id_opens_no_session() -> None:
    board = Board()
    board.host()
    waiting = board.join()
    assert ended(board.join(waiting.client_id)) == "no-session"


def test_a_client_beyond_the_sessions_limit_is_told_that_it_is_full() -> None:
    board = Board(clients_per_session=2)
    board.host()
    board.link(board.join())
    board.join()
    client = board.join()
    assert ended(client) == "session-full"
    assert board.farewell(client)[:4] == b"FULL"


def test_a_place_in_a_session_is_free_again_when_a_client_leaves() -> None:
    board = Board(clients_per_session=1)
    board.host()
    first = board.join()
    board.link(first)
    board.lose(first)
    assert board.join().state is State.WAITING


def test_what_a_client_sends_while_it_waits_goes_to_the_host_first() -> None:
    board = Board()
    board.host()
    client = board.send(board.join(), b"and more")
    link = board.link(client)
    assert board.actions[-1] == Splice(client, link, wire.header() + b"and more", b"")


def test_a_client_that_sends_too_much_while_it_waits_is_dropped() -> None:
    board = Board()
    board.host()
    client = board.join()
    board.send(client, b"x" * board.buffers.waiting_client)
    assert ended(client) == "flooded"


def test_a_client_that_is_not_linked_in_time_is_told_something() -> None:
    board = Board()
    board.host()
    client = board.join()
    board.wait(9.9)
    assert client.state is State.WAITING
    board.wait(0.1)
    assert ended(client) == "not-linked"
    assert board.farewell(client)[:4] == b"FULL"


def test_clients_that_wait_for_a_host_that_leaves_are_let_go() -> None:
    board = Board()
    host, client = board.host(), board.join()
    board.lose(host)
    assert ended(client) == "host-gone"


def test_a_client_may_leave_while_it_waits() -> None:
    board = Board()
    board.host()
    client = board.join()
    board.lose(client)
    assert ended(client) == "left-waiting"
    assert ended(board.link(client)) == "unclaimed"


# Links.


def test_a_link_and_its_client_are_joined_with_what_both_have_sent() -> None:
    board = Board()
    board.host()
    client = board.join()
    link = board.send(board.connect(HOST), wire.link(client.client_id) + b"from the host")
    assert board.actions[-1] == Splice(client, link, wire.header(), b"from the host")
    assert (client.state, link.state) == (State.LINKED, State.LINKED)


def test_a_link_for_nobody_is_refused_and_costs_the_host_nothing() -> None:
    board = Board()
    host = board.host()
    stranger = board.send(board.connect(BEN), wire.link(b"a-good-guess"))
    assert ended(stranger) == "unclaimed"
    assert host.state is State.HOSTING


def test_a_second_link_for_the_same_client_is_refused() -> None:
    board = Board()
    board.host()
    client = board.join()
    board.link(client)
    assert ended(board.link(client)) == "unclaimed"
    assert client.state is State.LINKED


def test_a_link_that_comes_too_late_is_refused() -> None:
    board = Board()
    board.host()
    client = board.join()
    board.wait(10)
    assert ended(board.link(client)) == "unclaimed"


def test_a_link_may_come_from_another_address() -> None:
    board = Board()
    board.host()
    client = board.join()
    board.send(board.connect(BEN), wire.link(client.client_id))
    assert client.state is State.LINKED


def test_a_link_from_another_address_is_refused_where_that_is_wanted() -> None:
    board = Board(link_from_host_address=True)
    board.host()
    client = board.join()
    assert ended(board.send(board.connect(BEN), wire.link(client.client_id))) == "unclaimed"
    board.link(client)
    assert client.state is State.LINKED


@pytest.mark.parametrize("first", ["client", "link"])
def test_when_one_end_closes_so_does_the_other(first: str) -> None:
    board = Board()
    board.host()
    client = board.join()
    link = board.link(client)
    one, other = (client, link) if first == "client" else (link, client)
    board.lose(one)
    assert (ended(one), ended(other)) == ("left", "peer-left")


def test_a_client_that_read_too_slowly_is_dropped_by_name() -> None:
    board = Board()
    host, client = board.host(), board.join()
    link = board.link(client)
    board.lose(client, Outcome.OVERRUN)
    assert (ended(client), ended(link)) == ("overrun", "peer-left")
    assert host.state is State.HOSTING


def test_games_outlive_the_control_connection_of_their_host() -> None:
    board = Board()
    host, client = board.host(), board.join()
    link = board.link(client)
    board.lose(host)
    assert (client.state, link.state) == (State.LINKED, State.LINKED)
    board.lose(link)
    assert not board.board.busy


# Connections that never say what they are.


def test_silence_is_ended() -> None:
    board = Board()
    conn = board.connect()
    board.wait(9.9)
    assert conn.state is State.OPENING
    board.wait(0.1)
    assert ended(conn) == "silent"


def test_half_a_header_is_ended() -> None:
    board = Board()
    conn = board.send(board.connect(), wire.header()[:23])
    board.wait(4.9)
    assert conn.state is State.OPENING
    board.wait(0.1)
    assert ended(conn) == "incomplete"


def test_one_byte_at_a_time_wins_no_time() -> None:
    board = Board()
    conn = board.connect()
    for byte in wire.header():
        board.send(conn, bytes([byte]))
        board.wait(0.9)
    assert ended(conn) == "incomplete"


def test_garbage_is_ended_at_once_without_an_answer() -> None:
    board = Board()
    conn = board.send(board.connect(), b"GET / HTTP/1.1\r\n")
    assert ended(conn) == "garbage"
    assert board.farewell(conn) == b""


def test_bytes_after_the_end_are_ignored() -> None:
    board = Board()
    conn = board.send(board.connect(), b"POKE")
    assert ended(conn) == "poke"
    board.send(conn, wire.HOST_HELLO)
    board.lose(conn)
    assert board.board.outcomes.total() == 1


# The second gate.


@pytest.mark.parametrize("data", [wire.header(), wire.join(ROOM)])
def test_a_stranger_with_retroarch_is_told_that_it_may_not(data: bytes) -> None:
    board = Board()
    host = board.host()
    stranger = board.send(board.connect(friend=False), data)
    assert ended(stranger) == "stranger"
    assert board.farewell(stranger)[:4] == b"DENY"
    assert len(board.sent_to(host)) == 1


@pytest.mark.parametrize("data", [wire.HOST_HELLO, wire.link(ROOM)])
def test_a_stranger_gets_no_session_and_no_link(data: bytes) -> None:
    board = Board()
    stranger = board.send(board.connect(friend=False), data)
    assert ended(stranger) == "stranger"
    assert board.farewell(stranger) == b""


# Limits.


def test_no_more_connections_than_the_limit() -> None:
    board = Board(connections=2)
    board.connect()
    board.connect(BEN)
    assert ended(board.connect(HOST)) == "too-many"


@pytest.mark.parametrize("limits", [{"connections": 1}, {"connections_per_address": 1}, {"setups_per_second": 1}])
def test_a_friend_beyond_a_limit_is_shown_that_it_is_full_and_a_stranger_nothing(limits: dict[str, int]) -> None:
    board = Board(**limits)
    board.connect()
    refused, stranger = board.connect(), board.connect(friend=False)
    assert board.farewell(refused)[:4] == b"FULL"
    assert (ended(stranger), board.farewell(stranger)) == (ended(refused), b"")


def test_no_more_connections_from_one_address_than_the_limit() -> None:
    board = Board(connections_per_address=2)
    first = board.connect()
    board.connect()
    assert ended(board.connect()) == "too-many-from-address"
    assert board.connect(BEN).state is State.OPENING
    board.lose(first)
    assert board.connect().state is State.OPENING


def test_a_household_of_ipv6_counts_as_one_address() -> None:
    board = Board(connections_per_address=2)
    for last in (1, 2):
        board.connect(ipaddress.ip_address(f"2001:db8:1:2::{last}"))
    assert ended(board.connect(ipaddress.ip_address("2001:db8:1:2::3"))) == "too-many-from-address"
    assert board.connect(ipaddress.ip_address("2001:db8:1:3::3")).state is State.OPENING


def test_an_address_that_connects_too_fast_is_held_back_and_then_let_in_again() -> None:
    board = Board(setups_per_second=3)
    for _ in range(3):
        assert board.connect().state is State.OPENING
    assert ended(board.connect()) == "too-fast"
    assert board.connect(BEN).state is State.OPENING
    board.wait(1)
    assert board.connect().state is State.OPENING


def test_the_greediest_address_makes_place_for_a_newcomer() -> None:
    board = Board(half_open=3)
    greedy = [board.connect(ANNA) for _ in range(3)]
    newcomer = board.connect(BEN)
    assert ended(greedy[0]) == "evicted"
    assert newcomer.state is State.OPENING


def test_strangers_take_no_place_of_friends() -> None:
    board = Board(half_open=2, half_open_strangers=2)
    friends = [board.connect(ANNA) for _ in range(2)]
    strangers = [board.connect(BEN, friend=False) for _ in range(5)]
    assert all(conn.state is State.OPENING for conn in friends)
    assert [conn.state for conn in strangers].count(State.OPENING) == 2


# Stopping.


def test_at_the_end_everything_is_closed() -> None:
    board = Board()
    host, client = board.host(), board.join()
    link, waiting, opening = board.link(client), board.join(), board.connect()
    board.actions += board.board.shutdown(board.now)
    assert [ended(conn) for conn in (host, client, link, waiting, opening)] == ["shutdown"] * 5
    assert board.board.connections == 0
    assert not board.board.busy


def test_what_is_counted_goes_on_being_counted_in_the_next_program() -> None:
    board = Board()
    board.host()
    board.join()
    board.send(board.connect(), wire.OLD_HEADER)
    board.send(board.connect(), b"GET / HTTP/1.1")
    data, _ = snapshot.dump(board.board)
    other = Board()
    snapshot.load(json.loads(json.dumps(data)), other.board)
    assert other.board.clients == board.board.clients
    assert other.board.clients.total() == 2
    assert other.board.outcomes == board.board.outcomes != {}
    del data["clients"]
    older = Board()
    snapshot.load(data, older.board)
    assert older.board.clients == {}, "what an older program wrote is read, too"
