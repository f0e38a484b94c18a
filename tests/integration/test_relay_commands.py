"""One player who sends commands as fast as the line takes them: how much of the relay's time that costs all others.

Time is CPU time of the relay's process, which what else the machine does can only make smaller.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.test_relay_bounds import A_TURN, Running, send_most
from tests.support import netplay

pytestmark = pytest.mark.lab
SECONDS = 2.0
OTHERS = 14
TICK = os.sysconf("SC_CLK_TCK")
# The part of a CPU that the commands of one player may take.
SHARE = 0.4
PLAY, WATCH = netplay.play(), netplay.command(0x24)
RESET = netplay.command(0x46, netplay.words(0))
COMMANDS = {
    "pauses": (netplay.pause("m") + netplay.RESUME) * 400,
    "plays": (WATCH + PLAY) * 1000,
    "asks for a state": netplay.REQUEST_SAVESTATE * 4000,
    "resets": RESET * 2000,
    "loads": netplay.command(0x42, netplay.words(0, 5000) + bytes(50)) * 400,
    "checksums": netplay.CHECKSUM * 2000,
    "all of them": (netplay.pause("m") + WATCH + PLAY + netplay.RESUME + RESET + netplay.CHECKSUM) * 200,
}


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path)
    try:
        yield running
    finally:
        running.stop()


def cpu_of(pid: int) -> float:
    """Return the seconds of CPU that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def player(relay: Running, name: str, old: bool, play: bool = False) -> socket.socket:
    """Return a RetroArch 1.9.14, to which the relay passes on pauses, or a newer one."""
    if not old:
        return relay.player(name, play=play)
    sock = relay.connect(relay.rooms[0])
    header = b"RANP" + struct.pack(">5I", 0x00040008, 1, 0, 5, 0x529)
    sock.sendall(header + netplay.nick(name) + netplay.info() * 2 + (PLAY if play else b""))
    return sock


@contextlib.contextmanager
def reading(socks: list[socket.socket]) -> Iterator[None]:
    """Read all that comes, in a thread."""
    over, left = threading.Event(), list(socks)

    def read() -> None:
        while not over.is_set():
            for sock in select.select(left, [], [], 0.1)[0]:
                with contextlib.suppress(OSError):
                    if not sock.recv(1 << 20):
                        left.remove(sock)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("kind", COMMANDS)
@pytest.mark.parametrize("old", [True, False], ids=["RetroArch 1.9", "RetroArch 1.14"])
def test_commands_without_end_take_little_of_the_relays_time(relay: Running, kind: str, old: bool) -> None:
    master = player(relay, "m", old, play=True)
    relay.in_step(0, 1)
    others = [player(relay, f"s{number}", old) for number in range(OTHERS)]
    relay.in_step(0, 1 + OTHERS)
    with reading([*others, master]):
        relay.longest_turn()
        began, cpu = time.monotonic(), cpu_of(relay.process.pid)
        while time.monotonic() - began < SECONDS:
            send_most(master, COMMANDS[kind], 0.2)
        took, cpu = time.monotonic() - began, cpu_of(relay.process.pid) - cpu
        turn, ended = relay.longest_turn(), relay.ask("status")["outcomes"]
    assert not ended, "who is dropped at once shows nothing"
    assert turn < A_TURN
    assert cpu < SHARE * took
