"""python -m tests.support.other_game RELAY PORT ROOM SECONDS [SOURCE]: the games of people who attack nobody.

One is hosted, one is without a host in the room at port ROOM. Each message goes from one player to another, 60 times a
second. It prints a JSON list for each game: [monotonic time (s) at which the message was sent, what it took (ms)].
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
import zlib

from tests.support import netplay, wire

BOUND = 60.0
FRAME = 1 / 60


def exactly(sock: socket.socket, count: int) -> bytes:
    """Read so many bytes."""
    data = b""
    while len(data) < count:
        chunk = sock.recv(count - len(data))
        if not chunk:
            sys.exit("the other game was cut off")
        data += chunk
    return data


class Games:
    """Two games at one relay, with their players' ends in this process."""

    def __init__(self, relay: str, port: int, room: int, source: str) -> None:
        """Connect, and wait until both games are under way."""
        self._relay, self._source = relay, source
        self.host = self._connect(port, wire.HOST_HELLO)
        session = exactly(self.host, 16)[4:]
        self.client = self._connect(port, wire.join(session))
        self.link = self._connect(port, wire.link(exactly(self.host, 16)[4:]))
        exactly(self.link, 24)
        hello = wire.header() + netplay.nick("p") + netplay.info() * 2
        self.first = self._connect(room, hello + netplay.play())
        self._until(self.first, netplay.words(0x26))
        self.second = self._connect(room, hello)
        # It has to have the game's state first.
        self._until(self.first, netplay.REQUEST_SAVESTATE)
        self.first.sendall(netplay.command(0x42, netplay.words(0, 50) + zlib.compress(bytes(50))))
        self._until(self.second, netplay.words(0x42))
        self._frame = 0

    def _connect(self, port: int, hello: bytes) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._relay else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        if self._source:
            sock.bind((self._source, 0))
        sock.settimeout(BOUND)
        sock.connect((self._relay, port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(hello)
        return sock

    def hosted(self) -> None:
        """Carry one message from the client to the host."""
        message = b"input %08d" % self._frame
        self.client.sendall(message)
        assert exactly(self.link, len(message)) == message

    def coreless(self) -> None:
        """Carry one frame's input from the player to the one who watches."""
        if select.select([self.first], [], [], 0)[0]:
            self.first.recv(1 << 16)
        self.first.sendall(netplay.game_input(self._frame, 1, 0, 0, 0))
        self._until(self.second, netplay.no_input(self._frame))

    @staticmethod
    def _until(sock: socket.socket, wanted: bytes) -> None:
        """Read until something has come."""
        data = b""
        while wanted not in data:
            chunk = sock.recv(1 << 16)
            if not chunk:
                sys.exit("the game without a host was cut off")
            data = data[-len(wanted) :] + chunk

    def play(self, seconds: float) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
        """Play on for so long; return what each message took."""
        taken: tuple[list[tuple[float, float]], list[tuple[float, float]]] = ([], [])
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for message, times in zip((self.hosted, self.coreless), taken, strict=True):
                began = time.monotonic()
                message()
                times.append((began, (time.monotonic() - began) * 1e3))
            self._frame += 1
            time.sleep(max(0.0, times[-1][0] + FRAME - time.monotonic()))
        return taken


def main() -> None:
    """Play, and print what each message took."""
    relay, port, room, seconds, *source = sys.argv[1:]
    games = Games(relay, int(port), int(room), *(source or [""]))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdout.write(json.dumps(games.play(float(seconds))))


if __name__ == "__main__":
    main()
