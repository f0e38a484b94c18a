"""Core-less sessions in the relay: who gets into one, and what becomes of them there."""

from __future__ import annotations

import dataclasses
import ipaddress
import itertools
import json
import socket
import struct
from collections.abc import Callable
from typing import NoReturn

import pytest

from relay.config import Config, Coreless, RoomConfig
from relay.limits import Buffers, Limits
from relay.monitoring import metrics, report, status
from relay.outcomes import Outcome
from relay.switchboard import snapshot
from relay.switchboard.connection import Close, Conn, CorelessSessionClosed, CorelessSessionOpened, Said, Send, State
from relay.switchboard.rooms import Mode, Room, RoomTable
from tests.support import netplay, wire
from tests.support.fakes import FakeClient, FakeHost, Stream
from tests.support.relays import Relay, running
from tests.unit.relay.test_switchboard import HOST, MAIN, ROOM, Board, ended

OLDEST = netplay.words(0x241, 0, 1, 0)
INTO = netplay.nick("anna") + netplay.info() * 2 + netplay.play()
JOINED = 24 + 40 + 8 + 76 + 192 + 12 + 68


def a_board(mode: Mode = Mode.AUTO, *rooms: Room, **limits: int) -> Board:
    """Return a switchboard whose main port has a mode."""
    board = Board(*rooms, **limits)
    known = board.board.rooms
    board.board.rooms = RoomTable(rooms, known._new_id, known._host_return, mode)
    return board


@pytest.mark.parametrize("players", [2, 16])
def test_a_tick_asks_the_kernel_about_two_players_for_each_host_there(players: int) -> None:
    board = a_board(Mode.AUTO, sessions=64, setups_per_second=1000, connections_per_address=1000)
    asked: list[Conn] = []

    def quiet(conn: Conn) -> float:
        asked.append(conn)
        return 0.0

    board.board.tables._quiet = quiet
    for _ in range(players):
        board.join()
    for number in range(32):
        board.host(address=ipaddress.ip_address(f"198.51.100.{number}"))
    board.wait(12)
    asked.clear()
    board.wait(0.25)
    assert 0 < len(asked) <= 32 * 2 * 2


# Which game a client means.


def test_who_names_no_session_where_nobody_hosts_opens_a_room() -> None:
    board = a_board()
    client = board.join()
    assert client.state is State.SEATED
    assert any(isinstance(action, CorelessSessionOpened) for action in board.actions)
    assert board.sent_to(client)[0][:4] == b"RANP"
    assert board.join().table is client.table
    assert board.board.busy
    assert board.board.connections == 2


def test_a_host_at_the_port_is_who_newcomers_mean_and_who_plays_plays_on() -> None:
    board = a_board()
    early = board.join()
    host = board.host()
    late = board.join()
    assert (early.state, host.state, late.state) == (State.SEATED, State.HOSTING, State.WAITING)
    board.lose(host)
    assert board.join().table is early.table


def test_a_room_that_is_played_in_is_nearer_than_a_host_elsewhere() -> None:
    board = a_board(Mode.AUTO, Room(ROOM, 55440))
    board.host(port=55440)
    assert board.join().state is State.WAITING
    board = a_board(Mode.AUTO, Room(ROOM, 55440))
    early = board.join()
    board.host(port=55440)
    assert board.join().table is early.table


def test_several_hosts_elsewhere_are_still_ambiguous() -> None:
    board = a_board(Mode.AUTO, Room(ROOM, 55440), Room(b"another-room", 55441))
    board.host(port=55440)
    board.host(port=55441)
    client = board.join()
    board.wait(0.25)
    assert ended(client) == "ambiguous"


def test_tunnel_keeps_a_port_for_hosts_and_coreless_for_those_without() -> None:
    board = a_board(Mode.TUNNEL, Room(ROOM, 55440, Mode.CORELESS))
    assert ended(board.join()) == "no-host"
    assert ended(board.host(port=55440)) == "no-hosts-here"
    host = board.host()
    assert board.join(port=55440).state is State.SEATED
    assert host.session
    assert board.join(host.session.id, port=55440).state is State.WAITING
    assert board.join().state is State.WAITING


