"""Whom the switchboard chooses, among many: who makes place, who is pinged, who is taken for alive."""

from __future__ import annotations

import ipaddress
from collections import Counter

from relay.switchboard.connection import State
from relay.switchboard.machine import HOSTS_A_TICK
from tests.support import wire
from tests.unit.relay.test_switchboard import ANNA, BEN, HOST, Board, ended


def test_the_greediest_makes_place_although_somebody_else_has_been_there_longest() -> None:
    board = Board(half_open=3)
    modest = board.connect(BEN)
    greedy = [board.connect(ANNA) for _ in range(2)]
    newcomer = board.connect(HOST)
    assert ended(greedy[0]) == "evicted"
    assert [conn.state for conn in (modest, greedy[1], newcomer)] == [State.OPENING] * 3


def test_many_hosts_are_pinged_some_at_a_time_and_each_of_them_once() -> None:
    count = 3 * HOSTS_A_TICK + 1
    board = Board(sessions=count)
    hosts = [board.host(address=ipaddress.ip_address(f"198.51.100.{number}")) for number in range(count)]
    board.now += board.timeouts.ping
    pinged: Counter[int] = Counter()
    for tick in range(1, 5):
        board.actions.clear()
        board.wait(0.25)
        now_pinged = [number for number, host in enumerate(hosts) if wire.PING in board.sent_to(host)]
        assert len(now_pinged) == (HOSTS_A_TICK if tick < 4 else 1)
        pinged.update(now_pinged)
    assert pinged == Counter(range(count))


def test_a_client_never_gets_an_id_that_means_somebody_else() -> None:
    board = Board()
    board.host()
    waiting, gone = board.join(), board.join()
    board.lose(gone)
    ids = iter([wire.ZERO, waiting.client_id, gone.client_id, b"nobody's yet"])
    board.board._new_id = lambda: next(ids)
    assert board.join().client_id == b"nobody's yet"


def test_a_header_that_begins_late_has_as_long_as_any_other() -> None:
    board = Board()
    conn = board.connect()
    board.wait(board.timeouts.first_bytes - 1)
    board.send(conn, wire.header()[:20])
    board.wait(board.timeouts.header - 0.5)
    assert conn.state is State.OPENING
    board.wait(0.5)
    assert ended(conn) == "incomplete"


def test_a_host_whose_place_is_claimed_is_not_pinged_again_before_it_has_answered() -> None:
    board = Board()
    paused = board.host()
    board.wait(1)
    board.host()
    board.wait(board.timeouts.ping)
    assert board.sent_to(paused).count(wire.PING) == 1


def test_a_host_that_speaks_keeps_its_room_although_not_all_is_confirmed_yet() -> None:
    board = Board()
    first = board.host()
    board.dead.add(first)
    board.wait(1)
    board.host()
    board.send(first, wire.PING)
    assert first.state is State.HOSTING
    assert len(board.board.sessions) == 2
