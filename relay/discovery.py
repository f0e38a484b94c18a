"""LAN discovery on its UDP sockets: says which rooms of the relay somebody on this network could join.

RetroArch asks one port only, 55435, and lists every answer it gets: so there is one socket whatever ports the relay
serves, and a datagram for each room (docs/protocol.md, LAN discovery). The sockets must not be allowed to broadcast.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterable

from relay import lan, protocol
from relay.protocol import Address

ANSWERS_PER_SECOND = 4.0
# Datagrams read in one wake-up, so that a flood of them keeps no game waiting.
BURST = 32
MOST_ROOMS = 8


class Discovery:
    """Answers on sockets, to whom allows knows; rooms tells what is to be joined now."""

    def __init__(
        self,
        socks: Iterable[socket.socket],
        rooms: Callable[[], list[lan.Room]],
        allows: Callable[[Address], bool],
        clock: Callable[[], float],
    ) -> None:
        self.socks = list(socks)
        self._rooms = rooms
        self._allows = allows
        self._clock = clock
        self._throttle = lan.Throttle(ANSWERS_PER_SECOND)
        for sock in self.socks:
            sock.setblocking(False)
            asyncio.get_running_loop().add_reader(sock.fileno(), self._readable, sock)

    def close(self) -> None:
        """Stop answering."""
        for sock in self.socks:
            asyncio.get_running_loop().remove_reader(sock.fileno())
            sock.close()

    def _readable(self, sock: socket.socket) -> None:
        for _ in range(BURST):
            try:
                query, peer = sock.recvfrom(len(lan.QUERY) + 1)
            except OSError:
                return
            self._answer(sock, query, peer)

    def _answer(self, sock: socket.socket, query: bytes, peer: tuple[str, int]) -> None:
        source = protocol.canonical(peer[0])
        if query != lan.QUERY or not lan.is_listed(source) or not self._allows(source):
            return
        if not self._throttle.allows(source, self._clock()):
            return
        for room in self._rooms()[:MOST_ROOMS]:
            if answer := lan.answer(query, source, room):
                with contextlib.suppress(OSError):
                    sock.sendto(answer, peer)