def test_each_port_has_a_room_of_its_own() -> None:
    board = a_board(Mode.AUTO, Room(ROOM, 55440, Mode.AUTO))
    assert board.join().table is not board.join(port=55440).table


def test_the_oldest_play_among_themselves_and_with_no_host() -> None:
    board = a_board()
    first = board.send(board.connect(), OLDEST)
    assert board.send(first, netplay.nick("anna") + netplay.old_info() * 2).state is State.SEATED
    assert ended(board.join()) == "other-protocol"
    hosted = a_board()
    hosted.host()
    assert ended(hosted.send(hosted.connect(), OLDEST)) == "other-protocol"


def test_a_devices_setting_reaches_the_room_of_its_port() -> None:
    board = a_board(Mode.AUTO, Room(ROOM, 55440, Mode.AUTO, (1,) * 16))
    client = board.send(board.join(port=55440), INTO)
    sync = b"".join(board.sent_to(client))[24 + 40 + 8 + 76 :]
    assert struct.unpack_from(">16I", sync, 16) == (1,) * 16


# How it ends.


def counted(board: Board) -> dict[str, int]:
    """Return how sessions and rooms ended."""
    return {outcome.value: count for outcome, count in board.board.session_outcomes.items()}


def test_a_room_ends_with_the_word_of_whoever_was_in_it_last() -> None:
    board = a_board()
    first, second = board.send(board.join(), INTO), board.join()
    board.lose(first, Outcome.OVERRUN)
    assert counted(board) == {}, "somebody is still in it"
    for _ in range(40):
        board.wait(0.5)
    assert ended(second) == "no-handshake"
    closed = board.actions[-1]
    assert isinstance(closed, CorelessSessionClosed)
    assert (closed.table.outcome, counted(board)) == (Outcome.NO_HANDSHAKE, {"no-handshake": 1})


def test_sessions_and_rooms_are_counted_together_in_the_next_program_too() -> None:
    board = a_board(Mode.AUTO, Room(ROOM, 55440, Mode.AUTO))
    board.lose(board.join())
    for outcome in (None, Outcome.KICKED):
        board.lose(board.host(port=55440), outcome)
    assert counted(board) == {"left": 1, "host-left": 1, "kicked": 1}
    data, _ = snapshot.dump(board.board)
    other = a_board()
    snapshot.load(json.loads(json.dumps(data)), other.board)
    other.lose(other.join())
    assert counted(other) == {"left": 2, "host-left": 1, "kicked": 1}


def test_a_state_from_before_sessions_were_counted_is_read_and_one_with_words_of_a_newer_release() -> None:
    board = a_board()
    board.lose(board.join())
    data, _ = snapshot.dump(board.board)
    data["session_outcomes"]["a-word-of-tomorrow"] = 3
    newer = a_board()
    snapshot.load(data, newer.board)
    assert counted(newer) == {"left": 1}
    del data["session_outcomes"]
    older = a_board()
    snapshot.load(data, older.board)
    assert counted(older) == {}


def test_the_last_to_leave_closes_the_room() -> None:
    board = a_board()
    client = board.join()
    board.lose(client)
    assert ended(client) == "left"
    assert isinstance(board.actions[-1], CorelessSessionClosed)
    assert counted(board) == {"left": 1}
    assert not board.board.busy
    assert board.board.connections == 0
    assert not board.board._admission.per_source


def test_what_a_room_says_to_whom_it_closes_comes_before_the_end() -> None:
    board = a_board(clients_per_session=1)
    board.join()
    second = board.join()
    assert ended(second) == "session-full"
    mine = [action for action in board.actions if isinstance(action, (Send, Close)) and action.conn is second]
    assert [type(action) for action in mine] == [Send, Close]
    assert board.board.connections == 1


FAILS: dict[str, Callable[[Board, Conn], object]] = {
    "tick": lambda board, _: board.wait(0.5),
    "connect": lambda board, _: board.join(),
    "receive": lambda board, mate: board.send(mate, netplay.command(0x24)),
    "disconnect": lambda board, mate: board.lose(mate),
}


