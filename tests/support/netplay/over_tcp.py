"""A simulated client on a real connection, as a program: `python -m tests.support.netplay.over_tcp HOST PORT KIND`.

It plays at 60 frames a second and takes orders, one in a line: `press`, `rest`, `toggle`, `pause`, `resume`, `reset`,
`report`, `leave`. Every order is answered by one line of JSON, and so is its own end.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import sys
import time
from typing import Any

from tests.support.netplay import kinds
from tests.support.netplay.client import Client
from tests.support.netplay.machine import Machine

FRAME = 1 / 60.0988
RECEIVE = 65536


def buttons(frame: int) -> int:
    """Press each of a console's buttons for some frames, one after the other, so that a shift by a frame shows."""
    bit = (0, 2, 3, 4, 6, 8, 5, 7)[frame // 7 % 8]
    return 1 << bit if frame % 7 < 4 else 0


def report(client: Client) -> dict[str, Any]:
    """Return what a test compares."""
    game = client.game
    timeline = client.timeline
    return {
        "ending": None if client.ending is None else [client.ending.how.name, client.ending.why],
        "playing": client.playing,
        "number": game.number if game else 0,
        "here": game.here if game else 0,
        "settled": timeline.settled,
        "since": timeline.epoch[1],
        "skipped": [hex(number) for number in game.skipped] if game else [],
        "protocol": client.handshake.protocol,
        "heard": [[frame, who, *words] for (frame, who), words in sorted(timeline.heard.items())],
    }


def obey(client: Client, order: str) -> None:
    """Do what a line says, and report."""
    if order in ("press", "rest"):
        client.buttons = buttons if order == "press" else (lambda _: 0)
    elif order != "report":
        assert order in ("toggle", "pause", "resume", "reset", "leave"), order
        getattr(client, order)()
    tell(report(client))


def tell(facts: dict[str, Any]) -> None:
    """Write a line of JSON."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def play(client: Client, connection: socket.socket) -> None:
    """Play until it is over, or nobody gives orders any more."""
    connection.setblocking(False)
    orders = b""
    due = time.monotonic()
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ, "net")
        selector.register(sys.stdin.fileno(), selectors.EVENT_READ, "orders")
        while client.ending is None:
            for key, _ in selector.select(max(0.0, due - time.monotonic())):
                if key.data == "orders":
                    data = sys.stdin.buffer.raw.read(RECEIVE)  # type: ignore[attr-defined]
                    if not data:
                        return
                    *lines, orders = (orders + data).split(b"\n")
                    for line in lines:
                        obey(client, line.decode())
                elif client.running:
                    _receive(client, connection)
                else:
                    time.sleep(FRAME)
            if time.monotonic() >= due:
                due += FRAME
                client.frame(time.monotonic())
                _send(client, connection)


def _receive(client: Client, connection: socket.socket) -> None:
    try:
        data = connection.recv(RECEIVE)
    except BlockingIOError:
        return
    except OSError:
        data = b""
    if data:
        client.feed(data)
    else:
        client.closed()


def _send(client: Client, connection: socket.socket) -> None:
    data = client.output()
    connection.setblocking(True)
    with contextlib.suppress(OSError):
        connection.sendall(data)
    connection.setblocking(False)


def main(host: str, port: str, kind: str) -> None:
    """Join, play and report."""
    client = Client(getattr(kinds, kind), "sim", machine=Machine(None), buttons=buttons)
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        play(client, connection)
    if client.ending is not None:
        tell(report(client))


if __name__ == "__main__":
    main(*sys.argv[1:])
