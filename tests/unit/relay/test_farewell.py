"""Closing: the last words arrive, and nobody lingers beyond the bound."""

from __future__ import annotations

import asyncio
import socket

from relay.net.lingering_close import LingeringClose

BOUND = 60.0
# What a test that waits for it would fail at.
LONG = 10 * BOUND


async def connected() -> tuple[socket.socket, socket.socket]:
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        outer = socket.create_connection(listener.getsockname())
        inner, _ = listener.accept()
    for sock in (outer, inner):
        sock.setblocking(False)
    assert loop
    return outer, inner


async def read_all(sock: socket.socket) -> bytes:
    loop, data = asyncio.get_running_loop(), b""
    while chunk := await asyncio.wait_for(loop.sock_recv(sock, 65536), BOUND):
        data += chunk
    return data


async def gone(farewells: LingeringClose) -> None:
    async with asyncio.timeout(BOUND):
        while len(farewells):  # noqa: ASYNC110 - nobody sets an event when a farewell ends
            await asyncio.sleep(0.002)


async def test_the_reason_arrives_although_bytes_of_the_peer_were_never_read() -> None:
    farewells = LingeringClose(asyncio.get_running_loop(), seconds=LONG, most=9)
    outer, inner = await connected()
    outer.send(b"x" * 50_000)
    farewells.say(inner, b"FULL")
    assert await read_all(outer) == b"FULL"
    outer.close()
    await gone(farewells)


async def test_much_that_is_left_is_sent_to_a_slow_reader() -> None:
    farewells = LingeringClose(asyncio.get_running_loop(), seconds=LONG, most=9)
    outer, inner = await connected()
    farewells.say(inner, bytes(8_000_000))
    assert len(await read_all(outer)) == 8_000_000
    assert farewells.capture() == [(inner.fileno(), "")], "nothing of it would be said again by another program"
    outer.close()
    await gone(farewells)


async def test_a_peer_that_never_closes_is_left_after_the_bound() -> None:
    farewells = LingeringClose(asyncio.get_running_loop(), seconds=0.01, most=9)
    outer, inner = await connected()
    farewells.say(inner, bytes(8_000_000))
    await gone(farewells)
    assert inner.fileno() == -1
    outer.close()


async def test_a_peer_that_is_gone_already_is_no_trouble() -> None:
    farewells = LingeringClose(asyncio.get_running_loop(), seconds=2, most=9)
    outer, inner = await connected()
    outer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    outer.close()
    farewells.say(inner, b"FULL")
    await gone(farewells)


async def test_no_more_farewells_at_once_than_the_bound() -> None:
    farewells = LingeringClose(asyncio.get_running_loop(), seconds=2, most=1)
    first, second = await connected(), await connected()
    farewells.say(first[1])
    farewells.say(second[1])
    assert second[1].fileno() == -1
    assert len(farewells) == 1
    farewells.close()
    assert first[1].fileno() == -1
    first[0].close()
    second[0].close()


async def test_the_end_of_a_farewell_is_told() -> None:
    ended = asyncio.Event()
    farewells = LingeringClose(asyncio.get_running_loop(), seconds=2, most=9, over=ended.set)
    outer, inner = await connected()
    farewells.say(inner, b"FULL")
    outer.close()
    await asyncio.wait_for(ended.wait(), BOUND)
    assert len(farewells) == 0