@pytest.mark.parametrize("deed", FAILS)
def test_a_room_that_fails_ends_alone_and_the_others_have_their_turn(
    deed: str, caplog: pytest.LogCaptureFixture
) -> None:
    board = a_board(Mode.AUTO, Room(ROOM, 55440, Mode.AUTO))
    bad, good = board.send(board.join(), INTO), board.join(port=55440)
    mate = board.send(board.join(), INTO)
    silent = board.connect()
    assert bad.table

    def fail(*_: object) -> NoReturn:
        raise ValueError("min() arg is an empty sequence")

    setattr(bad.table.room, deed, fail)
    FAILS[deed](board, mate)
    assert ended(bad) == "room-failed"
    assert counted(board) == {"room-failed": 1}
    assert ended(mate) == ("left" if deed == "disconnect" else "room-failed")
    closed = [action.conn for action in board.actions if isinstance(action, Close)]
    assert len(closed) == len(set(closed)) == (3 if deed == "connect" else 2), "each is told once, and at once"
    assert good.state is State.SEATED
    assert list(board.board.tables.at) == [55440]
    assert "min() arg is an empty sequence" in caplog.text
    for _ in range(40):
        board.wait(0.5)
    assert ended(good) == "no-handshake"
    assert ended(silent) == "silent"
    assert not board.board.busy
    assert not board.board.connections
    assert board.join().state is State.SEATED, "the port has a new room"


def test_a_room_that_fails_in_a_shutdown_keeps_nobody_from_it() -> None:
    board = a_board()
    clients = [board.send(board.join(), INTO) for _ in range(3)]
    assert clients[0].table

    def fail(*_: object) -> NoReturn:
        raise ValueError("something broke")

    clients[0].table.room.disconnect = fail  # type: ignore[method-assign]
    board.actions += board.board.shutdown(board.now)
    assert [ended(client) for client in clients] == ["shutdown", "room-failed", "room-failed"]
    assert counted(board) == {"room-failed": 1}
    assert len([action for action in board.actions if isinstance(action, Close)]) == 3
    assert not board.board.busy


def test_no_room_opens_while_the_relay_waits_for_the_last_game() -> None:
    board = a_board(Mode.AUTO, Room(ROOM, 55440, Mode.AUTO))
    board.join()
    board.board.drain()
    assert board.join().state is State.SEATED
    assert ended(board.join(port=55440)) == "draining"


def test_a_shutdown_ends_everybody_with_one_word() -> None:
    board = a_board()
    clients = [board.send(board.join(), INTO) for _ in range(3)]
    board.actions += board.board.shutdown(board.now)
    assert [ended(client) for client in clients] == ["shutdown"] * 3
    assert counted(board) == {"shutdown": 1}
    assert not board.board.tables.at


def test_a_room_goes_on_in_the_next_program() -> None:
    board = a_board()
    first, second = board.send(board.join(), INTO), board.send(board.join(), INTO)
    data, conns = snapshot.dump(board.board)
    other = a_board()
    loaded = snapshot.load(json.loads(json.dumps(data)), other.board)
    again = {conn: loaded[conns.index(conn)] for conn in (first, second)}
    assert other.board.connections == 2
    for each, one in ((board, first), (other, again[first])):
        each.actions.clear()
        each.send(one, netplay.savestate(0, 60) + netplay.game_input(0, 1, 0, 0, 0))
    assert other.sent_to(again[second]) == board.sent_to(second) != []
    assert other.board.tables.at[MAIN].joins == 2


def test_a_state_from_before_there_were_such_rooms_is_read() -> None:
    board = a_board()
    board.host(address=HOST)
    data, _ = snapshot.dump(board.board)
    del data["tables"]
    data["version"] = 1
    other = a_board()
    snapshot.load(data, other.board)
    assert len(other.board.sessions) == 1


# On real sockets.


async def joined(relay: Relay, port: int | None = None) -> FakeClient:
    """Join a core-less session, and be its first player."""
    client = await FakeClient.join(relay.address, port or relay.port)
    await client.send(INTO)
    return client


