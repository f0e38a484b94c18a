"""LAN discovery on real sockets; what an answer holds is tested with relay.protocol.lan."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Any

import pytest

from relay.net.lan_discovery import EVERY, LanDiscovery
from relay.protocol import lan
from tests.support import wire
from tests.support.fakes import playing
from tests.support.relays import running

ROOM = lan.Room("anna", 55435)
STRANGER = "192.168.1.66"


class Asked:
    """Stands for a UDP socket that has been asked: a loopback address is none that RetroArch lists."""

    def __init__(self, *queries: tuple[bytes, str]) -> None:
        self.queries = [(query, (address, 40000)) for query, address in queries]
        self.sent: list[tuple[bytes, tuple[str, int]]] = []
        self.origins: list[str] = []

    def recvfrom(self, _size: int) -> tuple[bytes, tuple[str, int]]:
        if not self.queries:
            raise BlockingIOError
        return self.queries.pop(0)

    def sendmsg(self, parts: list[bytes], ancillary: list[Any], _flags: int, peer: tuple[str, int]) -> None:
        self.sent.append((b"".join(parts), peer))
        self.origins += [str(ipaddress.IPv4Address(data[4:8])) for _, _, data in ancillary]

    def getsockname(self) -> tuple[str, int]:
        return ("192.168.1.2", 55435)


async def asked(
    *queries: tuple[bytes, str], rooms: tuple[lan.Room, ...] = (ROOM,), bound: tuple[str, ...] = (EVERY,)
) -> Asked:
    sock: Any = Asked(*queries)
    LanDiscovery([], lambda: list(rooms), lambda address: str(address) != STRANGER, lambda: 0.0, bound)._readable(sock)
    return sock  # type: ignore[no-any-return]


async def answered(
    *queries: tuple[bytes, str], rooms: tuple[lan.Room, ...] = (ROOM,)
) -> list[tuple[bytes, tuple[str, int]]]:
    return (await asked(*queries, rooms=rooms)).sent


async def test_somebody_of_the_house_is_answered() -> None:
    ((data, peer),) = await answered((b"RANQ", "192.168.1.7"))
    assert (len(data), data[:4], peer) == (688, b"RANS", ("192.168.1.7", 40000))


@pytest.mark.parametrize(
    ("asker", "bound", "origins"),
    [
        ("192.168.1.7", (EVERY, "::"), []),
        ("192.168.1.7", ("192.168.1.2", "10.8.0.1", "::1"), ["192.168.1.2"]),
        ("10.8.0.7", ("192.168.1.2", "10.8.0.1", "::1"), ["10.8.0.1"]),
        ("10.9.0.7", ("192.168.1.2", "203.0.113.1"), ["192.168.1.2"]),
    ],
)
async def test_an_answer_comes_from_where_the_relay_listens(
    asker: str, bound: tuple[str, ...], origins: list[str]
) -> None:
    sock = await asked((b"RANQ", asker), bound=bound)
    assert (len(sock.sent), sock.origins) == (1, origins)


@pytest.mark.parametrize("bound", [("203.0.113.1",), ("127.0.0.1",), ("::",), ()])
async def test_where_retroarch_could_not_list_the_relay_nobody_is_answered(bound: tuple[str, ...]) -> None:
    assert (await asked((b"RANQ", "192.168.1.7"), bound=bound)).sent == []


@pytest.mark.parametrize(
    ("query", "address"),
    [
        (b"RANQ", "203.0.113.7"),
        (b"RANQ", STRANGER),
        (b"RANQ", "127.0.0.1"),
        (b"RANQx", "192.168.1.7"),
        (b"hello", "192.168.1.7"),
    ],
)
async def test_nobody_else_is(query: bytes, address: str) -> None:
    assert await answered((query, address)) == []


async def test_where_nobody_hosts_there_is_nothing_to_say() -> None:
    assert await answered((b"RANQ", "192.168.1.7"), rooms=()) == []


async def test_every_room_has_a_line_of_its_own() -> None:
    rooms = (ROOM, lan.Room("ben", 55440))
    sent = await answered((b"RANQ", "192.168.1.7"), rooms=rooms)
    assert [int.from_bytes(data[8:12], "big") for data, _ in sent] == [55435, 55440]


async def test_a_flood_gets_few_answers() -> None:
    assert len(await answered(*[(b"RANQ", "192.168.1.7")] * 30)) <= 4


async def test_the_socket_is_read_and_closed() -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    seen = asyncio.Event()

    def rooms() -> list[lan.Room]:
        raise AssertionError("a loopback address is not answered")

    discovery = LanDiscovery([sock], rooms, lambda _: True, lambda: 0.0)
    original, discovery._answer = discovery._answer, lambda *given: (original(*given), seen.set())  # type: ignore[assignment,method-assign,func-returns-value]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.sendto(b"RANQ", sock.getsockname())
        await asyncio.wait_for(seen.wait(), 10)
    discovery.close()
    assert sock.fileno() == -1


async def test_what_is_said_comes_from_the_running_session() -> None:
    async with running() as relay:
        assert relay.server.lan_rooms() == []
        async with playing(relay.address, relay.port) as (_host, link, client):
            nick = b"\0\0\0\x20\0\0\0\x20" + b"ben".ljust(32, b"\0")
            await link.send(wire.header(word3=0) + nick)
            await client.read(64)
            (room,) = relay.server.lan_rooms()
            assert (room.name, room.port) == ("ben", relay.port)
            answer = lan.answer(b"RANQ", ipaddress.ip_address("10.0.0.2"), room)
            assert answer is not None
            assert b"ben\0" in answer
