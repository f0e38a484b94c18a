"""What one program hands to the next, without the exec between them: every kind of connection goes on where it was."""

from __future__ import annotations

import asyncio
import os
import zlib
from base64 import b64decode

import pytest

from relay.config import Config
from relay.limits import Buffers
from relay.net import sockets
from relay.switchboard.connection import State
from tests.support import netplay, wire
from tests.support.every_state import CONFIG, PLAYERS, Ends, Maker, everything
from tests.support.fakes import FakeClient
from tests.support.handed_over import assert_all_go_on, handed_over, leave, taken_over
from tests.support.relays import Clock, running, started


async def test_connections_in_every_state_go_on(caplog: pytest.LogCaptureFixture) -> None:
    async with everything() as (before, ends):
        opened = caplog.text.count("opened")
        assert opened == 3, "two sessions, and a core-less session"
        there = before.server.board.live()
        assert {conn.state for conn in there} == set(State) - {State.CLOSED}
        assert any(conn.introduction for conn in there)
        assert len(before.server._farewells) == 1
        state = handed_over(before)
        leave(before, state)
        async with taken_over(state, before.clock.now) as relay:
            assert caplog.text.count("opened") == opened, "what goes on is not opened again"
            await assert_all_go_on(relay, ends, b64decode(state["board"]["kept"][0][1]))
            ends.close()


async def test_a_friend_who_waits_for_signs_of_life_of_two_hosts_goes_on() -> None:
    ends = Ends()
    before = started(CONFIG, [sockets.listen("127.0.0.1", 0, CONFIG.buffers.socket) for _ in range(2)], Clock())
    try:
        maker = Maker(before, ends)
        sessions = [await maker.host(name, name) for name in ("127.0.0.2", "127.0.0.3")]
        before.pass_time(3)
        assert before.server._timer
        before.server._timer.cancel()  # the next look at the hosts would find that they live
        await maker.say("friend", "127.0.0.4", netplay.client_header()[:24], State.CLAIMING)
        assert [await ends.read(name, 4) for name in ("127.0.0.2", "127.0.0.3")] == [wire.PING] * 2
        state = handed_over(before)
        leave(before, state)
        async with taken_over(state, before.clock.now) as relay:
            assert [session.id for session in relay.server.board.sessions.values()] == sessions
            assert (await ends.rest("friend"))[:4] == b"FULL", "both live, and it could mean either"
            ends.close()
    finally:
        ends.close()
        before.server.stop()


async def test_who_read_too_slowly_is_not_handed_over_as_if_nothing_were_missing() -> None:
    async with running(Config(buffers=Buffers(slow_client=20_000, socket=4096))) as relay:
        slow, other = [await FakeClient.join(relay.address, relay.port) for _ in range(2)]
        await relay.until(lambda: len(relay.server.hall.seats) == 2, "both sit there")
        (conn,) = [conn for conn in relay.server.board.live() if conn.port == slow.source[1]]
        seat = relay.server.hall.seats.of(conn)
        assert seat
        # In one turn of the event loop, as when the change of programs is next to it.
        for _ in range(2):
            relay.server.hall.seats.send(seat, bytes(1_000_000))
        state = relay.server.capture()
        assert state["board"]["outcomes"] == {"overrun": 1}
        assert [entry["port"] for entry in state["board"]["conns"]] == [other.source[1]]
        assert len(state["conns"]) == 1
        slow.abort()
        await other.close()
        await relay.until_outcome("left")
        assert relay.server.board.outcomes.total() == 2


async def test_a_savestate_that_is_being_converted_is_converted_by_the_next_program() -> None:
    raw = os.urandom(400_000)
    plain = b"RANP" + netplay.words(0x00040008, 0, 6, 5, netplay.RA_1_14)
    ends = Ends()
    before = started(CONFIG, [sockets.listen("127.0.0.1", 0, CONFIG.buffers.socket) for _ in range(2)], Clock())
    try:
        room = before.server.board.tables
        for name, header, more in (("anna", netplay.client_header(), netplay.play()), ("ben", plain, b"")):
            ends.connect(name, before.address, before.ports[1], PLAYERS)
            ends.send(name, header + netplay.nick(name) + netplay.info() * 2 + more)
            count = 1 if name == "anna" else 2
            await before.until(
                lambda count=count: room.at and len(next(iter(room.at.values())).room.game.synced) == count,  # type: ignore[misc]
                "it is in",
            )
        before.server.hall._convert = lambda: None  # type: ignore[method-assign] - it does not get to it
        said = netplay.command(0x42, netplay.words(0, len(raw)) + zlib.compress(raw, 1))
        sending = asyncio.create_task(asyncio.get_running_loop().sock_sendall(ends.socks["anna"], said))
        await before.until(lambda: before.server.hall._converting, "the conversion")
        await sending
        state = handed_over(before)
        leave(before, state)
        async with taken_over(state, before.clock.now) as relay:
            await relay.until(lambda: not relay.server.hall._converting, "the end of the conversion")
            told = await ends.read("ben", 24 + 40 + 8 + 76 + 192 + 12 + 8 + 8 + len(raw))
            assert told.endswith(raw)
            ends.close()
    finally:
        ends.close()
        before.server.stop()
