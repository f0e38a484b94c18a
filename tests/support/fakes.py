"""A fake RetroArch host and fake clients that speak the tunnel protocol over real sockets.

They do what docs/protocol.md says stock RetroArch does, including its weak points: FakeHost has 8 link slots, and a
slot whose address query is never answered with the id it asked for stays taken.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Self

from tests.support import wire

BOUND = 60.0
SLOTS = 8
_OPEN: set[Stream] = set()


@dataclass(eq=False)
class Stream:
    """One connection with bounded reads."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def __post_init__(self) -> None:
        _OPEN.add(self)

    @classmethod
    async def open(cls, address: str, port: int, source: str | None = None) -> Self:
        """Connect, from source if it is given."""
        local = (source, 0) if source else None
        return cls(*await asyncio.wait_for(asyncio.open_connection(address, port, local_addr=local), BOUND))

    async def send(self, data: bytes) -> None:
        """Send data."""
        self.writer.write(data)
        await asyncio.wait_for(self.writer.drain(), BOUND)

    async def read(self, count: int) -> bytes:
        """Read exactly count bytes."""
        return await asyncio.wait_for(self.reader.readexactly(count), BOUND)

    async def rest(self) -> bytes:
        """Read to the end of the stream; a reset counts as an end."""
        data = b""
        with contextlib.suppress(ConnectionError):
            while chunk := await asyncio.wait_for(self.reader.read(65536), BOUND):
                data += chunk
        return data

    async def close(self) -> None:
        """Close and wait until it is closed."""
        _OPEN.discard(self)
        self.writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(self.writer.wait_closed(), BOUND)

    def abort(self) -> None:
        """Close with a reset."""
        _OPEN.discard(self)
        self.writer.transport.abort()

    @property
    def source(self) -> tuple[str, int]:
        """Return this end's address and port."""
        name: tuple[str, int] = self.writer.get_extra_info("sockname")
        return name


async def close_all() -> None:
    """Close every stream a test left open."""
    for stream in list(_OPEN):
        await stream.close()


class FakeClient(Stream):
    """A client: Stream.open, then `join`."""

    @classmethod
    async def join(
        cls, address: str, port: int, session: str | bytes | None = None, source: str | None = None
    ) -> FakeClient:
        """Connect and send what stock RetroArch sends; session None joins without one."""
        client = await cls.open(address, port, source)
        await client.send(wire.header() if session is None else wire.join(session))
        return client


@dataclass
class FakeHost:
    """A host with a session. links delivers, in order, the Stream of every link it has made.

    old means RetroArch 1.10: it never asks for addresses and ends everything when it is sent one. While paused it
    reads nothing. answered holds the (id, address) pairs it was told.
    """

    control: Stream
    session: bytes
    address: str
    port: int
    old: bool = False
    makes_links: bool = True
    source: str | None = None
    links: asyncio.Queue[Stream] = field(default_factory=asyncio.Queue)
    answered: list[tuple[bytes, bytes]] = field(default_factory=list)
    asked: list[bytes] = field(default_factory=list)
    pings: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    running: asyncio.Event = field(default_factory=asyncio.Event)
    _pending: dict[bytes, Stream] = field(default_factory=dict)
    _task: asyncio.Task[None] | None = None

    @classmethod
    async def host(
        cls, address: str, port: int, *, old: bool = False, makes_links: bool = True, source: str | None = None
    ) -> FakeHost:
        """Ask the relay for a session and begin to answer it."""
        control = await Stream.open(address, port, source)
        await control.send(wire.HOST_HELLO)
        reply = await control.read(16)
        assert reply[:4] == b"RATS", f"the relay answered {reply!r}"
        assert reply[4:] != wire.ZERO
        host = cls(control, reply[4:], address, port, old, makes_links, source)
        host.running.set()
        host._task = asyncio.create_task(host._run())
        return host

    @property
    def text(self) -> str:
        """Return the 16 characters a friend types."""
        return base64.b64encode(self.session).decode()

    @property
    def free_slots(self) -> int:
        """Return how many more clients it could link."""
        return SLOTS - len(self._pending)

    def pause(self) -> None:
        """Stop reading the control connection, as a paused game does."""
        self.running.clear()

    def resume(self) -> None:
        """Read on."""
        self.running.set()

    async def link(self) -> Stream:
        """Return the next link."""
        return await asyncio.wait_for(self.links.get(), BOUND)

    async def leave(self) -> None:
        """End netplay: close the control connection."""
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        for pending in self._pending.values():
            await pending.close()
        await self.control.close()

    async def _run(self) -> None:
        try:
            while True:
                magic = await self.control.reader.readexactly(4)
                await self.running.wait()
                if magic == b"RATP":
                    self.pings += 1
                    await self.control.send(wire.PING)
                elif magic == b"RATL":
                    await self._asked_to_link(await self.control.read(12))
                elif magic == b"RATA" and not self.old:
                    await self._told(await self.control.read(12), await self.control.read(16))
                else:
                    break
        except (asyncio.IncompleteReadError, OSError):
            pass
        self.ended.set()

    async def _asked_to_link(self, client: bytes) -> None:
        self.asked.append(client)
        if not self.makes_links or not self.free_slots:
            return
        stream = await Stream.open(self.address, self.port, self.source)
        if self.old:
            await self._make(client, stream)
            return
        self._pending[client] = stream
        await self.control.send(wire.address_query(client))

    async def _told(self, client: bytes, address: bytes) -> None:
        self.answered.append((client, address))
        if stream := self._pending.pop(client, None):
            await self._make(client, stream)

    async def _make(self, client: bytes, stream: Stream) -> None:
        with contextlib.suppress(ConnectionError):
            await stream.send(wire.link(client))
        self.links.put_nowait(stream)


@contextlib.asynccontextmanager
async def playing(
    address: str, port: int, session: str | bytes | None = None
) -> AsyncIterator[tuple[FakeHost, Stream, FakeClient]]:
    """Give a host, its link, and a client whose header has arrived; close them at the end."""
    host = await FakeHost.host(address, port)
    client = await FakeClient.join(address, port, host.session if session is None else session)
    link = await host.link()
    assert await link.read(24) == wire.header()
    try:
        yield host, link, client
    finally:
        await client.close()
        await link.close()
        await host.leave()
