"""The proof: it passes with a relay that works, it fails with one that does not, and it disturbs no game."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from relay.config import Config, Coreless
from relay.limits import Limits
from relay.protocol import tunnel
from relay.switchboard.rooms import Mode
from tests.support.fakes import playing
from tests.support.relays import running
from toolkit.console import ROOT
from toolkit.deploy import probe
from toolkit.errors import PROOF_FAILED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOOPBACK = "127.0.0.1"


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_a_friend_plays_through_a_relay_with_the_id_and_without(address: str) -> None:
    async with running(address=address) as relay:
        finding = await asyncio.to_thread(probe.friend, address, relay.port)
        assert finding.good, finding.sentence
        assert finding.without_id == "works"
        assert tunnel.is_session_text(finding.session)
        assert 0 < finding.round_trip_ms < 1000
        await relay.until(lambda: not relay.server.board.busy, "the probe is gone")


async def test_a_game_that_is_going_on_is_left_alone() -> None:
    async with running() as relay, playing(relay.address, relay.port) as (host, link, client):
        finding = await asyncio.to_thread(probe.friend, relay.address, relay.port)
        assert finding.good, finding.sentence
        assert finding.without_id.startswith("left out")
        assert len(host.asked) == 1
        await client.send(b"still here")
        assert await link.read(10) == b"still here"


async def test_a_relay_for_games_without_a_host_is_proven_by_what_it_is_for() -> None:
    async with running(Config(coreless=Coreless(Mode.CORELESS))) as relay:
        finding = await asyncio.to_thread(probe.friend, relay.address, relay.port)
        assert finding.good, finding.sentence
        assert finding.sentence.startswith("games without a host answer")
        assert finding.without_id == "works"
        await relay.until(lambda: not relay.server.board.busy, "the probe is gone")


async def test_a_relay_that_lets_nobody_host_is_still_a_failure_where_hosts_are_expected() -> None:
    config = Config(coreless=Coreless(Mode.TUNNEL), limits=dataclasses.replace(Limits(), sessions=1))
    async with running(config) as relay, playing(relay.address, relay.port):
        finding = await asyncio.to_thread(probe.friend, relay.address, relay.port)
        assert not finding.good
        assert "gave us no session" in finding.sentence


async def test_a_stranger_that_connects_is_a_failure() -> None:
    async with running() as relay:
        finding = await asyncio.to_thread(probe.stranger, relay.address, relay.port)
        assert not finding.good


def test_a_stranger_that_is_turned_away_is_as_it_should_be() -> None:
    with socket.socket() as closed:
        closed.bind((LOOPBACK, 0))
        finding = probe.stranger(LOOPBACK, closed.getsockname()[1])
        assert finding.good
        assert "turned away" in finding.sentence


@contextmanager
def impostor(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    """Run something that is no working relay; yield its port."""
    with socket.create_server((LOOPBACK, 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                behave(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)
        assert not thread.is_alive()


def answer(data: bytes) -> Callable[[socket.socket], None]:
    def behave(connection: socket.socket) -> None:
        connection.recv(1024)
        connection.sendall(data)
        with suppress(OSError):  # the probe leaves without reading all of it
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1024):
                pass

    return behave


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "gave us no session"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not a netplay relay"),
        (tunnel.session_message(tunnel.NO_ID), "not a netplay relay"),
    ],
)
def test_something_else_on_the_port_is_told_from_a_relay(data: bytes, sentence: str) -> None:
    with impostor(answer(data)) as port:
        finding = probe.friend(LOOPBACK, port)
    assert not finding.good
    assert sentence in finding.sentence


async def test_a_relay_that_changes_one_bit_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    read = probe.read

    def flipped(peer: socket.socket, size: int, otherwise: str) -> bytes:
        data = read(peer, size, otherwise)
        return bytes([data[0] ^ 1]) + data[1:] if size == probe.CHUNK else data

    monkeypatch.setattr(probe, "read", flipped)
    async with running() as relay:
        finding = await asyncio.to_thread(probe.friend, relay.address, relay.port)
        assert not finding.good
        assert "changed bytes" in finding.sentence


def test_nobody_there_is_a_finding_and_no_traceback() -> None:
    with socket.socket() as closed:
        closed.bind((LOOPBACK, 0))
        port = closed.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "toolkit.deploy.probe", "friend", LOOPBACK, str(port)],
            capture_output=True, text=True, check=False, timeout=30, cwd=ROOT,
        )  # fmt: skip
    assert done.returncode == PROOF_FAILED
    assert probe.Finding.from_json(done.stdout) == probe.Finding(**json.loads(done.stdout))
    assert "Connection refused" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("words", [[], ["friend"], ["enemy", "a", "1"], ["friend", "a", "x"]])
def test_the_probe_says_how_it_is_called(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert probe.main(words) == 2
    assert "usage" in capsys.readouterr().err


@pytest.mark.parametrize("pings", [0, 1, 3])
def test_a_ping_between_the_answers_is_neither_taken_for_one_nor_answered(pings: int) -> None:
    ours, relays = socket.socketpair()
    with ours, relays:
        ours.settimeout(5)
        relays.sendall(tunnel.PING * pings + tunnel.link_message(b"twelve bytes"))
        assert probe.told(ours, tunnel.MESSAGE_SIZE, "said nothing") == tunnel.link_message(b"twelve bytes")
        relays.setblocking(False)
        with pytest.raises(BlockingIOError):
            relays.recv(1)
