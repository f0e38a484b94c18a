"""Whether a relay carries what a game needs: a savestate's worth of bytes each way, not only a few at a time."""

from __future__ import annotations

import contextlib
import secrets
import socket
import time
from dataclasses import dataclass

from relay.net import sockets
from relay.protocol import tunnel
from toolkit.deploy.probe import HEADER, UnexpectedError, link_for, read

# Bytes each way: a dozen full packets. Seconds they may take: 33 kbit/s are enough.
SIZE = 16384
SECONDS = 4.0
# Segments (bytes) that are tried when full ones do not arrive, largest first: what the relay itself keeps to by
# default, and what smaller and smaller paths take.
SMALLER = (1220, 1000, 536)


@dataclass(frozen=True, slots=True)
class Carried:
    """What became of SIZE bytes each way.

    up: they reached the relay; down: they came back from it. segment: the largest segment (bytes) with which all of
    them arrived, 0 for the kernels' own size, None where not even the smallest did.
    """

    up: bool
    down: bool
    segment: int | None

    @property
    def whole(self) -> bool:
        """Whether all arrived without further ado."""
        return self.segment == 0


def carried(address: str, port: int) -> Carried | None:
    """Play host and client through a relay, and send SIZE bytes each way. None: it gives no session just now.

    Where that does not arrive, it is tried again with smaller segments.
    """
    first = _attempt(address, port, 0)
    if first is None or all(first):
        return Carried(True, True, 0) if first else None
    arrives = (size for size in SMALLER if (found := _attempt(address, port, size)) is not None and all(found))
    return Carried(*first, next(arrives, None))


def _attempt(address: str, port: int, segment: int) -> tuple[bool, bool] | None:
    """Return whether the bytes reached the relay, and whether they came back; None without a session."""
    with contextlib.ExitStack() as stack:

        def connect() -> socket.socket:
            return stack.enter_context(_connected(address, port, segment))

        try:
            control = connect()
            control.sendall(tunnel.session_message(tunnel.NO_ID))
            session = read(control, tunnel.MESSAGE_SIZE, "gave no session")[tunnel.MAGIC_SIZE :]
            client = connect()
            client.sendall(tunnel.session_message(session) + HEADER)
            link = stack.enter_context(link_for(control, address, port, client, connect))
            read(link, len(HEADER), "lost the client's first bytes")
        except (OSError, UnexpectedError):
            return None
        # One after the other: both take the same way up and down.
        up, down = _passes(client, link)
        if not (up and down):
            return up, down
        return _passes(link, client)


def _passes(sender: socket.socket, receiver: socket.socket) -> tuple[bool, bool]:
    deadline = time.monotonic() + SECONDS
    sent, count = secrets.token_bytes(SIZE), 0
    try:
        sender.settimeout(SECONDS)
        sender.sendall(sent)
        while count < SIZE and (left := deadline - time.monotonic()) > 0:
            receiver.settimeout(left)
            if not (piece := receiver.recv(SIZE)):
                break
            count += len(piece)
    except OSError:
        pass
    # The last acknowledgement may still be on its way when all has come.
    return count == SIZE or sockets.acked(sender), count == SIZE


def _connected(address: str, port: int, segment: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        sock.settimeout(SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if segment:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment)
        sock.connect((address, port))
    except OSError:
        sock.close()
        raise
    return sock
