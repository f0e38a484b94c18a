"""A host whose line is dead keeps nobody from those who live, whatever the order in which they came."""

from __future__ import annotations

import json

import pytest

from relay.outcomes import Outcome
from relay.switchboard import snapshot
from relay.switchboard.connection import Conn, Seat, State
from relay.switchboard.rooms import Mode, Room
from tests.support import wire
from tests.unit.relay.test_switchboard import ANNA, BEN, HOST, MAIN, ROOM, Board, ended
from tests.unit.relay.test_tables import OLDEST, a_board

ELSEWHERE = Room(ROOM, 55440)


def a_dead(board: Board, host: Conn) -> Conn:
    """Let the line of a host die: nothing comes from it any more, and nothing is acknowledged."""
    board.cut[host] = len(board.sent_to(host))
    return host


def linked(board: Board, host: Conn) -> tuple[Conn, Conn]:
    """Let somebody join a host's session by its id; return both ends."""
    assert host.session
    client = board.join(host.session.id)
    return client, board.link(client)


def through(board: Board, seconds: float) -> None:
    """Let time pass as the relay sees it."""
    for _ in range(round(seconds * 4)):
        board.wait(0.25)


# By the address alone.


@pytest.mark.parametrize("mode", [Mode.TUNNEL, Mode.AUTO])
@pytest.mark.parametrize("first_is_dead", [True, False])
@pytest.mark.parametrize("since", [0.0, 1.0, 4.0, 30.0])
def test_of_two_hosts_of_whom_one_is_dead_a_friend_gets_the_other(
    mode: Mode, first_is_dead: bool, since: float
) -> None:
    board = a_board(mode)
    hosts = [board.host(), board.host(address=BEN)]
    dead, living = hosts if first_is_dead else reversed(hosts)
    board.wait(2)
    a_dead(board, dead)
    through(board, since)
    friend = board.join()
    if friend.state is State.CLAIMING:
        assert board.sent_to(dead)[-1] == wire.PING
        board.send(living, wire.PING)
        through(board, 1.75)
    assert friend.session is living.session
    assert board.sent_to(living)[-1] == b"RATL" + friend.client_id
    assert ended(dead) == "host-dead"


def test_whether_a_host_lives_is_known_as_soon_as_it_says_so() -> None:
    board = a_board()
    one, other = board.host(), board.host(address=BEN)
    board.wait(3)
    friend = board.join()
    assert friend.state is State.CLAIMING
    assert [board.sent_to(host)[1:] for host in (one, other)] == [[wire.PING]] * 2
    board.now += 0.1
    board.cut[other] = 1  # its acknowledgement is still on the way
    board.send(one, wire.PING)
    board.wait(0.25)
    assert friend.state is State.CLAIMING
    board.send(other, wire.PING)
    assert ended(friend) == "ambiguous"
    assert board.farewell(friend)[:4] == b"FULL"


def test_a_paused_host_is_no_dead_one_and_two_hosts_stay_two() -> None:
    board = a_board()
    paused, living = board.host(), board.host(address=BEN)
    through(board, 60)
    friend = board.join()
    board.send(living, wire.PING)
    through(board, 1.75)
    assert ended(friend) == "ambiguous"
    assert paused.state is living.state is State.HOSTING


def test_a_paused_host_is_asked_again_and_not_at_every_join() -> None:
    board = a_board()
    paused, _ = board.host(), board.host(address=BEN)
    through(board, 60)
    before = board.sent_to(paused).count(wire.PING)
    for _ in range(20):
        board.join()
    assert board.sent_to(paused).count(wire.PING) <= before + 1


def test_a_host_that_paused_and_died_then_is_dead() -> None:
    board = a_board()
    host, living = board.host(), board.host(address=BEN)
    through(board, 60)
    a_dead(board, host)
    friend = board.join()
    board.send(living, wire.PING)
    through(board, 1.75)
    assert friend.session is living.session


def test_hosts_elsewhere_are_asked_too() -> None:
    board = a_board(Mode.AUTO, ELSEWHERE, Room(b"another-room", 55441))
    dead, living = board.host(port=55440), board.host(port=55441)
    board.wait(3)
    a_dead(board, dead)
    friend = board.join()
    board.send(living, wire.PING)
    through(board, 1.75)
    assert friend.session is living.session


@pytest.mark.parametrize("mode", [Mode.TUNNEL, Mode.AUTO])
def test_where_all_hosts_are_dead_it_is_as_if_nobody_hosted(mode: Mode) -> None:
    board = a_board(mode)
    for address in (HOST, ANNA, BEN):
        a_dead(board, board.host(address=address))
    board.wait(3)
    friend = board.join()
    through(board, 1.75)
    if mode is Mode.AUTO:
        assert friend.state is State.SEATED
    else:
        assert ended(friend) == "no-host"
    assert not board.board.sessions


def test_a_friend_who_waits_may_leave_and_what_it_says_meanwhile_is_kept() -> None:
    board = a_board()
    dead, living = a_dead(board, board.host()), board.host(address=BEN)
    board.wait(3)
    leaver, friend = board.join(), board.join()
    board.lose(leaver)
    assert ended(leaver) == "left-waiting"
    board.send(friend, b" and more")
    board.send(living, wire.PING)
    through(board, 1.75)
    assert friend.head == wire.header() + b" and more"
    assert ended(dead) == "host-dead"


