"""Who is gone in the very moment in which the relay does something with them: the rest is done, in its order."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest

from relay.states import Conn, State
from tests.support import netplay, wire
from tests.support.relays import BOUND, Relay, running

OLD = netplay.client_header(netplay.RA_1_9_0, 0)
FAILED = "this should not have happened"


class Ends:
    """Connections to a relay by the kernel's own calls: what they do has happened when the call returns."""

    def __init__(self) -> None:
        self._open: list[socket.socket] = []

    async def say(self, relay: Relay, data: bytes) -> tuple[socket.socket, Conn]:
        """Connect and send; return the socket, and what the relay calls it once it has read that."""
        sock = socket.create_connection((relay.address, relay.port), BOUND)
        self._open.append(sock)
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
