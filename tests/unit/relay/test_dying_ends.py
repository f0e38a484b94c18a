"""Who is gone in the very moment in which the relay does something with them: the rest is done, in its order."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Iterator

import pytest

from relay.config import Config
from relay.limits import Buffers
from relay.net.forwarder import Forwarder
from relay.net.poller import Poller
from relay.netplay.framing import Direction
from relay.switchboard.connection import Conn, State
from tests.support import netplay, wire
from tests.support.relays import BOUND, Relay, running

OLD = netplay.client_header(netplay.RA_1_9_0, 0)
FAILED = "internal error"


class Ends:
    """Connections to a relay by the kernel's own calls: what they do has happened when the call returns."""

    def __init__(self) -> None:
        self._open: list[socket.socket] = []

    async def say_and_see(self, relay: Relay, data: bytes) -> tuple[socket.socket, Conn]:
        """Connect and send; return the socket, and what the relay calls it as soon as it knows of it."""
        sock = socket.create_connection((relay.address, relay.port), BOUND)
        self._open.append(sock)
        found: list[Conn] = []

        def known() -> bool:
            found[:] = [conn for conn in relay.server.board.live() if conn.port == sock.getsockname()[1]]
            return bool(found)

        await relay.until(known, "it is accepted")
        sock.sendall(data)
        conn = found[0]
        await relay.until(lambda: conn.state is not State.OPENING, "it is read")
        return sock, conn

    async def say(self, relay: Relay, data: bytes, buffer: int = 0) -> tuple[socket.socket, Conn]:
        """Connect and send; return the socket, and what the relay calls it once it has read that.

        buffer: how many bytes the kernel may keep unread, if not its usual.
        """
        sock = socket.socket()
        self._open.append(sock)
        if buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        sock.settimeout(BOUND)
        sock.connect((relay.address, relay.port))
        sock.sendall(data)
        found: list[Conn] = []

        def heard() -> bool:
            found[:] = [conn for conn in relay.server.board.live() if conn.port == sock.getsockname()[1]]
            return bool(found) and found[0].state is not State.OPENING

        await relay.until(heard, "it is read")
        return sock, found[0]

    def reset(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()

    def close(self) -> None:
        for sock in self._open:
            sock.close()


@pytest.fixture
def ends() -> Iterator[Ends]:
    opened = Ends()
    yield opened
    opened.close()


async def test_a_host_that_is_gone_when_an_old_clients_handshake_is_over(
    ends: Ends, caplog: pytest.LogCaptureFixture
) -> None:
    async with running() as relay:
        host, _ = await ends.say(relay, wire.HOST_HELLO)
        client, joined = await ends.say(relay, OLD + netplay.nick("old"))
        assert host.recv(16)[:4] == b"RATS"
        link, linked = await ends.say(relay, wire.link(host.recv(16)[4:]))
        link.sendall(netplay.host_header(protocol=5) + netplay.nick("player") + netplay.info())
        await relay.until(lambda: linked.introduction and linked.introduction.to_client.done, "the host has said all")
        ends.reset(link)
        client.sendall(netplay.old_info())
        relay.server._readable(joined)
        assert (linked.outcome, joined.outcome) == ("left", "peer-left")
        assert not relay.server.board._linked
        await relay.until(lambda: len(relay.server._socks) == 1, "the host's control connection is left")
        host.close()
        client.close()
        await relay.until_outcome("host-left")
    assert FAILED not in caplog.text


async def test_a_host_that_is_gone_when_it_is_answered_is_logged_in_order(
    ends: Ends, caplog: pytest.LogCaptureFixture
) -> None:
    async with running() as relay:
        first, _ = await ends.say(relay, wire.HOST_HELLO)
        second, claiming = await ends.say(relay, wire.HOST_HELLO)
        assert claiming.state is State.CLAIMING
        ends.reset(second)
        relay.pass_time(relay.server.board.timeouts.host_claim)
        assert claiming.outcome == "host-left"
        first.close()
        await relay.until_outcome("host-left", 2)
    events = [getattr(record, "event", "") for record in caplog.records]
    about_sessions = [event for event in events if event.startswith("session-")]
    assert about_sessions == ["session-opened", "session-opened", "session-ended", "session-ended"]
    assert FAILED not in caplog.text


async def test_an_action_that_fails_keeps_none_of_the_others_from_being_done(
    ends: Ends, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with running() as relay:
        host, _ = await ends.say(relay, wire.HOST_HELLO)
        client, waiting = await ends.say(relay, wire.header())
        monkeypatch.setattr(relay.server.endings, "add", None)
        host.close()
        await relay.until(lambda: not relay.server._socks, "both are closed")
        monkeypatch.undo()
        assert waiting.outcome == "host-gone"
        assert client.recv(1) == b""
    assert FAILED in caplog.text


@pytest.mark.parametrize("broken", ["splice", "cede", "feed"])
async def test_a_link_that_cannot_be_made_is_ended_and_nothing_of_it_stays(
    ends: Ends, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("a mistake of ours")

    async with running() as relay:
        host, _ = await ends.say(relay, wire.HOST_HELLO)
        assert host.recv(16)[:4] == b"RATS"
        client, waiting = await ends.say(relay, wire.header())
        place = {"splice": Forwarder, "cede": Poller, "feed": Direction}[broken]
        with monkeypatch.context() as breaking:
            breaking.setattr(place, broken, fail)
            link, linked = await ends.say_and_see(relay, wire.link(host.recv(16)[4:]))
            await relay.until(lambda: broken == "feed" or not len(relay.server._forwarder), "nothing is linked")
        if broken == "feed":
            link.sendall(b"played on")
            client.setblocking(False)
            assert await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 9), BOUND) == b"played on"
        else:
            assert client.recv(1) == link.recv(1) == b""
            assert {waiting.outcome, linked.outcome} == {"link-failed", "peer-left"}
            assert (len(relay.server._socks), len(relay.server._readiness)) == (1, 2), "the host, and the listener"
        host.close()
        client.close()
        await relay.until(lambda: not relay.server.board.busy, "all is over")
    assert FAILED in caplog.text


async def test_whoever_has_lost_their_socket_is_ended_before_the_next_program_is_told_of_them(ends: Ends) -> None:
    async with running() as relay:
        host, _ = await ends.say(relay, wire.HOST_HELLO)
        client, waiting = await ends.say(relay, wire.header())
        sock = relay.server._socks.pop(waiting)
        relay.server._readiness.forget(sock.fileno())
        sock.close()
        assert len(relay.server.capture()["conns"]) == 1
        assert waiting.state is State.CLOSED
        host.close()
        client.close()


async def test_a_host_that_never_reads_what_it_asked_for_is_given_up_and_its_room_is_free(ends: Ends) -> None:
    async with running(Config(buffers=Buffers(socket=4096))) as relay:
        other, playing = await ends.say(relay, wire.HOST_HELLO)
        host, stuck = await ends.say(relay, wire.HOST_HELLO, buffer=4096)
        assert stuck.state is State.CLAIMING
        relay.pass_time(relay.server.board.timeouts.host_claim)
        assert stuck.session
        client, waiting = await ends.say(relay, wire.join(stuck.session.id))
        host.setblocking(False)
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                await asyncio.get_running_loop().sock_sendall(host, wire.address_query(b"never-issued") * 100)
        await relay.until(lambda: stuck.outcome, "it is given up")
        assert (stuck.outcome, waiting.outcome, playing.outcome) == ("host-stuck", "host-gone", None)
        assert list(relay.server.board.sessions.values()) == [playing.session]
        other.close()
        client.close()
        await relay.until_outcome("host-left")
