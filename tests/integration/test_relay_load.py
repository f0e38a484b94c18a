"""The relay as a program under what a hostile network does: its memory stays bounded, a running game is unharmed."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from relay import control_client
from tests.support import wire

ROOT = Path(__file__).parents[2]
BOUND = 60.0
CROWD = 5000
# Python's own growth by a thousand half-open connections; a leak for each of the crowd would be far more.
MOST_GROWTH = 16 * 1024 * 1024
# So many of the crowd come at once, and then a message of the game, which has to go by them.
BATCH = 10
# What a message takes while the crowd comes is measured against what it takes before, and by what a game stands
# (seconds): far more than it should be, for the machine may be busy with other things.
MANY_TIMES = 50
A_STALL = 1.0
A_FRAME = 1 / 60


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int, Path]]:
    command = [sys.executable, "-m", "relay", "serve", "--bind", "127.0.0.1", "--port", "0"]
    environ = {**os.environ, "RUNTIME_DIRECTORY": str(tmp_path)}
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, env=environ)
    assert process.stderr
    try:
        match = re.search(r"listening on \[127.0.0.1\]:(\d+)", process.stderr.readline())
        assert match
        yield process, int(match.group(1)), tmp_path / "control.sock"
    finally:
        process.kill()
        process.wait(BOUND)
        process.stderr.close()


def memory(process: subprocess.Popen[str]) -> int:
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def when_seen(control_socket: Path, count: int) -> dict[str, Any]:
    """Return the relay's state once it has seen so many connections besides those of the game."""
    end = time.monotonic() + BOUND
    while True:
        state = control_client.ask(control_socket, "status", BOUND)
        if sum(state["outcomes"].values()) + state["connections"]["now"] >= count + 3:
            return state
        assert time.monotonic() < end, f"the relay saw too few connections: {state['outcomes']}"


def exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        chunk = sock.recv(count - len(data))
        assert chunk, "the game was cut off"
        data += chunk
    return data


@contextlib.contextmanager
def game(port: int) -> Iterator[tuple[socket.socket, socket.socket]]:
    def connect(data: bytes) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", port), BOUND)
        sock.sendall(data)
        return sock

    with connect(wire.HOST_HELLO) as host:
        session = exactly(host, 16)[4:]
        with connect(wire.join(session)) as client, connect(wire.link(exactly(host, 16)[4:])) as link:
            exactly(link, 24)
            yield link, client


def echoes(link: socket.socket, client: socket.socket) -> Iterator[float]:
    """Play on for as long as it is wanted: yield how many seconds each message takes from the client to the host."""
    for number in itertools.count():
        message = b"input %08d" % number
        began = time.perf_counter()
        client.sendall(message)
        assert exactly(link, len(message)) == message
        yield time.perf_counter() - began


def test_five_thousand_idle_and_half_spoken_connections_do_no_harm(
    relay: tuple[subprocess.Popen[str], int, Path],
) -> None:
    process, port, control_socket = relay
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    crowd: list[socket.socket] = []
    try:
        with game(port) as (link, client):
            before = memory(process)
            played = echoes(link, client)
            usual = list(itertools.islice(played, CROWD // BATCH))
            taken: list[float] = []
            for number in range(CROWD):
                source = f"127.0.{1 + number % 200}.{1 + number % 250}"
                crowd.append(socket.create_connection(("127.0.0.1", port), BOUND, (source, 0)))
                with contextlib.suppress(OSError):
                    crowd[-1].send(wire.header()[: number % 23])
                if number % BATCH == BATCH - 1:
                    taken.append(next(played))
            state = when_seen(control_socket, CROWD)
            assert state["connections"]["now"] <= 128 + 3, "no more half-open ones than the limit, and the game"
            assert memory(process) - before < MOST_GROWTH
            taken.append(next(played))
            assert max(taken) < max(A_STALL, MANY_TIMES * max(usual)), "nothing stalls the game"
            assert median(taken) < max(A_FRAME, MANY_TIMES * median(usual)), "nor is it slow for long"
    finally:
        for sock in crowd:
            sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_client_that_reads_nothing_is_dropped_alone_with_bounded_memory(
    relay: tuple[subprocess.Popen[str], int, Path],
) -> None:
    process, port, control_socket = relay
    with game(port) as (link, _client):
        before = memory(process)
        with contextlib.suppress(ConnectionError):
            for _ in range(64):
                link.sendall(bytes(1024 * 1024))
        # What may wait for a slow client is 8 MiB; besides it there is the kernel's.
        assert memory(process) - before < 8 * 1024 * 1024 + MOST_GROWTH
    outcomes = control_client.ask(control_socket, "status", BOUND)["outcomes"]
    assert outcomes["overrun"] == 1
