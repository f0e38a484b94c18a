"""Somebody who opens a game without a host and plays it alone: `python -m tests.support.lone_player ADDRESS PORT CORE`.

It says "plays" once it has sent a second of inputs, and goes on until its input ends. Not RetroArch: of its bytes only.
"""

from __future__ import annotations

import select
import socket
import sys
import time

from tests.support import netplay

FRAME = 1 / 60
# Bytes it is sent until it plays.
JOINED = 24 + 40 + 8 + 76 + 192 + 12 + 68


def play(address: str, port: int, core: str) -> None:
    """Play until standard input ends, or the relay hangs up."""
    with socket.create_connection((address, port), timeout=10) as sock:
        sock.sendall(netplay.client_header() + netplay.nick("lone") + netplay.info(core=core) * 2 + netplay.play())
        while sock.recv(1, socket.MSG_PEEK) and len(sock.recv(JOINED, socket.MSG_PEEK)) < JOINED:
            time.sleep(FRAME)
        sock.setblocking(False)
        due = time.monotonic()
        frame = 0
        while True:
            ready, _, _ = select.select([sock, sys.stdin], [], [], max(0.0, due - time.monotonic()))
            if sys.stdin in ready or (sock in ready and not sock.recv(65536)):
                return
            if time.monotonic() >= due:
                sock.send(netplay.game_input(frame, 1, 0, 0, 0))
                frame, due = frame + 1, due + FRAME
                if frame == 60:
                    sys.stdout.write("plays\n")
                    sys.stdout.flush()


if __name__ == "__main__":
    play(sys.argv[1], int(sys.argv[2]), sys.argv[3])
