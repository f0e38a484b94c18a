"""What real games do to a relay: leave while the host is paused, read slowly, die at any byte, come back, guess."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from relay.config import Config, Gate, RoomConfig
from relay.limits import Buffers, Limits
from relay.net import sockets
from relay.net.forwarder import GRACE
from relay.switchboard.connection import State
from relay.switchboard.rooms import Mode
from tests.support import wire
from tests.support.fakes import FakeClient, FakeHost, Stream, playing
from tests.support.relays import Relay, running

# The clock stands still in these tests, so whoever connects often would be too fast.
MANY = dataclasses.replace(Limits(), setups_per_second=10_000, connections_per_address=1000)
BUSY = Config(limits=MANY)


async def assert_unharmed(link: Stream, client: Stream) -> None:
    """Assert that a game goes on, both ways."""
    await client.send(b"from the client")
    assert await link.read(15) == b"from the client"
    await link.send(b"from the host")
    assert await client.read(13) == b"from the host"


def reset(stream: Stream) -> None:
    """End a connection with a reset, whatever was read of it."""
    stream.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.abort()


def end(stream: Stream, how: str) -> None:
    """End a connection in order, or with a reset."""
    if how == "reset":
        reset(stream)
    else:
        stream.writer.close()


# Slots and pauses.


async def test_eight_clients_that_leave_while_the_host_is_paused_cost_it_no_slot() -> None:
    async with running(BUSY) as relay, playing(relay.address, relay.port) as (host, link, client):
        host.pause()
        for number in range(1, 9):
            visitor = await FakeClient.join(relay.address, relay.port, host.session)
            await relay.until(lambda: relay.server.board._waiting, "it waits for its link")
            await visitor.close()
            await relay.until_outcome("left-waiting", number)
        host.resume()
        for _ in range(8):
            assert await (await host.link()).rest() == b"", "a link for a client that has left is refused"
        assert [asked for asked, _ in host.answered] == host.asked, "each question is answered with the id asked"
        assert host.free_slots == 8
        ninth = await FakeClient.join(relay.address, relay.port, host.session)
        ninths_link = await host.link()
        assert await ninths_link.read(24) == wire.header()
        await assert_unharmed(ninths_link, ninth)
        await assert_unharmed(link, client)


async def test_a_clock_that_jumps_by_a_day_ends_no_game() -> None:
    async with running(BUSY) as relay, playing(relay.address, relay.port) as (host, link, client):
        host.makes_links = False
        waiting = await FakeClient.join(relay.address, relay.port, host.session)
        await relay.until(lambda: len(host.asked) == 2, "the host was asked for a link")
        relay.pass_time(86_400)
        assert (await waiting.rest())[:4] == b"FULL", "what has waited for too long is over"
        await assert_unharmed(link, client)
        await relay.until(lambda: host.pings, "the silent host is asked for a sign of life")
        assert not host.ended.is_set()


async def test_a_game_outlives_the_control_connection_of_its_host() -> None:
    async with running() as relay, playing(relay.address, relay.port) as (host, link, client):
        await host.leave()
        await relay.until_outcome("host-left")
        await assert_unharmed(link, client)
        await link.close()
        assert await client.rest() == b""


# Slow readers.


async def test_a_client_that_takes_nothing_is_dropped_alone_after_a_moment_in_which_its_own_link_is_not_read() -> None:
    config = Config(buffers=Buffers(slow_client=300_000))
    async with running(config) as relay, playing(relay.address, relay.port) as (host, link, client):
        await FakeClient.join(relay.address, relay.port, host.session)
        slow_link = await host.link()
        sock = slow_link.writer.get_extra_info("socket")
        for _ in range(400):
            with contextlib.suppress(OSError):
                os.write(sock.fileno(), bytes(65536))  # as much as is taken
            await assert_unharmed(link, client)
            if [end for end in relay.server._forwarder if end.to_host and end.waiting > 300_000]:
                break
        # The kernel may take a little more in between, for which there is time again.
        for _ in range(10 * int(GRACE / 0.25)):
            relay.pass_time(0.25)
            await assert_unharmed(link, client)
            if relay.server.board.outcomes:
                break
        await relay.until_outcome("peer-left")
        assert relay.server.board.outcomes == {"overrun": 1, "peer-left": 1}, "what waits for it has a bound"
        assert await slow_link.rest() == wire.header()
        await assert_unharmed(link, client)
        assert not host.ended.is_set()


@contextlib.asynccontextmanager
async def held_up(relay: Relay) -> AsyncIterator[tuple[Stream, FakeClient, int]]:
    """Give the link of a host that does not read, the client, and how many bytes that could send."""
    async with playing(relay.address, relay.port) as (_host, link, client):
        link.writer.transport.pause_reading()  # type: ignore[attr-defined]
        sent = 0

        def is_held_up() -> bool:
            nonlocal sent
            with contextlib.suppress(BlockingIOError):
                sent += os.write(client.writer.get_extra_info("socket").fileno(), bytes(65536))
            return any(not one.read for one in relay.server._forwarder)

        await relay.until(is_held_up, "the client is not read any more")
        yield link, client, sent


async def test_the_close_of_a_client_whose_host_is_slow_comes_after_all_it_sent() -> None:
    async with running() as relay, held_up(relay) as (link, client, sent):
        client.writer.write_eof()
        link.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert len(await link.rest()) == sent
        await relay.until(lambda: not len(relay.server._forwarder), "both ends are closed")


async def test_the_reset_of_a_client_whose_host_is_slow_ends_its_link() -> None:
    async with running() as relay, held_up(relay) as (_link, client, _sent):
        reset(client)
        await relay.until(lambda: not len(relay.server._forwarder), "both ends are closed")


# Links, sessions and rooms of others.


@pytest.mark.parametrize("offer", ["guessed", "twice", "late", "after its client has left"])
async def test_a_link_that_nobody_waits_for_is_closed_and_harms_nobody(offer: str) -> None:
    async with running(BUSY) as relay, playing(relay.address, relay.port) as (host, link, client):
        host.makes_links = False
        offered = wire.random_id() if offer == "guessed" else host.asked[0]
        if offer in ("late", "after its client has left"):
            other = await FakeClient.join(relay.address, relay.port, host.session)
            await relay.until(lambda: len(host.asked) == 2, "the host was asked for a link")
            offered = host.asked[1]
            if offer == "late":
                relay.pass_time(10)
            else:
                await other.close()
            await relay.until(lambda: not relay.server.board._waiting, "nobody waits any more")
        useless = await Stream.open(relay.address, relay.port)
        await useless.send(wire.link(offered) + b"for nobody")
        assert await useless.rest() == b""
        await relay.until_outcome("unclaimed")
        await assert_unharmed(link, client)
        assert not host.ended.is_set()


async def test_a_strangers_link_is_refused_and_the_client_goes_on_waiting_for_the_hosts(tmp_path: Path) -> None:
    allowlist = tmp_path / "allowlist"
    allowlist.write_text("127.0.0.1  # anna\n127.0.0.2  # anna by another way\n")
    async with running(Config(gate=Gate(allowlist=allowlist))) as relay:
        host = await FakeHost.host(relay.address, relay.port, makes_links=False)
        client = await FakeClient.join(relay.address, relay.port, host.session)
        await relay.until(lambda: host.asked, "the host was asked for a link")
        stolen = await Stream.open(relay.address, relay.port, "127.0.0.9")
        await stolen.send(wire.link(host.asked[0]))
        assert await stolen.rest() == b""
        link = await Stream.open(relay.address, relay.port, "127.0.0.2")
        await link.send(wire.link(host.asked[0]))
        assert await link.read(24) == wire.header()
        await assert_unharmed(link, client)
        await client.close()
        await host.leave()


async def test_a_host_hears_nothing_of_guessed_sessions() -> None:
    async with running(BUSY) as relay:
        host = await FakeHost.host(relay.address, relay.port)
        near = bytes([*host.session[:-1], host.session[-1] ^ 1])
        for guess in (near, *(wire.random_id() for _ in range(20))):
            client = await FakeClient.join(relay.address, relay.port, guess)
            assert await client.rest() == b""
        assert not host.asked
        await host.leave()
        await relay.until_outcome("no-session", 21)


async def test_a_second_host_of_a_room_is_refused_and_the_first_plays_on() -> None:
    config = Config(rooms=(RoomConfig("FridayNightRoom1", 1),))
    async with running(config, extra_ports=1) as relay, playing(relay.address, relay.ports[1]) as (host, link, client):
        second = await Stream.open(relay.address, relay.ports[1], "127.0.0.9")
        await second.send(wire.HOST_HELLO)
        assert await second.rest() == b""
        await relay.until_outcome("room-taken")
        await assert_unharmed(link, client)
        assert not host.ended.is_set()


async def test_an_invitation_is_good_for_a_host_that_comes_back_within_a_minute() -> None:
    async with running(BUSY) as relay:
        host = await FakeHost.host(relay.address, relay.port, source="127.0.0.2")
        invitation = host.text
        relay.pass_time(10)
        await host.leave()
        await relay.until_outcome("host-left")
        relay.pass_time(59)
        other = await FakeHost.host(relay.address, relay.port, source="127.0.0.3")
        again = await FakeHost.host(relay.address, relay.port, source="127.0.0.2")
        assert (again.text, other.text != invitation) == (invitation, True)
        client = await FakeClient.join(relay.address, relay.port, invitation)
        link = await again.link()
        assert await link.read(24) == wire.header()
        await assert_unharmed(link, client)
        await client.close()
        relay.pass_time(10)
        await again.leave()
        await relay.until_outcome("host-left", 2)
        relay.pass_time(61)
        late = await FakeHost.host(relay.address, relay.port, source="127.0.0.2")
        assert late.text != invitation
        await late.leave()
        await other.leave()


async def test_a_friend_by_ipv4_is_the_same_one_on_a_listener_for_both_protocols(tmp_path: Path) -> None:
    allowlist = tmp_path / "allowlist"
    allowlist.write_text("127.0.0.1  # anna\n")
    async with running(Config(gate=Gate(allowlist=allowlist))) as relay:
        both = socket.socket(socket.AF_INET6)
        both.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        both.bind(("::ffff:127.0.0.1", 0))
        both.listen()
        sockets.prepare(both)
        relay.server.entrance.listeners.append(both)
        relay.server.entrance.listen(both)
        port = both.getsockname()[1]
        async with playing("127.0.0.1", port) as (host, link, client):
            await assert_unharmed(link, client)
            assert host.answered[0][1] == socket.inet_pton(socket.AF_INET6, "::ffff:127.0.0.1")
            stranger = await FakeClient.join("127.0.0.1", port, host.session, source="127.0.0.9")
            assert (await stranger.rest())[:4] == b"DENY"


# Connections that die.

HELLOS: dict[str, Callable[[], bytes]] = {
    "client": lambda: wire.join(wire.random_id()),
    "host": lambda: wire.HOST_HELLO,
    "link": lambda: wire.link(wire.random_id()),
}


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("kind", HELLOS)
async def test_what_dies_at_any_byte_of_its_first_words_leaves_nothing(kind: str, how: str) -> None:
    async with running(BUSY) as relay, playing(relay.address, relay.port) as (host, link, client):
        outcomes = relay.server.board.outcomes
        for size in range(len(HELLOS[kind]())):
            before = outcomes.total()
            dying = await Stream.open(relay.address, relay.port, "127.0.0.9")
            await dying.send(HELLOS[kind]()[:size])
            end(dying, how)
            await relay.until(lambda before=before: outcomes.total() > before, "it is over")  # type: ignore[misc]
            assert not relay.server.board._opening
        await relay.until_outcome("left-early", len(HELLOS[kind]()))
        assert len(host.asked) == 1, "the host never heard of them"
        await assert_unharmed(link, client)


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_host_that_dies_at_any_byte_of_a_question_leaves_nothing(how: str) -> None:
    question = wire.address_query(b"never-issued")
    async with running(BUSY) as relay, playing(relay.address, relay.port) as (_host, link, client):
        for size in range(len(question)):
            dying = await Stream.open(relay.address, relay.port, "127.0.0.9")
            await dying.send(wire.HOST_HELLO)
            assert (await dying.read(16))[:4] == b"RATS"
            await dying.send(question[:size])
            end(dying, how)
            await relay.until_outcome("host-left", size + 1)
        assert len(relay.server.board.sessions) == 1
        await assert_unharmed(link, client)


async def test_a_client_whose_first_words_come_in_two_pieces_plays_wherever_they_are_cut() -> None:
    async with running(BUSY) as relay:
        host = await FakeHost.host(relay.address, relay.port)
        hello = wire.join(host.session)
        for cut in range(1, len(hello)):
            client = await FakeClient.open(relay.address, relay.port)
            await client.send(hello[:cut])
            await relay.until(
                lambda cut=cut: [conn.opening.size for conn in relay.server.board._opening] == [cut],  # type: ignore[misc]
                "the first piece has arrived",
            )
            assert len(host.asked) == cut - 1, "half a header is no client"
            await client.send(hello[cut:])
            link = await host.link()
            assert await link.read(24) == wire.header()
            await client.close()
            assert await link.rest() == b""
        await host.leave()


STATES = ["opening", "claiming", "hosting", "waiting", "client", "link", "old client", "link of an old one", "seated"]


async def in_state(relay: Relay, state: str, host: FakeHost) -> Stream:
    """Return a connection that is in a state of the relay's state machine."""
    board = relay.server.board
    if state == "opening":
        stream = await Stream.open(relay.address, relay.port)
        await stream.send(wire.header()[:20])
        await relay.until(lambda: any(conn.opening.size == 20 for conn in board._opening), "it has begun to speak")
        return stream
    if state in ("hosting", "claiming"):
        source = "127.0.0.9" if state == "hosting" else None
        stream = await Stream.open(relay.address, relay.port, source)
        host.pause()
        await stream.send(wire.HOST_HELLO)
        await relay.until(lambda: board._claiming or len(board.sessions) == 2, "it has asked for a session")
        return stream
    if state == "seated":
        return await FakeClient.join(relay.address, relay.ports[1])
    host.makes_links = state != "waiting"
    if "old" in state:
        client = await FakeClient.open(relay.address, relay.port)
        await client.send(wire.join(host.session, wire.OLD_HEADER))
        link = await host.link()
        assert await link.read(24) == wire.OLD_HEADER
        return client if state == "old client" else link
    client = await FakeClient.join(relay.address, relay.port, host.session)
    if state == "waiting":
        await relay.until(lambda: board._waiting, "it waits for its link")
        return client
    link = await host.link()
    return client if state == "client" else link


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("state", STATES)
async def test_a_connection_that_dies_in_any_state_leaves_nothing_and_harms_nobody(state: str, how: str) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count
    config = dataclasses.replace(BUSY, rooms=(RoomConfig("FridayNightRoom1", 1, Mode.CORELESS),))
    async with (
        running(config, extra_ports=1) as relay,
        playing(relay.address, relay.port) as (host, link, client),
    ):
        dying = await in_state(relay, state, host)
        kind = State.LINKED if "client" in state or "link" in state else State[state.upper()]
        found = [conn for conn in relay.server.board.live() if conn.port == dying.source[1]]
        await relay.until(lambda: [conn.state for conn in found] == [kind], f"it is {kind.name}")
        assert bool(found[0].introduction) == ("old" in state)
        end(dying, how)
        await relay.until(lambda: found[0].state is State.CLOSED, "it is over")
        assert relay.server.board.connections == 3, "the game is what is left"
        await assert_unharmed(link, client)
    assert len(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208 - a count