async def test_a_player_gets_the_clock_from_the_relay_and_is_in_its_books() -> None:
    async with running() as relay:
        client = await joined(relay)
        assert (await client.read(JOINED))[-68:-60] == netplay.words(0x26, 60)
        await client.send(netplay.game_input(0, 1, 0, 0, 0))
        assert await client.read(12) == netplay.no_input(0)
        assert [conn.table.port for conn in relay.server.board.live() if conn.table] == [relay.port]
        (room,) = relay.server.lan_rooms()
        assert (room.port, room.core, room.content_crc) == (relay.port, "Nestopia", netplay.CRC)
        await client.close()
        await relay.until_outcome("left")
        assert relay.server.lan_rooms() == []


async def test_time_goes_on_for_those_who_watch_by_the_relays_own_clock() -> None:
    async with running() as relay:
        client = await FakeClient.join(relay.address, relay.port)
        await client.send(netplay.nick("watcher") + netplay.info() * 2)
        await client.read(24 + 40 + 8 + 76 + 192 + 12)
        relay.pass_time(1.1)
        assert await client.read(12) == netplay.no_input(0)
        await client.close()
        await relay.until_outcome("left")


async def test_who_does_not_read_is_dropped_alone() -> None:
    buffers = Buffers(slow_client=20_000, socket=4096)
    async with running(Config(buffers=buffers)) as relay:
        first, slow = await joined(relay), await FakeClient.join(relay.address, relay.port)
        # It watches: for a player who is silent the clock would wait.
        await slow.send(netplay.nick("slow") + netplay.info() * 2)
        await relay.until(lambda: len(relay.server.board.live()) == 2, "both are in")
        await first.send(netplay.savestate(0, 60) + netplay.game_input(0, 1, 0, 0, 0))
        slow.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.writer.transport.pause_reading()
        frame = 1
        while not relay.server.board.outcomes:
            await first.send(b"".join(netplay.game_input(each, 1, 0, 0, 0) for each in range(frame, frame + 200)))
            frame += 200
            await first.read(100)
            assert frame < 200_000
        assert {outcome.value for outcome in relay.server.board.outcomes} == {"overrun"}
        (table,) = relay.server.board.tables.at.values()
        assert [conn.outcome for conn in table.seats.values()] == [None]
        await first.close()
        slow.abort()
        await relay.until_outcome("left")


@pytest.mark.parametrize("readers", [1, 3, 15])
async def test_a_savestate_that_waits_for_many_is_held_once_and_given_back_with_the_last(readers: int) -> None:
    size = 2_000_000
    buffers = Buffers(slow_client=4_000_000, slow_clients=1_000_000, socket=4096)
    async with running(Config(buffers=buffers)) as relay:
        first, slow = await joined(relay), []
        for number in range(readers):
            slow.append(await FakeClient.join(relay.address, relay.port))
            await slow[-1].send(netplay.nick(f"slow {number}") + netplay.info() * 2)
            slow[-1].writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow[-1].writer.transport.pause_reading()
        (table,) = relay.server.board.tables.at.values()
        await relay.until(lambda: len(table.room.game.synced) == 1 + readers, "all are in")
        seats, spool = relay.server.hall.seats, relay.server._spool
        state = netplay.command(0x42, netplay.words(0, size) + bytes(size))
        await first.send(state + netplay.game_input(0, 1, 0, 0, 0))
        waits = lambda: sum(seat.waiting > size / 2 for seat in seats) == readers  # noqa: E731
        await relay.until(waits, "it waits for all of them")
        assert size <= spool.held < size + 100_000
        for client in slow:
            assert spool.held >= size, "it is still there for the others"
            left = len(seats)
            client.abort()
            await relay.until(lambda left=left: len(seats) < left, "one has gone")  # type: ignore[misc]
        assert spool.held < 100_000
        await first.close()
        await relay.until(lambda: not len(seats), "all have gone")
        assert (seats._waiting, spool.held) == (0, 0)


