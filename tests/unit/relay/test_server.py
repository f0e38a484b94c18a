"""The relay on real sockets: a fake host and fake clients play through it, and it survives what they do."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import errno
import ipaddress
import logging
import socket
from pathlib import Path

import pytest

from relay.config import Config, Coreless, Gate, RoomConfig
from relay.coreless import CorelessSettings
from relay.limits import Limits
from relay.net import sockets
from relay.outcomes import Outcome
from relay.switchboard import machine
from relay.switchboard.connection import Action
from relay.switchboard.rooms import Mode
from tests.support import needs, wire
from tests.support.fakes import FakeClient, FakeHost, Stream, playing
from tests.support.relays import running


async def test_a_sweep_that_fails_is_not_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context["exception"]))
    async with running() as relay:
        tick = relay.server.board.tick
        ticked: list[float] = []

        def fail_once(now: float) -> list[Action]:
            ticked.append(now)
            if len(ticked) == 1:
                raise ValueError("something broke")
            return tick(now)

        monkeypatch.setattr(relay.server.board, "tick", fail_once)
        await relay.until(lambda: len(ticked) > 1, "another sweep after the one that failed")
        assert [str(error) for error in failed] == ["something broke"]


async def test_a_host_and_a_client_play_by_session_id() -> None:
    async with running() as relay, playing(relay.address, relay.port) as (_host, link, client):
        await link.send(wire.header(word3=0))
        assert await client.read(24) == wire.header(word3=0)
        await client.send(b"input")
        assert await link.read(5) == b"input"


async def test_a_client_joins_without_a_session_id() -> None:
    async with running() as relay:
        host = await FakeHost.host(relay.address, relay.port)
        client = await FakeClient.join(relay.address, relay.port)
        link = await host.link()
        assert await link.read(24) == wire.header()
        for stream in (client, link):
            await stream.close()
        await host.leave()
        await relay.until_outcome("host-left")


async def test_a_host_of_1_10_that_never_asks_for_addresses_plays_too() -> None:
    async with running() as relay:
        host = await FakeHost.host(relay.address, relay.port, old=True)
        client = await FakeClient.join(relay.address, relay.port, host.session)
        link = await host.link()
        assert await link.read(24) == wire.header()
        await client.send(b"input")
        assert await link.read(5) == b"input"
        assert not host.ended.is_set(), "an unasked RATA would have ended a 1.10 host"
        for stream in (client, link):
            await stream.close()
        await host.leave()
        await relay.until_outcome("host-left")


async def test_nine_clients_that_leave_at_once_cost_the_host_no_slot() -> None:
    async with running() as relay:
        host = await FakeHost.host(relay.address, relay.port)
        for number in range(1, 10):
            client = await FakeClient.join(relay.address, relay.port, host.session)
            await relay.until(lambda number=number: len(host.asked) >= number, "the host was asked for a link")  # type: ignore[misc]
            await client.close()
            await (await host.link()).close()
        assert host.free_slots == 8
        assert [asked for asked, _ in host.answered] == host.asked
        await host.leave()
        await relay.until_outcome("host-left")


async def test_the_hosts_close_reaches_a_silent_client_at_once() -> None:
    async with running() as relay, playing(relay.address, relay.port) as (_host, link, client):
        await link.send(b"Incorrect password")
        await link.close()
        assert await client.rest() == b"Incorrect password"


async def test_a_reset_of_one_end_ends_the_other() -> None:
    async with running() as relay, playing(relay.address, relay.port) as (_host, link, client):
        client.abort()
        assert await link.rest() == b""


async def test_one_client_that_leaves_does_not_touch_the_others() -> None:
    async with running() as relay, playing(relay.address, relay.port) as (host, link, client):
        other = await FakeClient.join(relay.address, relay.port, host.session)
        other_link = await host.link()
        await other_link.read(24)
        await other.close()
        assert await other_link.rest() == b""
        await client.send(b"still here")
        assert await link.read(10) == b"still here"
        await other_link.close()


async def test_a_paused_host_keeps_its_session_for_ten_minutes() -> None:
    async with running() as relay, playing(relay.address, relay.port) as (host, link, client):
        host.pause()
        for _ in range(60):
            relay.pass_time(10)
        assert not host.ended.is_set()
        host.resume()
        await client.send(b"woken")
        assert await link.read(5) == b"woken"
        await relay.until(lambda: host.pings, "the ping that waited is answered")
        assert host.pings == 1


@pytest.mark.parametrize(
    ("session", "shown"),
    [(b"never-issued", b""), (None, b"")],
    ids=["an unknown session", "no host at all"],
)
async def test_a_client_with_nowhere_to_go_is_closed_at_once(session: bytes | None, shown: bytes) -> None:
    async with running(Config(coreless=Coreless(Mode.TUNNEL))) as relay:
        client = await FakeClient.join(relay.address, relay.port, session)
        assert await client.rest() == shown
        await client.close()


async def test_a_client_whose_host_makes_no_link_is_told_that_it_is_full() -> None:
    async with running() as relay:
        host = await FakeHost.host(relay.address, relay.port, makes_links=False)
        client = await FakeClient.join(relay.address, relay.port, host.session)
        await relay.until(lambda: host.asked, "the host was asked for a link")
        relay.pass_time(10)
        assert (await client.rest())[:4] == b"FULL"
        await client.close()
        await host.leave()
        await relay.until_outcome("host-left")


@pytest.mark.parametrize("data", [b"", b"R", b"RATS", b"RANP", wire.header()[:23], b"RATS" + b"x" * 12])
async def test_silence_and_half_headers_are_closed_within_the_bound(data: bytes) -> None:
    async with running() as relay, playing(relay.address, relay.port) as (host, link, client):
        slow = await Stream.open(relay.address, relay.port)
        if data:
            await slow.send(data)
            await relay.until(
                lambda: any(conn.opening.size == len(data) for conn in relay.server.board._opening), "it has arrived"
            )
        else:
            await relay.until(lambda: relay.server.board._opening, "it is accepted")
        relay.pass_time(15)
        assert await slow.rest() == b""
        assert len(host.asked) == 1, "the host never heard of it"
        await client.send(b"unharmed")
        assert await link.read(8) == b"unharmed"
        await slow.close()


async def test_garbage_is_closed_at_once() -> None:
    async with running() as relay:
        visitor = await Stream.open(relay.address, relay.port)
        await visitor.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await visitor.rest() == b""
        await visitor.close()
        await relay.until_outcome("garbage")


async def test_a_flood_from_one_address_leaves_a_running_game_alone() -> None:
    limits = dataclasses.replace(Limits(), half_open=20, connections_per_address=400, setups_per_second=10_000)
    async with running(Config(limits=limits)) as relay, playing(relay.address, relay.port) as (_host, link, client):
        flood = [await Stream.open(relay.address, relay.port, "127.0.0.2") for _ in range(300)]
        await relay.until_outcome("evicted", 280)
        await client.send(b"unharmed")
        assert await link.read(8) == b"unharmed"
        newcomer = await FakeClient.join(relay.address, relay.port, source="127.0.0.3")
        await newcomer.close()
        for stream in flood:
            stream.abort()
        await relay.until(lambda: not relay.server.board._opening, "the flood is over")


async def test_ipv6_clients_play_with_an_ipv4_host() -> None:
    listener = needs.listener_on("::1")
    async with running() as four:
        listener.listen()
        listener.setblocking(False)
        four.server.entrance.listen(listener)
        four.server.entrance.listeners.append(listener)
        host = await FakeHost.host(four.address, four.port)
        client = await FakeClient.join("::1", listener.getsockname()[1], host.session)
        link = await host.link()
        assert await link.read(24) == wire.header()
        assert host.answered[-1][1] == socket.inet_pton(socket.AF_INET6, "::1")
        for stream in (client, link):
            await stream.close()
        await host.leave()
        await four.until_outcome("host-left")


async def test_a_host_on_a_rooms_port_has_that_rooms_id_every_time() -> None:
    config = Config(rooms=(RoomConfig("FridayNightRoom1", 1),))
    async with running(config, extra_ports=1) as relay:
        for _ in range(2):
            host = await FakeHost.host(relay.address, relay.ports[1])
            assert host.text == "FridayNightRoom1"
            client = await FakeClient.join(relay.address, relay.ports[1])
            link = await host.link()
            assert await link.read(24) == wire.header()
            for stream in (client, link):
                await stream.close()
            await host.leave()
            await relay.until(lambda: not relay.server.board.sessions, "the session is over")


async def test_a_kernel_that_acknowledges_is_a_sign_of_life() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    with server, socket.create_connection(server.getsockname()) as sock:
        accepted, _ = server.accept()
        assert sockets.acked(sock)
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while sock.send(bytes(65536)):
                pass
        assert not sockets.acked(sock), "nobody reads there and the window is closed"
        accepted.close()


async def test_a_stranger_is_told_to_go_and_a_friend_is_let_in(tmp_path: Path) -> None:
    allowlist = tmp_path / "allowlist"
    allowlist.write_text("127.0.0.1  # anna\n")
    async with running(Config(gate=Gate(allowlist=allowlist))) as relay:
        host = await FakeHost.host(relay.address, relay.port)
        stranger = await FakeClient.join(relay.address, relay.port, host.session, source="127.0.0.9")
        assert (await stranger.rest())[:4] == b"DENY"
        await stranger.close()
        assert not host.asked
        await host.leave()
        await relay.until_outcome("host-left")


def user_timeout(sock: socket.socket) -> int:
    """Return how long a connection may be without an acknowledgement (milliseconds)."""
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)


async def test_who_plays_may_stop_reading_for_long_and_who_does_not_yet_may_not() -> None:
    config = Config(rooms=(RoomConfig("FridayNightRoom1", 1, Mode.CORELESS),))
    async with running(config, extra_ports=1) as relay, playing(relay.address, relay.port):
        player = await FakeClient.join(relay.address, relay.ports[1])
        silent = await Stream.open(relay.address, relay.port)
        await relay.until(lambda: len(relay.server.board.live()) == 5, "all are there")
        assert [user_timeout(end.sock) for end in relay.server._forwarder] == [0, 0]
        assert [user_timeout(seat.sock) for seat in relay.server.hall.seats._by_conn.values()] == [0]
        states = {conn.state.name: user_timeout(sock) for conn, sock in relay.server._socks.items()}
        assert states == {"HOSTING": 120_000, "OPENING": 120_000}
        for stream in (player, silent):
            await stream.close()
        await relay.until_outcome("left-early")


async def test_a_link_sends_without_delay_and_notices_dead_peers() -> None:
    async with running() as relay, playing(relay.address, relay.port):
        for end in relay.server._forwarder:
            assert end.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert end.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert end.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 5


@pytest.mark.parametrize("gone", [machine.GONE_SECONDS, CorelessSettings().gone_seconds])
def test_a_living_machine_of_which_one_probe_was_lost_keeps_its_place(gone: float) -> None:
    keep = sockets.DEAD_PEER
    far = 0.5  # seconds to the other side of the world and back
    assert keep["TCP_KEEPIDLE"] + keep["TCP_KEEPINTVL"] + far < gone
    assert keep["TCP_KEEPIDLE"] + keep["TCP_KEEPINTVL"] * keep["TCP_KEEPCNT"] == 120


async def test_without_file_descriptors_the_relay_sheds_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with running() as relay, playing(relay.address, relay.port) as (_host, link, client):
        listener = relay.server.entrance.listeners[0]

        class OutOfFiles:
            failures = 1

            def accept(self) -> tuple[socket.socket, tuple[str, int]]:
                if self.failures:
                    self.failures -= 1
                    raise OSError(errno.EMFILE, "Too many open files")
                return listener.accept()

        # Without a turn of the event loop in between, so that the connection still waits in the backlog.
        with socket.create_connection((relay.address, relay.port), timeout=5) as shut_out:
            with caplog.at_level(logging.WARNING, "netplay-relay"):
                relay.server.entrance._accept((OutOfFiles(), relay.port))  # type: ignore[arg-type]
            assert shut_out.recv(1) == b""
        assert "out of file descriptors" in caplog.text
        await client.send(b"unharmed")
        assert await link.read(8) == b"unharmed"


async def test_draining_waits_for_the_game_and_opens_no_room() -> None:
    async with running() as relay:
        async with playing(relay.address, relay.port) as (_host, link, client):
            relay.server.drain()
            assert not relay.server.drained.is_set()
            late = await Stream.open(relay.address, relay.port)
            await late.send(wire.HOST_HELLO)
            assert await late.rest() == b""
            await late.close()
            await client.send(b"goes on")
            assert await link.read(7) == b"goes on"
        await asyncio.wait_for(relay.server.drained.wait(), 5)


async def test_draining_an_idle_relay_is_done_at_once() -> None:
    async with running() as relay:
        relay.server.drain()
        assert relay.server.drained.is_set()


async def test_every_connection_and_session_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "netplay-relay"):
        async with running() as relay:
            async with playing(relay.address, relay.port) as (host, _link, _client):
                text = host.text[:4] + "…"
            await relay.until(lambda: not relay.server.board.busy, "all have left")
    lines = [record.message for record in caplog.records if record.name == "netplay-relay"]
    assert len([line for line in lines if line.startswith(f"session {text} opened by 127.0.0.1")]) == 1
    assert len([line for line in lines if line.startswith(f"session {text} ended: host-left, 1 joins")]) == 1
    for role in ("client", "link", "host"):
        assert len([line for line in lines if line.startswith(f"{role} 127.0.0.1 ended: ")]) == 1, lines


async def test_a_flood_of_refused_friends_reads_why_and_is_one_line_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = Config(limits=Limits(connections_per_address=2, setups_per_second=1000))
    with caplog.at_level(logging.INFO, "netplay-relay"):
        async with running(config) as relay:
            held = [await Stream.open(relay.address, relay.port, "127.0.0.2") for _ in range(2)]
            await relay.until(lambda: relay.server.board.connections == 2, "two are there")
            for _ in range(20):
                refused = await FakeClient.join(relay.address, relay.port, source="127.0.0.2")
                assert (await refused.rest())[:4] == b"FULL"
                await refused.close()
            ended = [ending for ending in relay.server.endings.since(0) if ending["kind"] == "refused"]
            assert relay.server.board.outcomes[Outcome.TOO_MANY_FROM_ADDRESS] == 20
            for stream in held:
                await stream.close()
    lines = [record.message for record in caplog.records if "limits.connections_per_address" in record.message]
    assert lines[0].startswith("127.0.0.2 was refused, 1 in all since this was last said: that address has all it may")
    assert len(lines) == len(ended) == 1, "the relay's clock stands still here: it is one second all the time"


async def test_what_a_host_has_said_is_counted_in_its_last_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "netplay-relay"):
        async with running() as relay:
            async with playing(relay.address, relay.port):
                pass
            await relay.until(lambda: not relay.server.board.busy, "all have left")
    (line,) = [record.message for record in caplog.records if record.message.startswith("host 127.0.0.1 ended")]
    asked, answered = len(wire.HOST_HELLO), len(wire.address_query(wire.ZERO))
    assert line.endswith(f" {asked + answered} bytes")


async def test_the_log_says_what_to_tell_a_friend_who_could_mean_several_sessions(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "netplay-relay"):
        async with running() as relay:
            hosts = [await FakeHost.host(relay.address, relay.port, source=f"127.0.0.{number}") for number in (2, 3)]
            client = await FakeClient.join(relay.address, relay.port)
            assert (await client.rest())[:4] == b"FULL"
            for host in hosts:
                await host.leave()
    assert f"2 are hosted: tell that friend relay|{relay.port}|SESSION" in caplog.text


async def test_a_kicked_friend_is_out_and_the_others_play_on() -> None:
    async with running() as relay, playing(relay.address, relay.port) as (host, link, client):
        other = await FakeClient.join(relay.address, relay.port, host.session, source="127.0.0.9")
        await (await host.link()).read(24)
        assert relay.server.kick([ipaddress.ip_network("127.0.0.9")]) == 1
        assert await other.rest() == b""
        await relay.until_outcome("kicked")
        await client.send(b"unharmed")
        assert await link.read(8) == b"unharmed"
        assert relay.server.kick([ipaddress.ip_network("10.0.0.0/8")]) == 0


async def test_a_friend_that_is_refused_is_in_the_log_with_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "netplay-relay"):
        async with running() as relay:
            logging.getLogger("netplay-relay").setLevel(logging.INFO)
            assert await (await FakeClient.join(relay.address, relay.port, b"never-issued")).rest() == b""
            visitor = await Stream.open(relay.address, relay.port)
            await visitor.send(b"GET / HTTP/1.1\r\n")
            assert await visitor.rest() == b""
    assert "client 127.0.0.1 ended: no-session" in caplog.text
    assert "garbage" not in caplog.text, "the noise of scanners is not the owner's business"


async def test_strangers_leave_room_for_what_friends_have_to_be_told(tmp_path: Path) -> None:
    allowlist = tmp_path / "allowlist"
    allowlist.write_text("127.0.0.1\n")
    async with running(Config(gate=Gate(allowlist=allowlist))) as relay:
        host = await FakeHost.host(relay.address, relay.port, makes_links=False)
        for number in range(3, 103):
            await FakeClient.join(relay.address, relay.port, host.session, source=f"127.0.0.{number}")
        await relay.until_outcome("stranger", 100)
        assert len(relay.server._farewells) == 0
        client = await FakeClient.join(relay.address, relay.port, host.session)
        await relay.until(lambda: host.asked, "the host was asked for a link")
        relay.pass_time(10)
        assert (await client.rest())[:4] == b"FULL"


async def test_stopping_closes_what_is_open() -> None:
    async with running() as relay:
        host = await FakeHost.host(relay.address, relay.port)
        client = await FakeClient.join(relay.address, relay.port, host.session)
        link = await host.link()
        await link.read(24)
        relay.server.stop()
        assert await client.rest() == b""
        assert await link.rest() == b""
        await asyncio.wait_for(host.ended.wait(), 5)
        for stream in (client, link):
            await stream.close()
        await host.leave()
        relay.server.stop = lambda: None  # type: ignore[method-assign]
