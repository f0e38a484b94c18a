"""A relay in which there is everything that an upgrade has to hand over, one of each (tests/support/handed_over.py)."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
from collections.abc import AsyncIterator

from relay.config import Config, RoomConfig
from relay.limits import Buffers, Limits
from relay.net import sockets
from relay.switchboard.connection import Conn, State
from relay.switchboard.rooms import Mode
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
        """Let two into a core-less session: one plays, and is in the middle of a command; one has said its nick."""
        port = self.relay.ports[1]
        anna = await self.say("anna", PLAYERS, netplay.client_header(), State.SEATED, port)
        self.ends.send("anna", INTO + netplay.game_input(0, 1, 0, 0, 0)[:9])
        assert (await self.ends.read("anna", JOINED))[-68:-60] == netplay.words(0x26, 60)
        ben = await self.say("ben", PLAYERS, netplay.client_header(), State.SEATED, port)
        self.ends.send("ben", netplay.nick("ben"))
        await self.ends.read("ben", 24 + 40 + 8)

        def read() -> bool:
            seats = [self.relay.server.hall.seats.of(conn) for conn in (anna, ben)]
            return [seat.received for seat in seats if seat] == [24 + len(INTO) + 9, 24 + 40]

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