@pytest.mark.parametrize(("size", "buffer"), [(2_000_000, 4096), (100_000, 262_144)], ids=["relay", "kernel"])
async def test_a_room_knows_how_much_of_a_savestate_waits_for_a_player(size: int, buffer: int) -> None:
    """Whether it lies in the relay's memory or in the kernel's."""
    async with running(Config(buffers=Buffers(slow_client=4_000_000, socket=buffer))) as relay:
        first, slow = await joined(relay), await FakeClient.join(relay.address, relay.port)
        slow.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.writer.transport.pause_reading()
        await slow.send(netplay.nick("slow") + netplay.info() * 2)
        (table,) = relay.server.board.tables.at.values()
        await relay.until(lambda: len(table.room.game.synced) == 2, "both are in")
        (key,) = (peer.key for peer in table.room.game.synced if peer.nick == b"slow")
        await first.send(netplay.command(0x42, netplay.words(0, size) + bytes(size)))
        await first.send(netplay.game_input(0, 1, 0, 0, 0))
        await relay.until(lambda: table.room.game.waits(key) > size / 4, "it waits")
        assert bool(relay.server.hall.seats.of(table.seats[key]).waiting) == (buffer == 4096)  # type: ignore[union-attr]
        slow.writer.transport.resume_reading()
        await slow.read(size)
        await relay.until(lambda: not table.room.game.waits(key), "it has taken everything")
        for client in (first, slow):
            client.abort()
        await relay.until(lambda: not relay.server.board.live(), "all have gone")


async def test_who_does_not_read_keeps_no_more_waiting_than_fits_into_the_bound_for_all() -> None:
    buffers = Buffers(slow_client=4_000_000, slow_clients=1_000_000, socket=4096)
    async with running(Config(buffers=buffers)) as relay:
        slow = [await FakeClient.join(relay.address, relay.port) for _ in range(3)]
        seats = relay.server.hall.seats
        await relay.until(lambda: len(seats) == 3, "all are in")
        for seat in seats:
            seats.send(seat, bytes(450_000))
        await relay.until_outcome("overrun")
        assert len(seats) == 2, "the bound costs no more of them than it has to"
        assert seats._waiting <= buffers.slow_clients
        for client in slow:
            client.abort()
        await relay.until(lambda: not len(seats), "all have gone")
        assert (seats._waiting, relay.server._spool.held) == (0, 0)


async def test_a_kicked_player_is_gone_from_the_room() -> None:
    async with running() as relay:
        client = await joined(relay)
        await client.read(JOINED)
        assert relay.server.kick([ipaddress.ip_network("127.0.0.0/8")]) == 1
        await client.rest()
        await client.close()
        assert not relay.server.board.tables.at


async def test_a_room_with_a_port_may_be_for_games_without_a_host() -> None:
    config = Config(coreless=Coreless(Mode.TUNNEL), rooms=(RoomConfig("FridayNightRoom1", 1, Mode.CORELESS),))
    async with running(config, extra_ports=1) as relay:
        client = await joined(relay, relay.ports[1])
        await client.read(JOINED)
        stream = await Stream.open(relay.address, relay.ports[1])
        await stream.send(wire.HOST_HELLO)
        assert await stream.rest() == b""
        assert relay.server.endings.since(0)[-1]["outcome"] == "no-hosts-here"
        host = await FakeHost.host(relay.address, relay.port)
        await host.leave()
        for each in (client, stream):
            await each.close()
        await relay.until_outcome("left")


@pytest.mark.parametrize("players", [1, 3])
async def test_a_room_holds_as_many_as_a_session(players: int) -> None:
    limits = dataclasses.replace(Limits(), clients_per_session=players)
    async with running(Config(limits=limits)) as relay:
        clients = [await joined(relay) for _ in range(players)]
        late = await joined(relay)
        assert (await late.rest())[:4] == b"FULL"
        for client in (*clients, late):
            await client.close()
        await relay.until_outcome("left", players)


