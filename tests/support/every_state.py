"""A relay in which there is everything that an upgrade has to hand over, one of each, and what shows that it goes on.

python -m tests.support.every_state FILE    writes down what a relay of this checkout hands over (never over a file)
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from relay import listeners, sockets, upgrade
from relay.config import Config, RoomConfig
from relay.daemon import Daemon
from relay.limits import Buffers, Limits
from relay.observe import Events
from relay.rooms import Mode
from relay.states import Conn, State
from tests.support import netplay, wire
from tests.support.relays import BOUND, Clock, Relay, started

ROOM = "FridayNightRoom1"
# One listener more, for games without a host; little fits into sockets, so that something waits soon.
CONFIG = Config(
    limits=dataclasses.replace(Limits(), setups_per_second=10_000),
    buffers=Buffers(socket=4096),
    rooms=(RoomConfig(ROOM, 1, Mode.CORELESS),),
)
# Where each of them comes from. A host that claims its room comes from where that is hosted already.
HOST, GONE, OLD, PLAYERS = "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"
TALK = [*netplay.handshake(), *netplay.playing(frames=2)]
CUT = netplay.game_input(77, 1)
OLD_SAYS = netplay.nick("old") + netplay.old_info(version="1.52.0")
HOST_SAYS = netplay.host_header(protocol=5) + netplay.nick("player") + netplay.info()
INTO = netplay.nick("anna") + netplay.info() * 2 + netplay.play()
JOINED = 24 + 40 + 8 + 76 + 192 + 12 + 68
# What fills the sockets between a link and a client that reads nothing.
PIECE = bytes(range(251)) * 4
ENOUGH = 6000
CONTROL = "/run/netplay-relay/control.sock"


class Ends:
    """The players' ends of the connections, by what each is. owed: how many bytes those must get who read nothing."""

    def __init__(self) -> None:
        self.socks: dict[str, socket.socket] = {}
        self.owed: dict[str, int] = {}

    def connect(self, name: str, address: str, port: int, source: str) -> None:
        sock = socket.socket()
        # Small, or nothing would ever wait in the relay.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.bind((source, 0))
        sock.settimeout(BOUND)
        sock.connect((address, port))
        self.add(name, sock)

    def add(self, name: str, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.socks[name] = sock

    def send(self, name: str, data: bytes) -> None:
        assert self.socks[name].send(data) == len(data)

    async def read(self, name: str, count: int) -> bytes:
        """Read exactly count bytes."""
        data = b""
        async with asyncio.timeout(BOUND):
            while len(data) < count:
                chunk = await asyncio.get_running_loop().sock_recv(self.socks[name], count - len(data))
                assert chunk, f"the stream of {name} ended after {data!r}"
                data += chunk
        return data

    async def rest(self, name: str) -> bytes:
        """Read to the end."""
        data = b""
        async with asyncio.timeout(BOUND):
            while chunk := await asyncio.get_running_loop().sock_recv(self.socks[name], 65536):
                data += chunk
        return data

    def close(self) -> None:
        for sock in self.socks.values():
            sock.close()


class Maker:
    """Brings a relay into that state, step by step."""

    def __init__(self, relay: Relay, ends: Ends) -> None:
        self.relay = relay
        self.ends = ends

    def conn(self, name: str) -> Conn | None:
        port = self.ends.socks[name].getsockname()[1]
        return next((conn for conn in self.relay.server.board.live() if conn.port == port), None)

    async def say(self, name: str, source: str, data: bytes, state: State, port: int | None = None) -> Conn:
        """Connect, say something, and wait until the relay takes it for what it is."""
        self.ends.connect(name, self.relay.address, port or self.relay.port, source)
        self.ends.send(name, data)
        found = lambda: (conn := self.conn(name)) and conn.state is state and conn  # noqa: E731
        await self.relay.until(found, f"{name} is {state.name}")
        conn = found()
        assert conn
        return conn

    async def host(self, name: str, source: str) -> bytes:
        await self.say(name, source, wire.HOST_HELLO, State.HOSTING)
        return (await self.ends.read(name, 16))[4:]

    async def linked(self, name: str, host: str, session: bytes, source: str, header: bytes) -> None:
        """Make a link: `name` is its client, `name's link` its other end."""
        await self.say(name, source, wire.join(session, header), State.WAITING)
        asked = await self.ends.read(host, 16)
        await self.say(f"{name}'s link", HOST, wire.link(asked[4:]), State.LINKED)
        assert await self.ends.read(f"{name}'s link", 24) == header

    async def all(self) -> None:
        """Make one of each. Those who may not wait for long come last."""
        await self.ended_session()
        session = await self.host("host", HOST)
        await self.linked("friend", "host", session, "127.0.0.6", netplay.client_header())
        await self.watched()
        await self.linked("slow", "host", session, "127.0.0.7", wire.header())
        await self.let_wait("slow")
        await self.linked("old", "host", session, OLD, wire.OLD_HEADER)
        self.ends.send("old", OLD_SAYS[:60])
        self.ends.send("old's link", HOST_SAYS[:100])
        old = self.conn("old")
        await self.relay.until(
            lambda: old and old.introduction and old.introduction.size == 24 + 60 + 100, "both have begun to speak"
        )
        assert await self.ends.read("old", 64) == HOST_SAYS[:64]
        assert await self.ends.read("old's link", 40) == OLD_SAYS[:40]
        await self.seated()
        await self.waiting(session)

    async def ended_session(self) -> None:
        """Leave a link without its session, an id that is kept, and a farewell that is not over."""
        session = await self.host("gone host", GONE)
        await self.linked("orphan", "gone host", session, "127.0.0.8", wire.header())
        await self.linked("left", "gone host", session, "127.0.0.9", wire.header())
        await self.let_wait("left")
        self.relay.pass_time(10)
        self.ends.socks["left's link"].close()
        await self.relay.until(lambda: self.relay.server._farewells, "it is told farewell")
        self.ends.socks["gone host"].close()
        await self.relay.until(lambda: self.relay.server.board.rooms.kept, "its id is kept")

    async def watched(self) -> None:
        """Let a friend play, up to the middle of a command each way."""
        said = {True: TALK[0][1], False: b""}
        for to_host, data in TALK[1:]:
            said[to_host] += data
            self.ends.send("friend" if to_host else "friend's link", data)
            assert await self.ends.read("friend's link" if to_host else "friend", len(data)) == data
        self.ends.send("friend", CUT[:13])
        assert await self.ends.read("friend's link", 13) == CUT[:13]

    async def let_wait(self, name: str) -> None:
        """Send to a client that does not read, until something waits for it in the relay."""
        conn, self.ends.owed[name] = self.conn(name), 0
        assert conn

        def waits() -> bool:
            end = self.relay.server.end_of(conn)
            if end and end.waiting < ENOUGH:
                with contextlib.suppress(BlockingIOError):
                    self.ends.owed[name] += self.ends.socks[f"{name}'s link"].send(PIECE)
            return bool(end and end.waiting >= ENOUGH)

        await self.relay.until(waits, f"something waits for {name}")
        # What was sent last may still be on its way.
        await self.relay.until(lambda: self._received(conn) == self.ends.owed[name], "all is with the relay")

    def _received(self, conn: Conn) -> int:
        end = self.relay.server.end_of(conn)
        return end.peer.received if end else 0

    async def seated(self) -> None:
        """Let two into a room without a host: one plays, and is in the middle of a command; one has said its nick."""
        port = self.relay.ports[1]
        anna = await self.say("anna", PLAYERS, netplay.client_header(), State.SEATED, port)
        self.ends.send("anna", INTO + netplay.game_input(0, 1, 0, 0, 0)[:9])
        assert (await self.ends.read("anna", JOINED))[-68:-60] == netplay.words(0x26, 60)
        ben = await self.say("ben", PLAYERS, netplay.client_header(), State.SEATED, port)
        self.ends.send("ben", netplay.nick("ben"))
        await self.ends.read("ben", 24 + 40 + 8)

        def read() -> bool:
            seats = [self.relay.server.hall.seats.of(conn) for conn in (anna, ben)]
            return [seat.received for seat in seats if seat] == [len(INTO) + 9, 40]

        await self.relay.until(read, "both have been read")

    async def waiting(self, session: bytes) -> None:
        """Let a client wait for its link, its host be in the middle of a question, and others have just begun."""
        waiting = await self.say("waiting", "127.0.0.10", wire.join(session), State.WAITING)
        assert (await self.ends.read("host", 16))[:4] == b"RATL"
        self.ends.send("waiting", b" and more")
        await self.relay.until(lambda: len(waiting.head) == 24 + 9, "more is kept")
        self.ends.send("host", b"RATAnev")
        host = self.conn("host")
        await self.relay.until(lambda: host and len(host.control.rest) == 7, "the question has begun")
        await self.say("claiming", HOST, wire.HOST_HELLO, State.CLAIMING)
        assert await self.ends.read("host", 4) == wire.PING
        opening = await self.say("opening", "127.0.0.11", wire.header()[:10], State.OPENING)
        await self.relay.until(lambda: opening.opening.size == 10, "it has begun to speak")


@contextlib.asynccontextmanager
async def everything() -> AsyncIterator[tuple[Relay, Ends]]:
    """Run a relay on loopback that has one of each, and give the players' ends."""
    ends = Ends()
    listening = [sockets.listen("127.0.0.1", 0, CONFIG.buffers.socket) for _ in range(2)]
    relay = started(CONFIG, listening, Clock())
    try:
        await Maker(relay, ends).all()
        yield relay, ends
    finally:
        ends.close()
        relay.server.stop()


def leave(relay: Relay, state: dict[str, Any]) -> None:
    """End a relay as an exec does: nothing is said to anybody, and what it has handed over stays open."""
    state["listeners"] = [os.dup(fd) for fd in state["listeners"]]
    for entry in state["conns"]:
        entry["fd"] = os.dup(entry["fd"])
    state["farewells"] = [[os.dup(fd), waiting] for fd, waiting in state["farewells"]]
    server, loop = relay.server, asyncio.get_running_loop()
    timers = [server._timer, *server._farewells._left.values(), *(timer for _, timer in server.hall._timers.values())]
    for timer in timers:
        if timer:
            timer.cancel()
    server._readiness.close()
    for sock in server._farewells._left:
        loop.remove_reader(sock)
        loop.remove_writer(sock)
    ends, seats = list(server._forwarder), server.hall.seats._by_conn.values()
    linked = [each.sock for each in (*ends, *seats)]
    for sock in (*server.listeners, *server._socks.values(), *linked, *server._farewells._left):
        sock.close()
    if server._reserve is not None:
        os.close(server._reserve)
    server.stop = lambda: None  # type: ignore[method-assign]


@contextlib.asynccontextmanager
async def taken_over(state: dict[str, Any], now: float) -> AsyncIterator[Relay]:
    """Run a relay that goes on with a state, at a time, until the end of the block; then nothing may be left."""
    kept = [sockets.inherit(fd) for fd in state["listeners"]]
    relay = started(CONFIG, kept, Clock(now), state)
    try:
        yield relay
    finally:
        relay.server.stop()
    relay.assert_empty()


async def assert_all_go_on(relay: Relay, ends: Ends, kept: bytes) -> None:
    """Let everybody go on where they were, in a program that has taken over; kept is the id that is kept for GONE."""
    board = relay.server.board
    (session,) = board.sessions.values()
    assert session.joins == 3
    ends.send("opening", wire.header()[10:])
    assert (await ends.read("host", 16))[:4] == b"RATL", "half a header was kept"
    await _goes_on_waiting(relay, ends)
    ends.send("host", b"er-issued")
    assert (await ends.read("host", 32))[:16] == b"RATAnever-issued", "half a question was kept"
    assert (await ends.read("claiming", 16))[:4] == b"RATS", "the host lives, so the other one has a room of its own"
    ends.connect("gone host again", relay.address, relay.port, GONE)
    ends.send("gone host again", wire.HOST_HELLO)
    assert await ends.read("gone host again", 16) == b"RATS" + kept, "the invitation is still good"
    await _links_go_on(relay, ends)
    ends.send("anna", netplay.game_input(0, 1, 0, 0, 0)[9:])
    assert await ends.read("anna", 12) == netplay.no_input(0)
    ends.send("ben", netplay.info() * 2)
    assert await ends.read("ben", 76) == netplay.info(), "its nick was kept"
    assert {outcome.value for outcome in board.outcomes} == {"left", "peer-left", "host-left"}


async def _goes_on_waiting(relay: Relay, ends: Ends) -> None:
    (client,) = [conn for conn in relay.server.board._waiting.values() if conn.head != wire.header()]
    ends.connect("waiting's link", relay.address, relay.port, HOST)
    ends.send("waiting's link", wire.link(client.client_id))
    assert await ends.read("waiting's link", 24 + 9) == wire.header() + b" and more"


async def _links_go_on(relay: Relay, ends: Ends) -> None:
    ends.send("friend", CUT[13:])
    assert await ends.read("friend's link", len(CUT) - 13) == CUT[13:]
    seen = [end.watcher.seen for end in relay.server._forwarder if end.watcher and end.to_host]
    (friend,) = [each for each in seen if each.client.nick == "friend"]
    assert (friend.host.nick, friend.client_frame, friend.stopped) == ("player", 77, False), "it is watched on"
    ends.send("old", OLD_SAYS[60:])
    ends.send("old's link", HOST_SAYS[100:])
    assert await ends.read("old's link", 76) == netplay.info(), "INFO is put into the other's order"
    assert await ends.read("old", 76) == netplay.old_info(version="1.52.0")
    for name in ("old", "orphan", "friend"):
        ends.send(name, b"from the client")
        assert await ends.read(f"{name}'s link", 15) == b"from the client"
        ends.send(f"{name}'s link", b"from the host")
        assert await ends.read(name, 13) == b"from the host"
    ends.socks["slow's link"].close()
    for name in ("slow", "left"):
        late = await ends.rest(name)
        assert len(late) == ends.owed[name] > 0, f"something waits for {name}, and it has it whole"
        assert (PIECE * (1 + len(late) // len(PIECE))).endswith(late)


def handed_over(relay: Relay) -> dict[str, Any]:
    """Return what its program would hand to the next one: the daemon's own way of it, but for the exec."""
    daemon = Daemon(CONFIG, None, Events(blurred=False))
    daemon._server = relay.server
    daemon._listeners = listeners.Listeners(relay.server.listeners)
    daemon._control = None
    written: list[dict[str, Any]] = []
    real = upgrade.become_new
    upgrade.become_new = lambda state, _: written.append(state)
    try:
        assert daemon._exec() == ""
    finally:
        upgrade.become_new = real
    state: dict[str, Any] = json.loads(json.dumps(written[0]))
    return state


def names(relay: Relay, ends: Ends, state: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Return whose end each descriptor of a state is the relay's end of."""
    by_port = {sock.getsockname()[1]: name for name, sock in ends.socks.items() if sock.fileno() >= 0}
    for conn, entry in zip(state["board"]["conns"], state["conns"], strict=True):
        yield by_port[conn["port"]], entry["fd"]
    for fd, _ in state["farewells"]:
        with socket.socket(fileno=fd) as sock:
            name = by_port[sock.getpeername()[1]]
            sock.detach()
        yield name, fd


async def record(path: Path) -> None:
    """Write a state down, with the names of the connections in the order of its descriptors."""
    async with everything() as (relay, ends):
        state = handed_over(relay)
        whose = [name for name, _ in names(relay, ends, state)]
        facts = {"ports": relay.ports, "now": relay.clock.now, "names": whose, "state": state}
        with path.open("x") as file:
            json.dump(facts, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    asyncio.run(record(Path(sys.argv[1])))
