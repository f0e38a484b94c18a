"""A probe hosts a moment, to see whether the relay works: no game beside it notices, and no player lands with it."""

from __future__ import annotations

import ipaddress
import json

import pytest

from relay.switchboard import snapshot
from relay.switchboard.connection import Conn, State
from relay.switchboard.rooms import Mode, Room
from tests.support import wire
from tests.unit.relay.test_switchboard import ANNA, BEN, Board, ended
from tests.unit.relay.test_tables import a_board

PROBE = wire.HOST_HELLO + wire.address_query(wire.ZERO)


def probe(board: Board, address: ipaddress.IPv4Address | ipaddress.IPv6Address = BEN, whole: bool = True) -> Conn:
    """Let the proof of a deployment begin to host; in one piece or in two."""
    conn = board.connect(address)
    for piece in [PROBE] if whole else [PROBE[:16], PROBE[16:20], PROBE[20:]]:
        board.send(conn, piece)
    assert conn.session is not None
    assert conn.probe
    assert board.sent_to(conn)[-1][:16] == PROBE[16:]
    return conn


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("first", [True, False], ids=["before the host", "after the host"])
def test_a_friend_beside_a_probe_finds_the_host(first: bool, whole: bool) -> None:
    board = Board()
    if first:
        probe(board, whole=whole)
    host = board.host()
    if not first:
        probe(board, whole=whole)
    client = board.join()
    assert client.state is State.WAITING
    assert client.session is host.session


def test_two_hosts_beside_a_probe_are_as_ambiguous_as_before() -> None:
    board = Board()
    probe(board)
    board.host(), board.host(address=ipaddress.ip_address("198.51.100.77"))
    assert board.join().state in (State.CLAIMING, State.CLOSED)


def test_a_friend_beside_a_probe_alone_does_not_land_with_it() -> None:
    board = Board()
    probe(board)
    client = board.join()
    assert client.session is None
    assert client.state is not State.WAITING


def test_a_probe_joins_itself_by_its_id_and_without_one() -> None:
    board = Board()
    own = probe(board, ANNA)
    assert own.session is not None
    assert board.join().session is own.session
    assert board.join(own.session.id).session is own.session


def test_a_probe_beside_a_host_does_not_disturb_it() -> None:
    """What the probe joins without an id may mean two: it is refused, and the host is asked for nothing."""
    board = Board()
    host = board.host()
    probe(board, ANNA)
    board.actions.clear()
    client = board.join()
    board.wait(3)
    assert client.session is None
    assert not [message for message in board.sent_to(host) if message.startswith(b"RATL")]


def test_a_probe_that_comes_in_pieces_is_one_from_its_first_bytes_on() -> None:
    board = Board()
    host = board.host()
    conn = board.connect(BEN)
    board.send(conn, PROBE[:20])
    assert conn.session is None
    assert board.join().session is host.session
    board.send(conn, PROBE[20:])
    assert conn.probe


@pytest.mark.parametrize("more", [b"x", wire.address_query(b"somebody's..")[:16], PROBE[16:] + b"R"])
def test_nothing_else_may_stand_behind_a_request_to_host(more: bytes) -> None:
    board = Board()
    assert ended(board.send(board.connect(BEN), wire.HOST_HELLO + more)) == "garbage"


def test_a_host_that_asks_for_its_client_s_address_is_no_probe() -> None:
    board = Board()
    host = board.host()
    client = board.join()
    board.send(host, wire.address_query(client.client_id))
    assert board.join().session is host.session


@pytest.mark.parametrize("mode", [Mode.AUTO, Mode.TUNNEL])
def test_a_room_with_a_port_of_its_own_is_not_the_probe_s(mode: Mode) -> None:
    board = Board(Room(b"a room ours!", 7001, mode))
    board.send(board.connect(BEN, 7001), PROBE)
    client = board.join(port=7001)
    assert client.session is None
    assert mode is not Mode.TUNNEL or ended(client) == "no-host"


def test_a_probe_is_one_after_an_upgrade_too() -> None:
    board = Board()
    probe(board)
    new = Board()
    snapshot.load(json.loads(json.dumps(snapshot.dump(board.board)[0])), new.board)
    assert [session.host.probe for session in new.board.sessions.values()] == [True]
    assert new.join().state is not State.WAITING


@pytest.mark.parametrize("seconds", [1, 5, 11, 14])
@pytest.mark.parametrize("answers", [True, False])
def test_a_probe_sends_nobody_off_however_long_it_stays(seconds: int, answers: bool) -> None:
    """Before the fifteen seconds of a handshake are over, which nobody here finishes."""
    board = a_board(Mode.AUTO)
    lone = board.join()
    conn = probe(board)
    for _ in range(seconds * 4):
        board.wait(0.25)
        if answers:
            board.send(conn, wire.PING)
    assert lone.state is State.SEATED


def test_a_host_beside_a_probe_sends_off_who_is_alone() -> None:
    board = a_board(Mode.AUTO)
    lone = board.join()
    probe(board)
    board.send(board.host(), wire.PING)
    assert ended(lone) == "host-came"