async def test_status_metrics_and_the_text_for_people_know_such_rooms() -> None:
    async with running() as relay:
        first = await joined(relay)
        await first.read(JOINED)
        second = await FakeClient.join(relay.address, relay.port)
        await second.send(netplay.nick("b\x1b[31m") + netplay.info() * 2)
        await first.send(netplay.game_input(0, 1, 0, 0, 0))
        said = len(wire.header() + INTO + netplay.game_input(0, 1, 0, 0, 0))

        def both_are_in() -> bool:
            (found,) = status.of(relay.server, Config())["tables"]
            return found["joins"] == 2 and found["players"][0]["bytes_from_client"] == said

        await relay.until(both_are_in, "both are in, and the first has played")
        state = status.of(relay.server, Config())
        (table,) = json.loads(json.dumps(state))["tables"]
        assert (table["port"], table["core"], table["joins"], table["master"]) == (relay.port, "Nestopia", 2, 1)
        assert [player["address"] for player in table["players"]] == ["127.0.0.1"] * 2
        text = report.text(state)
        assert f"core-less session on port {relay.port}" in text
        assert "anna 127.0.0.1" in text
        assert "playing as player 1, 1.10.1 or 1.14.0, keeps time" in text
        assert "nobody hosts" not in text
        assert "\x1b" not in text
        gauges = {name: value for name, _, value in metrics.gauges(state)}
        assert (gauges["netplay_coreless_rooms"], gauges["netplay_coreless_players"]) == (1, 2)
        for client in (first, second):
            await client.close()
        await relay.until_outcome("left", 2)


HEADER = wire.header()


