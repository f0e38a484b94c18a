"""LAN discovery on its UDP sockets: says which rooms of the relay somebody on this network could join.

RetroArch asks one port only, 55435, and lists every answer it gets: so there is one socket whatever ports the relay
serves, and a datagram for each room (docs/protocol.md, LAN discovery). It asks by broadcast, which reaches no socket
that is bound to an address, and joins at the address an answer comes from: that one must be the relay's. The sockets
must not be allowed to broadcast.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import struct
from collections.abc import Callable, Iterable

from relay import addresses
from relay.addresses import Address
from relay.protocol import lan

ANSWERS_PER_SECOND = 4.0
# Datagrams read in one wake-up, so that a flood of them keeps no game waiting.
BURST = 32
MOST_ROOMS = 8
EVERY = "0.0.0.0"  # noqa: S104 - a broadcast reaches no other socket
# ip(7): an interface, the address to send from, an address. Python 3.11 has no name for it.
IP_PKTINFO = 8
_PKTINFO = struct.Struct("=i4s4s")


class LanDiscovery:
    """Answers on sockets, to whom allows knows; rooms tells what is to be joined now, at the addresses in bound."""

    def __init__(
        self,
        socks: Iterable[socket.socket],
        rooms: Callable[[], list[lan.Room]],
        allows: Callable[[Address], bool],
        clock: Callable[[], float],
        bound: Iterable[str] = (EVERY,),
    ) -> None:
        self.socks = list(socks)
        self._every, self._places = _places(bound)
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
        source = addresses.canonical(peer[0])
        if query != lan.QUERY or not lan.is_listed(source) or not self._allows(source):
            return
        origin = self._origin(source)
        if origin is None or not self._throttle.allows(source, self._clock()):
            return
        for room in self._rooms()[:MOST_ROOMS]:
            if answer := lan.answer(query, source, room):
                with contextlib.suppress(OSError):
                    sock.sendmsg([answer], origin, 0, peer)

    def _origin(self, source: Address) -> list[tuple[int, int, bytes]] | None:
        """Return what has an answer sent from where the relay is, None where RetroArch would list nothing of it.

        Of several addresses it is the one next to whoever asks.
        """
        if self._every:
            return []
        if not self._places:
            return None
        place = min(self._places, key=lambda address: int(address) ^ int(source))
        return [(socket.IPPROTO_IP, IP_PKTINFO, _PKTINFO.pack(0, place.packed, bytes(4)))]


def can_be_listed(bound: Iterable[str]) -> bool:
    """Tell whether RetroArch lists a relay that listens on these addresses: by a private one of IPv4."""
    every, places = _places(bound)
    return every or bool(places)


def _places(bound: Iterable[str]) -> tuple[bool, list[ipaddress.IPv4Address]]:
    bound = set(bound)
    addresses = [ipaddress.IPv4Address(address) for address in sorted(bound - {EVERY}) if ":" not in address]
    return EVERY in bound, [address for address in addresses if lan.is_listed(address)]
