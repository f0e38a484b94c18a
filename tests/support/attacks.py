"""python -m tests.support.attacks KIND RELAY PORT ROOM SECONDS [SOURCE]: what one friend's machine can send at a relay.

ROOM is the port of a room for games without a host, SOURCE the address to connect from. It sends for so many seconds,
ends all of its connections, and prints how many it made.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import socket
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator

from tests.support import netplay, wire

MIB = 1024 * 1024
STATE = 64 * MIB
READERS = 6
# How long one connection is given for anything it waits for.
STEP = 2.0
COMMANDS = (
    (netplay.pause("m") + netplay.RESUME) * 200
    + netplay.command(0x46, netplay.words(0)) * 400
    + (netplay.command(0x24) + netplay.play()) * 200
    + netplay.REQUEST_SAVESTATE * 400
    + netplay.CHECKSUM * 400
    + netplay.command(0x55) * 400
)
SMALL = netplay.command(0x42, netplay.words(0, 5000) + zlib.compress(bytes(5000))) * 50


class Attacker:
    """One friend's machine. Refusals and ends of connections are what it expects."""

    def __init__(self, relay: str, port: int, room: int, seconds: float, source: str) -> None:
        """Attack for so many seconds from now."""
        self.relay, self.port, self.room, self.source = relay, port, room, source
        self.end = time.monotonic() + seconds
        self.made = itertools.count()

    def goes_on(self) -> bool:
        """Tell whether there is time left."""
        return time.monotonic() < self.end

    @contextlib.contextmanager
    def connected(self, port: int, hello: bytes, small: bool = False) -> Iterator[socket.socket]:
        """Give a connection that has said hello; small: with a receive buffer that is soon full."""
        family = socket.AF_INET6 if ":" in self.relay else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            if small:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            if self.source:
                sock.bind((self.source, 0))
            sock.settimeout(STEP)
            sock.connect((self.relay, port))
            next(self.made)
            sock.sendall(hello)
            yield sock

    def player(self, name: str, compresses: int = 1, *, plays: bool, small: bool = False) -> Iterator[socket.socket]:
        """Give a player of a game without a host."""
        header = b"RANP" + netplay.words(0x00040008, compresses, 6, 5, netplay.RA_1_14)
        hello = header + netplay.nick(name) + netplay.info() * 2 + (netplay.play() if plays else b"")
        return self.connected(self.room, hello, small)  # type: ignore[return-value]

    def pour(self, sock: socket.socket, data: bytes) -> None:
        """Send as much as is taken."""
        view = memoryview(data)
        while view and self.goes_on():
            view = view[sock.send(view[:MIB]) :]

    # The attacks. Each is called again as long as there is time.

    def unread(self) -> None:
        """Host for clients of one's own who read nothing."""
        with contextlib.ExitStack() as stack:
            host = stack.enter_context(self.connected(self.port, wire.HOST_HELLO))
            session = exactly(host, 16)[4:]
            links = []
            for _ in range(READERS):
                stack.enter_context(self.connected(self.port, wire.join(session), small=True))
                links.append(stack.enter_context(self.connected(self.port, wire.link(exactly(host, 16)[4:]))))
            for link in links:
                link.settimeout(0.1)
                with contextlib.suppress(TimeoutError):
                    self.pour(link, bytes(24 * MIB))

    def _state(self, compresses: int, part: float = 1.0) -> None:
        data = loaded(bool(compresses))
        with contextlib.ExitStack() as stack:
            master = stack.enter_context(self.player("m", compresses, plays=True))
            for number in range(READERS):
                stack.enter_context(self.player(f"s{number}", 0, plays=False, small=True))
            self.pour(master, data[: int(len(data) * part)])
            master.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                while self.goes_on():
                    if not master.recv(MIB):
                        return

    def states(self) -> None:
        """Load a savestate of 64 MiB where nobody reads."""
        self._state(0)

    def bombs(self) -> None:
        """Load 65 kB that become 64 MiB for each of those who read nothing."""
        self._state(1)

    def halves(self) -> None:
        """Begin to send a savestate, and go."""
        self._state(0, 0.5)

    def commands(self) -> None:
        """Send commands as fast as they are taken, reading what comes."""
        with self.player("m", plays=True) as sock:
            sock.settimeout(0.1)
            while self.goes_on():
                with contextlib.suppress(TimeoutError):
                    self.pour(sock, COMMANDS + SMALL)
                with contextlib.suppress(TimeoutError):
                    if not sock.recv(MIB):
                        return

    def crowds(self) -> None:
        """Connect, say a part of something, and go; without a pause."""
        for hello in (wire.HOST_HELLO, wire.header(), wire.header()[:9], wire.join(bytes(12)), b""):
            with contextlib.suppress(OSError), self.connected(self.port, hello):
                pass

    def noise(self) -> None:
        """Send what means nothing, and what begins well."""
        for begin in (b"", b"RATS", wire.header(), wire.header() + netplay.nick("n")):
            with contextlib.suppress(OSError), self.connected(self.room, begin) as sock:
                self.pour(sock, os.urandom(MIB))


KINDS = ("unread", "states", "bombs", "halves", "commands", "crowds", "noise")


@functools.cache
def loaded(packed: bool) -> bytes:
    """Return a savestate of 64 MiB on its way, with the frame behind it."""
    body = zlib.compress(bytes(STATE), 9) if packed else bytes(STATE)
    return netplay.command(0x42, netplay.words(0, STATE) + body) + netplay.game_input(0, 1, 0, 0, 0)


def exactly(sock: socket.socket, count: int) -> bytes:
    """Read so many bytes. Raises OSError at an end before that."""
    data = b""
    while len(data) < count:
        chunk = sock.recv(count - len(data))
        if not chunk:
            raise OSError("cut off")
        data += chunk
    return data


def over_and_over(attack: Callable[[], None], attacker: Attacker) -> None:
    """Do it again until the time is over."""
    while attacker.goes_on():
        try:
            attack()
        except OSError:
            time.sleep(0.01)  # refused: its address has as much as it may have


def main() -> None:
    """Attack."""
    kind, relay, port, room, seconds, *source = sys.argv[1:]
    attacker = Attacker(relay, int(port), int(room), float(seconds), *(source or [""]))
    kinds = KINDS if kind == "all" else [kind]
    threads = [threading.Thread(target=over_and_over, args=(getattr(attacker, each), attacker)) for each in kinds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.stdout.write(f"{next(attacker.made)}\n")


if __name__ == "__main__":
    main()