@pytest.mark.parametrize("cuts", [(24,), (9, 24), (24, 64), (9, 64)], ids=str)
async def test_all_that_a_player_sends_is_counted_from_its_first_byte_on(
    cuts: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    said = (HEADER + INTO)[: cuts[-1]]
    async with running() as relay:

        def read() -> int:
            tables = status.of(relay.server, Config())["tables"]
            counted = sum(player["bytes_from_client"] for table in tables for player in table["players"])
            return counted + sum(conn.opening.size for conn in relay.server.board._opening)

        client = await Stream.open(relay.address, relay.port)
        for begin, end in itertools.pairwise((0, *cuts)):
            await client.send(said[begin:end])
            await relay.until(lambda end=end: read() == end, f"{end} bytes are counted")  # type: ignore[misc]
        await client.close()
        await relay.until_outcome("left")
        player, _ = relay.server.endings.since(0)
        assert player["bytes_from_client"] == len(said)
    assert f"client 127.0.0.1 ended: left after 0.0 s, {len(said)} bytes" in caplog.text


async def test_who_finds_the_room_full_has_its_bytes_counted_too(caplog: pytest.LogCaptureFixture) -> None:
    limits = dataclasses.replace(Limits(), clients_per_session=1)
    async with running(Config(limits=limits)) as relay:
        client, late = await joined(relay), await FakeClient.join(relay.address, relay.port)
        assert (await late.rest())[:4] == b"FULL"
        for each in (client, late):
            await each.close()
        await relay.until_outcome("left")
    assert f"ended: session-full (1 are connected) after 0.0 s, {len(HEADER)} bytes" in caplog.text


async def test_the_log_says_when_such_a_room_opens_and_ends(caplog: pytest.LogCaptureFixture) -> None:
    async with running() as relay:
        client = await joined(relay)
        await client.read(JOINED)
        await client.close()
        await relay.until_outcome("left")
    assert f"a core-less session opened on port {relay.port}" in caplog.text
    assert f"the core-less session on port {relay.port} ended: left, 1 joins" in caplog.text


async def test_the_end_of_a_room_is_told_and_counted_like_that_of_a_session() -> None:
    async with running() as relay:
        client = await joined(relay)
        await client.read(JOINED)
        relay.clock.now += 90
        await client.close()
        await relay.until_outcome("left")
        host = await FakeHost.host(relay.address, relay.port)
        await host.leave()
        await relay.until_outcome("host-left")
        state = status.of(relay.server, Config())
        assert state["session_outcomes"] == {"host-left": 1, "left": 1}
        assert "sessions ended: host-left 1, left 1" in report.text(state)
        assert 'netplay_sessions_ended_total{outcome="left"} 1.0' in metrics.text(state)
        player, room, session = state["ended"]
        assert [entry["kind"] for entry in (player, room, session)] == ["player", "table", "session"]
        assert {**room, "number": 2} == {
            "number": 2, "kind": "table", "table": relay.port, "outcome": "left", "seconds": 90.0, "joins": 1,
        }  # fmt: skip


# Who is alone where somebody hosts.


def test_who_is_alone_is_sent_off_when_a_host_at_that_port_shows_that_it_is_one() -> None:
    board = a_board()
    early = board.send(board.join(), INTO)
    board.wait(3)
    host = board.host()
    assert early.state is State.SEATED, "who only looks in, as the doctor does, sends nobody off"
    board.wait(1)
    assert board.sent_to(host)[-1] == wire.PING
    board.send(host, wire.PING)
    assert ended(early) == "host-came"
    assert counted(board) == {"host-came": 1}
    said = [action.text for action in board.actions if isinstance(action, Said)]
    assert "somebody hosts at this port now" in said[-1]
    assert board.join().session is host.session


def test_a_host_that_stays_and_answers_no_ping_is_one_all_the_same() -> None:
    board = a_board()
    early = board.send(board.join(), INTO)
    board.host()
    for _ in range(9):
        board.wait(1)
    assert early.state is State.SEATED
    board.wait(1)
    assert ended(early) == "host-came"


def test_those_who_play_without_a_host_play_on_and_the_last_one_is_sent_off() -> None:
    board = a_board()
    first, second = board.send(board.join(), INTO), board.send(board.join(), INTO)
    host = board.host()
    for _ in range(3):
        board.wait(1)
        board.send(host, wire.PING)
    assert [first.state, second.state] == [State.SEATED] * 2
    board.lose(first)
    board.send(host, wire.PING)
    assert ended(second) == "host-came"


def test_a_player_whose_line_is_dead_is_no_company() -> None:
    board = a_board()
    first, second = board.send(board.join(), INTO), board.send(board.join(), INTO)
    board.quiet[first] = 60.0
    board.send(board.host(), wire.PING)
    assert ended(first) == ended(second) == "host-came"


def test_a_host_elsewhere_sends_nobody_off() -> None:
    board = a_board(Mode.AUTO, Room(ROOM, 55440, Mode.AUTO))
    early = board.send(board.join(), INTO)
    board.send(board.host(port=55440), wire.PING)
    assert early.state is State.SEATED


@pytest.mark.parametrize("greedy", ["127.0.0.2", "127.0.0.3"])
async def test_where_memory_ends_it_is_taken_from_the_address_that_holds_most(greedy: str) -> None:
    memory, modest = 2_200_000, {"127.0.0.2": "127.0.0.3", "127.0.0.3": "127.0.0.2"}[greedy]
    buffers = Buffers(slow_client=8_000_000, slow_clients=16_000_000, socket=4096, memory=memory)
    async with running(Config(buffers=buffers)) as relay:
        seats, slow = relay.server.hall.seats, []
        for count, source in enumerate((greedy, greedy, modest), 1):
            slow.append(await FakeClient.join(relay.address, relay.port, source=source))
            slow[-1].writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow[-1].writer.transport.pause_reading()
            await relay.until(lambda count=count: len(seats) == count, "it is in")  # type: ignore[misc]
        fair = next(seat for seat in seats if str(seat.conn.address) == modest)
        many = [seat for seat in seats if seat is not fair]
        for seat in many:
            seats.send(seat, bytes(700_000))
        while not any(seat.broken for seat in seats):
            seats.send(fair, bytes(20_000))
        assert max(seat.waiting for seat in many) < fair.waiting < 2 * 700_000, "it holds most of all"
        await relay.until_outcome("overrun")
        assert [seat for seat in seats if seat is fair], "but its address does not"
        assert len(seats) == 2
        assert relay.server._spool.held <= memory
        for client in slow:
            client.abort()
        await relay.until(lambda: not len(seats), "all have gone")
        assert relay.server._spool.held == 0
