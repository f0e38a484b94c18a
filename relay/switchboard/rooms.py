"""Rooms: which id a hosting player gets, and which session a client without an id means. Pure: no sockets, no clock.

RetroArch's host cannot say which room it wants: its request carries nothing (docs/protocol.md, Rooms). What tells
hosts apart is the port they connect to, and for a host that comes back soon, the address it comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from relay.addresses import Address
from relay.protocol import tunnel

# A session must have lasted this long (seconds) for its id to be kept for a host that may come back.
WORTH_KEEPING = 5.0


class Mode(StrEnum):
    """What is played at a port: games that somebody hosts, games without a host, or both."""

    TUNNEL = "tunnel"
    CORELESS = "coreless"
    AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Room:
    """A configured room: its id (12 bytes) and its own port, or None when it lives on the main port.

    mode and devices (of the pads of a core-less room; empty: what the relay gives all) count for a room with a port of
    its own.
    """

    id: bytes
    port: int | None = None
    mode: Mode = Mode.TUNNEL
    devices: tuple[int, ...] = ()


class RoomTable:
    """Who hosts which id now, and which ids are kept for a host that has just left.

    new_id returns 12 random bytes; host_return is how long (seconds) an id is kept for the address that had it. The id
    of a room with a port of its own needs no keeping: whoever comes to that port gets it. mode is the main port's.
    """

    def __init__(
        self, rooms: Iterable[Room], new_id: Callable[[], bytes], host_return: float, mode: Mode = Mode.TUNNEL
    ) -> None:
        self.rooms = tuple(rooms)
        self._mode = mode
        self.hosted: set[bytes] = set()
        self._by_port = {room.port: room for room in self.rooms if room.port is not None}
        self._named = {tunnel.NO_ID, *(room.id for room in self.rooms)}
        self._of_ports = {room.id for room in self._by_port.values()}
        self._new_id = new_id
        self._host_return = host_return
        self._kept: dict[bytes, tuple[Address, float]] = {}
        self._returned: set[bytes] = set()

    def room_of(self, port: int) -> Room | None:
        """Return the room that owns a port, None for the main port."""
        return self._by_port.get(port)

    def mode_of(self, port: int) -> Mode:
        """Return what is played at a port."""
        room = self._by_port.get(port)
        return room.mode if room else self._mode

    def take(self, address: Address, port: int, now: float) -> bytes | None:
        """Give a host at address, connected to port, the id of its session; None when its room is hosted already."""
        if room := self._by_port.get(port):
            if room.id in self.hosted:
                return None
            session = room.id
        elif kept := self._kept_for(address, now):
            session = kept
            self._returned.add(session)
        else:
            session = self._free_room(now) or self._random()
        self._kept.pop(session, None)
        self.hosted.add(session)
        return session

    def give_back(self, session: bytes, address: Address, since: float, now: float, keep: bool = False) -> None:
        """Free an id that was hosted since a time, and keep it a while for the address that had it.

        Who only looked in (the proof of a deploy does) keeps no room from those who play in it, unless the id was kept
        for that host before; keep does it in any case.
        """
        self.hosted.discard(session)
        returned = session in self._returned
        self._returned.discard(session)
        if keep or returned or now - since >= WORTH_KEEPING:
            self.keep(address, session, now + self._host_return)

    def keep(self, address: Address, session: bytes, until: float) -> None:
        """Keep an id for an address until a time."""
        if session not in self._of_ports:
            self._kept[session] = (address, until)

    def kept_ids(self) -> list[tuple[Address, bytes, float]]:
        """Return which ids are kept, for whom, until when."""
        return [(address, session, until) for session, (address, until) in self._kept.items()]

    def forget_old(self, now: float) -> None:
        """Drop what was kept for hosts that did not come back."""
        if self._kept:
            self._kept = {session: kept for session, kept in self._kept.items() if kept[1] > now}

    @property
    def kept(self) -> int:
        """How many ids are kept for hosts that may come back."""
        return len(self._kept)

    def _kept_for(self, address: Address, now: float) -> bytes | None:
        """Return the id an address left last."""
        mine = [(until, session) for session, (whose, until) in self._kept.items() if whose == address and until > now]
        return max(mine)[1] if mine else None

    def _free_room(self, now: float) -> bytes | None:
        free = (room.id for room in self.rooms if room.port is None and room.id not in self.hosted)
        return next((session for session in free if self._kept.get(session, (None, now))[1] <= now), None)

    def _random(self) -> bytes:
        while True:
            session = self._new_id()
            if not (session in self.hosted or session in self._kept or session in self._named):
                return session
