"""The handshake of RetroArch 1.7.1 to 1.9.0 with a newer host: INFO is put into the other's order, both ways.

Nothing else differs between them, but with that they find "different cores". What comes before INFO is short and has
known sizes (docs/protocol.md, Older clients); behind it bytes are forwarded as they are.
"""

from __future__ import annotations

from relay.netplay import info, wire
from relay.protocol import tunnel

# Beyond this a command is none of the handshake's.
MOST_BODY = 4096
PASSWORD = 0x21


class Way:
    """One direction: feed takes what comes and returns what to pass on. done: INFO is over, or will not come."""

    def __init__(self, to_old: bool, held: bytes = b"", header: bool = True, done: bool = False) -> None:
        self.done = done
        self.held = held
        self.header = header
        self._to_old = to_old

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes; what is held back comes with one of the next."""
        self.held += data
        passed = b""
        while not self.done and (piece := self._next()):
            passed += piece
        if self.done:
            passed, self.held = passed + self.held, b""
        return passed

    def _next(self) -> bytes:
        if self.header:
            if len(self.held) < tunnel.HEADER_SIZE:
                return b""
            self.header = False
            return self._take(tunnel.HEADER_SIZE)
        if len(self.held) < wire.HEAD:
            return b""
        number, size = wire.two.unpack_from(self.held)
        if number not in (wire.NICK, PASSWORD, wire.INFO) or size > MOST_BODY:
            self.done = True
            return b""
        if len(self.held) < wire.HEAD + size:
            return b""
        piece = self._take(wire.HEAD + size)
        if number != wire.INFO or size != wire.INFO_SIZE:
            return piece
        self.done = True
        return piece[: wire.HEAD] + info.swapped(piece[wire.HEAD :], self._to_old)

    def _take(self, size: int) -> bytes:
        piece, self.held = self.held[:size], self.held[size:]
        return piece


class LegacyHandshake:
    """Both directions of one link. before keeps what has gone over it, (to the host, bytes), for whoever watches it.

    size counts the bytes that both have sent: whoever feeds it has to end what grows too large, for before only grows.
    """

    def __init__(self) -> None:
        self.to_host = Way(to_old=False)
        self.to_client = Way(to_old=True)
        self.before: list[tuple[bool, bytes]] = []
        self.size = 0

    @property
    def done(self) -> bool:
        """Whether bytes can be forwarded as they are from now on."""
        return self.to_host.done and self.to_client.done

    def feed(self, to_host: bool, data: bytes) -> bytes:
        """Take bytes of one end; return what to send to the other."""
        self.size += len(data)
        passed = (self.to_host if to_host else self.to_client).feed(data)
        if passed:
            self.before.append((to_host, passed))
        return passed


def needed(head: bytes) -> bool:
    """Tell from a client's header whether its release orders INFO as no host of a tunnel does."""
    words = [wire.one.unpack_from(head, at)[0] for at in (12, 16, 20)]
    return words[0] == 0 and info.is_old_release(words[2])
