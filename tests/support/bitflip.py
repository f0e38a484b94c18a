"""A faulty line: forwards TCP, and turns one bit around in one INPUT of what the client says.

It shows that the comparison of two machines can fail. A program of its own (standard library alone), to be started in
the namespace of the client: ``bitflip.py ADDRESS PORT N`` forwards to ADDRESS, PORT and spoils the N-th INPUT, none
where N is 0. It writes ``listening PORT``, later ``flipped N``, and ends when its input ends.
"""

from __future__ import annotations

import socket
import struct
import sys
import threading

HEADER_SIZE, SESSION_SIZE, SESSION_MAGIC = 24, 16, b"RATS"
INPUT = 3
COMMAND = struct.Struct(">II")  # what, size of the payload
# An INPUT's payload: frame, player, then the words of the devices; a joypad's has a bit for each button.
BUTTONS = 8
UP = 1 << 4


class Flipper:
    """Netplay from a client, taken apart just enough to find its INPUTs (docs/protocol.md, Netplay stream)."""

    def __init__(self, spoil: int) -> None:
        """``spoil`` is the number of the INPUT to change, from 1; 0 changes none."""
        self.inputs = 0
        self.flipped = False
        self._spoil = spoil
        self._pending = b""
        self._greeted = False

    def feed(self, data: bytes) -> bytes:
        """Take bytes as they come, return those that are complete commands, one of them perhaps changed."""
        self._pending += data
        done = b""
        while piece := self._next():
            self._pending = self._pending[len(piece) :]
            done += self._spoiled(piece)
        return done

    def _next(self) -> bytes:
        """Return the next whole piece: what comes before the commands, or a command; empty when it is not all here."""
        if not self._greeted:
            size = HEADER_SIZE + (SESSION_SIZE if self._pending.startswith(SESSION_MAGIC) else 0)
            self._greeted = len(self._pending) >= size
            return self._pending[:size] if self._greeted else b""
        if len(self._pending) < COMMAND.size:
            return b""
        size = COMMAND.size + COMMAND.unpack_from(self._pending)[1]
        return self._pending[:size] if len(self._pending) >= size else b""

    def _spoiled(self, piece: bytes) -> bytes:
        if piece[:4] != INPUT.to_bytes(4, "big"):  # the greeting begins with letters, so it is none either
            return piece
        self.inputs += 1
        if self.inputs != self._spoil:
            return piece
        self.flipped = True
        (word,) = struct.unpack_from(">I", piece, COMMAND.size + BUTTONS)
        changed = bytearray(piece)
        struct.pack_into(">I", changed, COMMAND.size + BUTTONS, word ^ UP)
        return bytes(changed)


def say(line: str) -> None:
    """Write one line for the test."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def upstream(client: socket.socket, server: socket.socket, spoil: int) -> None:
    """Carry what the client says, with the fault."""
    flipper = Flipper(spoil)
    reported = False
    while data := client.recv(65536):
        server.sendall(flipper.feed(data))
        if flipper.flipped and not reported:
            say(f"flipped {spoil}")  # more may have come in the same piece
            reported = True
    server.shutdown(socket.SHUT_WR)


def downstream(client: socket.socket, server: socket.socket) -> None:
    """Carry what the server says, as it is."""
    while data := server.recv(65536):
        client.sendall(data)
    client.shutdown(socket.SHUT_WR)


def serve(listener: socket.socket, target: tuple[str, int], spoil: int) -> None:
    """Forward each connection until the program ends."""
    while True:
        client, _ = listener.accept()
        server = socket.create_connection(target, timeout=5)
        for one in (client, server):
            one.settimeout(None)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=upstream, args=(client, server, spoil), daemon=True).start()
        threading.Thread(target=downstream, args=(client, server), daemon=True).start()


def main() -> None:
    """Read the arguments, listen, forward until the input ends."""
    target, spoil = (sys.argv[1], int(sys.argv[2])), int(sys.argv[3])
    listener = socket.create_server(("127.0.0.1", 0))
    say(f"listening {listener.getsockname()[1]}")
    threading.Thread(target=serve, args=(listener, target, spoil), daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
