"""What one address may have of what all share: places to host, new connections, lines in the log."""

from __future__ import annotations

import ipaddress
import json
import logging

import pytest

from relay import logbound
from relay.limits import Limits
from relay.logbound import LogBound
from relay.logs import Events
from relay.net.history import History
from relay.net.session_log import SessionLog
from relay.outcomes import Outcome
from relay.switchboard import snapshot
from relay.switchboard.connection import Conn, State
from tests.support import wire
from tests.unit.relay.test_switchboard import ANNA, BEN, HOST, Board, ended

A_DAY = 24 * 3600
# A long line of the log, with the time that a service manager puts before it.
LINE = 200
A_DAYS_LOG = 20_000_000


@pytest.mark.parametrize("share", [1, 3, 8])
def test_one_address_hosts_no_more_than_its_share_and_others_still_can(share: int) -> None:
    board = Board(sessions=32, sessions_per_address=share, setups_per_second=1000)
    hosts = [board.host(port=50_000 + number) for number in range(share + 4)]
    assert [conn.state for conn in hosts].count(State.HOSTING) == share
    assert {ended(conn) for conn in hosts[share:]} == {"too-many-hosts"}
    assert board.host(address=BEN).state is State.HOSTING
    board.lose(hosts[0])
    assert board.host(port=60_000).state is State.HOSTING, "the place is given back"


def test_claims_do_not_get_round_the_share() -> None:
    board = Board(sessions_per_address=2, setups_per_second=1000)
    hosts = [board.host() for _ in range(6)]
    board.wait(1.5)
    assert [conn.state for conn in hosts].count(State.HOSTING) == 2


def test_by_default_four_addresses_are_needed_for_all_places() -> None:
    assert Limits().sessions_per_address * 4 <= Limits().sessions


@pytest.mark.parametrize("friends", [14, 16, 40])
@pytest.mark.parametrize("address", [HOST, ANNA])
def test_links_that_were_asked_for_are_never_too_fast(
    friends: int, address: ipaddress.IPv4Address | ipaddress.IPv6Address
) -> None:
    """At once, from the host's own address and from another one."""
    board = Board(setups_per_second=20, clients_per_session=100, connections_per_address=1000)
    host = board.host()
    clients = []
    for number in range(friends):
        board.now += 0.1  # the clients themselves are not: they are other people
        conn = board.connect(ipaddress.ip_address(f"198.51.{number}.7"))
        clients.append(board.send(conn, wire.header()))
    for _ in range(20):
        board.connect(address)
    links = [board.send(board.connect(address), wire.link(client.client_id)) for client in clients]
    assert [conn.state for conn in [*clients, *links]] == [State.LINKED] * 2 * friends
    assert host.state is State.HOSTING


@pytest.mark.parametrize("said", [wire.HOST_HELLO, wire.header(), wire.link(b"nobody waits")])
def test_whoever_else_comes_too_fast_is_refused_with_the_first_word(said: bytes) -> None:
    board = Board(setups_per_second=2)
    board.host()
    client = board.join()
    for _ in range(2):
        board.connect(BEN)
    odd = board.send(board.connect(BEN), said)
    assert ended(odd) == "too-fast"
    assert client.state is State.WAITING


def test_no_more_are_waited_for_than_links_were_asked_for() -> None:
    board = Board(setups_per_second=2)
    board.host()
    client = board.join()
    for _ in range(2):
        board.connect(BEN)
    assert [board.connect(BEN).state for _ in range(3)] == [State.OPENING, State.CLOSED, State.CLOSED]
    assert client.state is State.WAITING


@pytest.mark.parametrize("said", [wire.HOST_HELLO, wire.header()])
def test_whoever_comes_too_fast_is_still_that_after_an_upgrade(said: bytes) -> None:
    board = Board(setups_per_second=2)
    board.host()
    board.join()
    odd = [board.connect(BEN) for _ in range(3)][-1]
    data, conns = snapshot.dump(board.board)
    new = Board(setups_per_second=2)
    again = snapshot.load(json.loads(json.dumps(data)), new.board)[conns.index(odd)]
    assert ended(new.send(again, said)) == "too-fast"


def test_of_one_who_comes_and_goes_without_end_the_log_has_only_so_many_lines() -> None:
    bound, lines = LogBound(0.0), 0
    for tick in range(A_DAY * 2):
        for _ in range(10):
            lines += bound.take("anna", tick / 2) is not None
    assert lines * LINE < A_DAYS_LOG / 4


def test_many_addresses_together_have_a_bound_and_nobody_is_silenced_by_one_alone() -> None:
    bound, lines = LogBound(0.0), 0
    for second in range(A_DAY):
        for number in range(8):
            lines += bound.take(number, float(second)) is not None
        if not second % 60:
            assert bound.take("quiet", float(second)) is not None
    assert lines * LINE < A_DAYS_LOG


def test_those_who_are_told_apart_are_no_more_than_so_many() -> None:
    bound = LogBound(0.0)
    for number in range(10 * logbound.MOST):
        bound.take(number, number / 100)
    assert len(bound._of) <= logbound.MOST


def test_those_who_are_gone_for_good_keep_nobody_from_being_told_apart() -> None:
    bound, now = LogBound(0.0), 0.0
    for number in range(logbound.MOST):
        now += logbound.AT_ONCE / logbound.ALL_A_SECOND  # or what is left for all would stop them, and not their own
        for _ in range(logbound.AT_ONCE + 1):
            bound.take(number, now)
    now += 2 * logbound.AT_ONCE / logbound.A_SECOND
    lines = sum(bound.take("new", now) is not None for _ in range(4 * logbound.AT_ONCE))
    assert lines == logbound.AT_ONCE


def test_what_was_left_out_is_told_with_the_next_line(caplog: pytest.LogCaptureFixture) -> None:
    now = 1000.0
    journal = SessionLog(Events(blurred=False), History(), lambda: now)
    address = ipaddress.ip_address("203.0.113.7")
    with caplog.at_level(logging.INFO, "netplay-relay"):
        for _ in range(logbound.AT_ONCE + 30):
            conn = Conn(address, 1, 1, True, now, State.CLOSED, kind="client", outcome=Outcome.LEFT)
            journal.ended(conn, 0, 0)
        assert len(caplog.records) == logbound.AT_ONCE
        now += 1 / logbound.A_SECOND
        journal.ended(conn, 0, 0)
    assert "30 lines about 203.0.113.7 were left out" in caplog.text
    assert len(caplog.records) == logbound.AT_ONCE + 2
