"""Following the relay's state: the lines, their bounds, and a relay that goes away and comes back."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from relay.config import Config
from relay.monitoring import follow, status
from relay.monitoring.subscribers import MOST, Subscribers
from relay.net.control_socket import ControlSocket
from relay.netplay.releases import implementation
from tests.support import wire
from tests.support.fakes import FakeClient, FakeHost, playing
from tests.support.relays import Relay, running

BOUND = 60.0


@asynccontextmanager
async def followed(relay: Relay, path: Path) -> AsyncIterator[Subscribers]:
    """Let a relay be followed at a control socket."""
    config = Config()
    followers = Subscribers(lambda known: status.of(relay.server, config, known))
    control = ControlSocket(path, {"follow": followers.add})
    control.open()
    try:
        yield followers
    finally:
        control.close()
        followers.close()


async def following_at(path: Path, **request: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_unix_connection(str(path), limit=2**24)
    writer.write(json.dumps({"do": "follow", "every": 0.2, **request}).encode() + b"\n")
    return reader, writer


async def next_line(reader: asyncio.StreamReader) -> dict[str, Any]:
    return dict(json.loads(await asyncio.wait_for(reader.readline(), BOUND)))


async def endings(reader: asyncio.StreamReader, count: int = 1) -> dict[str, dict[str, Any]]:
    """Read on until so many endings were told; return them by their kind."""
    told: list[dict[str, Any]] = []
    async with asyncio.timeout(BOUND):
        while len(told) < count:
            told += (await next_line(reader))["ended"]
    assert len(told) == count
    return {entry["kind"]: entry for entry in told}


async def test_a_follower_sees_a_game_come_and_go_and_each_ending_once(tmp_path: Path) -> None:
    async with running() as relay, followed(relay, tmp_path / "s"):
        reader, writer = await following_at(tmp_path / "s")
        assert (await next_line(reader))["sessions"] == []
        async with playing(relay.address, relay.port) as (host, link, client):
            await client.send(b"x" * 1000)
            await link.read(1000)
            while not (sessions := (await next_line(reader))["sessions"]) or not sessions[0]["clients"]:
                pass
            assert sessions[0]["id"] == host.text
        told = await endings(reader, 2)
        ended = told["client"]
        assert (ended["session"], ended["outcome"]) == (host.text, "left")
        assert ended["bytes_from_client"] == 1000 + len(wire.header())
        assert ended["to_client"]["rtt"] > 0
        assert ended["to_host"]["retransmits"] == 0
        assert (told["session"]["outcome"], told["session"]["joins"]) == ("host-left", 1)
        assert (await next_line(reader))["ended"] == []
        writer.close()


async def test_a_friend_who_does_not_get_in_is_told_of_with_the_reason(tmp_path: Path) -> None:
    async with running() as relay, followed(relay, tmp_path / "s"):
        reader, writer = await following_at(tmp_path / "s")
        client = await FakeClient.join(relay.address, relay.port, b"nobody here!")
        assert (await endings(reader))["refused"]["outcome"] == "no-session"
        await client.close()
        writer.close()


async def test_the_proof_of_a_host_that_left_is_a_session_and_no_refusal(tmp_path: Path) -> None:
    async with running() as relay:
        host = await FakeHost.host(relay.address, relay.port)
        await host.leave()
        await relay.until(lambda: relay.server.endings.count, "the end of the session")
        assert [entry["kind"] for entry in relay.server.endings.since(0)] == ["session"]


async def test_no_more_may_follow_than_the_limit_says(tmp_path: Path) -> None:
    async with running() as relay, followed(relay, tmp_path / "s") as followers:
        writers = []
        for _ in range(MOST):
            reader, writer = await following_at(tmp_path / "s")
            await next_line(reader)
            writers.append(writer)
        reader, extra = await following_at(tmp_path / "s")
        assert "no more may" in (await next_line(reader))["error"]
        extra.close()
        writers[0].close()
        await relay.until(lambda: len(followers) < MOST, "the one that left to be noticed")
        for writer in writers:
            writer.close()


@pytest.mark.parametrize("every", ["soon", None, True, [1]])
async def test_a_pause_that_is_no_number_is_refused(tmp_path: Path, every: object) -> None:
    async with running() as relay, followed(relay, tmp_path / "s"):
        reader, writer = await following_at(tmp_path / "s", every=every)
        assert "every is a number" in (await next_line(reader))["error"]
        writer.close()


async def test_a_follower_that_does_not_read_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.net.control_socket.SECONDS", 0.2)
    async with running() as relay:
        state = {"ended": [], "much": "x" * 4_000_000}
        followers = Subscribers(lambda _: state)
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        assert await followers.add(ours, {}) is None
        await relay.until(lambda: not len(followers), "the slow follower to be dropped")
        theirs.close()


def take(lines: Iterator[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    return [next(lines) for _ in range(count)]


async def test_a_relay_that_goes_away_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "RETRY", 0.05)
    path = tmp_path / "s"
    lines = follow.lines(path, 0.2, lambda: {"present": True})
    assert "there is no socket" in (await asyncio.to_thread(take, lines, 1))[0]["problem"]
    assert (await asyncio.to_thread(take, lines, 1))[0] == {"gate": {"present": True}}
    async with running() as relay:
        async with followed(relay, path):
            line: dict[str, Any] = {}
            while not line.get("relay"):
                (line,) = await asyncio.to_thread(take, lines, 1)
            assert line["relay"]["sessions"] == []
        line = {}
        while not line.get("problem"):
            (line,) = await asyncio.to_thread(take, lines, 1)
    assert line["relay"] is None


async def test_a_relay_older_than_following_is_asked_again_and_again(tmp_path: Path) -> None:
    async def old(_sock: socket.socket, _request: dict[str, Any]) -> dict[str, Any]:
        return {"sessions": [], "program": "old"}

    control = ControlSocket(tmp_path / "s", {"status": old})
    control.open()
    lines = follow.lines(tmp_path / "s", 0.05)
    for line in await asyncio.to_thread(take, lines, 3):
        assert line["relay"]["program"] == "old"
    control.close()


async def test_a_gate_that_cannot_be_asked_says_why(tmp_path: Path) -> None:
    def broken() -> dict[str, Any]:
        raise ValueError("relay.toml:1: no")

    lines = follow.lines(tmp_path / "s", 0.2, broken)
    assert (await asyncio.to_thread(take, lines, 2))[1] == {"gate": None, "problem": "relay.toml:1: no"}


async def test_joins_are_counted_by_the_release_they_came_with(tmp_path: Path) -> None:
    async with running() as relay:
        for release, speaks in (("1.9.0", 5), ("1.9.0", 5), ("1.22.2", 7)):
            head = wire.header()[:20] + implementation(release, speaks).to_bytes(4, "big")
            client = await FakeClient.open(relay.address, relay.port)
            await client.send(wire.join(b"nobody here!", head))
            await client.rest()
            await client.close()
        strange = await FakeClient.open(relay.address, relay.port)
        await strange.send(wire.join(b"nobody here!", wire.header()[:20] + b"\xff\xff\xff\xff"))
        await strange.rest()
        await strange.close()
        clients = status.of(relay.server, Config())["clients"]
        (old,) = (count for name, count in clients.items() if "1.9.0" in name)
        assert (old, clients["unknown"]) == (2, 1)
        assert sum(clients.values()) == 4