# The host that is asked for a link.


@pytest.mark.parametrize("port", [MAIN, 55440])
@pytest.mark.parametrize("since", [0.0, 3.0, 30.0])
def test_a_friend_of_a_dead_host_plays_without_one(port: int, since: float) -> None:
    board = a_board(Mode.AUTO, Room(ROOM, 55440, Mode.AUTO))
    dead = a_dead(board, board.host(port=port))
    through(board, since)
    friend = board.join(port=port)
    through(board, 1.75)
    assert ended(dead) == "host-dead"
    assert friend.state is State.SEATED
    assert any(isinstance(action, Seat) and action.conn is friend for action in board.actions)


def test_a_friend_who_named_the_session_hears_at_once_that_it_is_gone() -> None:
    board = a_board()
    dead = a_dead(board, board.host())
    assert dead.session
    friend = board.join(dead.session.id)
    through(board, 1.75)
    assert ended(friend) == "host-gone"
    through(board, 60)
    assert ended(board.join(dead.session.id)) == "no-session"


def test_a_host_that_comes_back_from_a_new_address_is_the_one_who_hosts() -> None:
    board = a_board()
    old = a_dead(board, board.host())
    through(board, 10)
    new = board.host(address=BEN)
    assert (ended(old), new.state) == ("host-dead", State.HOSTING)
    assert board.join().session is new.session


def test_a_dead_host_keeps_nobody_from_hosting() -> None:
    board = a_board(sessions=1)
    a_dead(board, board.host())
    through(board, 10)
    assert board.host(address=BEN).state is State.HOSTING


def test_friends_of_a_replaced_host_get_the_new_one() -> None:
    board = a_board(Mode.AUTO, Room(ROOM, 55440, Mode.AUTO))
    a_dead(board, board.host(port=55440))
    through(board, 3)
    new = board.host(port=55440, address=BEN)
    through(board, 1)
    friend = board.join(port=55440)
    through(board, 1)
    assert friend.session is new.session
    assert friend.state is State.WAITING


# Games that go on.


@pytest.mark.parametrize(("quiet", "over"), [(0.0, False), (4.5, False), (5.0, True), (60.0, True)])
def test_an_outage_of_some_seconds_ends_no_game_because_somebody_joins(quiet: float, over: bool) -> None:
    board = a_board()
    host = board.host()
    client, link = linked(board, host)
    board.wait(3)
    a_dead(board, host)
    board.quiet[link] = quiet
    friend = board.join()
    through(board, 2)
    if over:
        assert (ended(host), ended(link), ended(client)) == ("host-dead", "host-dead", "peer-left")
        assert friend.state is State.SEATED
    else:
        assert client.state is link.state is State.LINKED
        assert friend.state is State.WAITING


def test_a_host_in_an_outage_is_not_whom_a_friend_means_who_may_mean_another() -> None:
    board = a_board()
    host, living = board.host(), board.host(address=BEN)
    linked(board, host)
    board.wait(3)
    a_dead(board, host)
    friend = board.join()
    board.send(living, wire.PING)
    through(board, 1.75)
    assert friend.session is living.session
    assert host.state is State.HOSTING


def test_nobody_is_ended_of_whom_nobody_wants_anything() -> None:
    board = a_board()
    host = a_dead(board, board.host())
    through(board, 600)
    assert host.state is State.HOSTING
    assert board.board.liveness.silence(host, board.now) == pytest.approx(600)


@pytest.mark.parametrize("quiet", [0.0, 6.5, 7.0, 600.0])
def test_a_friend_whose_line_is_dead_keeps_nobody_out_of_a_full_session(quiet: float) -> None:
    board = a_board(clients_per_session=2)
    host = board.host()
    (silent, _), (living, _) = linked(board, host), linked(board, host)
    board.quiet[silent] = quiet
    newcomer = board.join()
    if quiet >= 7.0:
        assert (ended(silent), newcomer.state, living.state) == ("vanished", State.WAITING, State.LINKED)
    else:
        assert (ended(newcomer), silent.state) == ("session-full", State.LINKED)


# What else goes by who hosts.


def test_a_client_of_the_oldest_release_is_not_refused_for_a_dead_host() -> None:
    board = a_board()
    a_dead(board, board.host())
    through(board, 10)
    assert board.send(board.connect(), OLDEST).state is State.SEATED


def test_who_waits_for_a_sign_is_handed_over() -> None:
    board = a_board()
    dead, living = board.host(), board.host(address=BEN)
    board.wait(3)
    a_dead(board, dead)
    friend = board.send(board.join(), b" and more")
    assert friend.state is State.CLAIMING
    data, before = snapshot.dump(board.board)
    other = a_board()
    conns = snapshot.load(json.loads(json.dumps(data)), other.board)
    new = {old: conns[number] for number, old in enumerate(before)}
    other.now = board.now
    other.cut[new[dead]] = -1
    other.send(new[living], wire.PING)
    through(other, 1.75)
    assert new[friend].session is new[living].session
    assert new[friend].head == wire.header() + b" and more"


def test_a_dead_host_s_end_is_told_as_its_session_s_and_as_nobody_s_refusal() -> None:
    board = a_board()
    host = a_dead(board, board.host())
    through(board, 10)
    board.join()
    assert board.board.session_outcomes == {Outcome.HOST_DEAD: 1}
    assert host.session
