"""Rooms: which id a hosting player gets, and which session a client without an id means. Pure: no sockets, no clock.

RetroArch's host cannot say which room it wants: its request carries nothing (docs/protocol.md, Rooms). What tells
hosts apart is the port they connect to, and for a host that comes back soon, the address it comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from relay import protocol
from relay.protocol import Address

# A session must have lasted this long (seconds) for its id to be kept for a host that may come back.
WORTH_KEEPING = 5.0


@dataclass(frozen=True, slots=True)
class Room:
    """A configured room: its id (12 bytes) and its own port, or None when it lives on the main port."""

    id: bytes
    port: int | None = None


class RoomTable:
    """Who hosts which id now, and which ids are kept for a host that has just left.

    new_id returns 12 random bytes; host_return is how long (seconds) an id is kept for the address that had it.
    """

    def __init__(self, rooms: Iterable[Room], new_id: Callable[[], bytes], host_return: float) -> None:
        self.rooms = tuple(rooms)
        self.hosted: set[bytes] = set()
        self._by_port = {room.port: room for room in self.rooms if room.port is not None}
        self._new_id = new_id
        self._host_return = host_return
        self._kept: dict[Address, tuple[bytes, float]] = {}

    def room_of(self, port: int) -> Room | None:
        """Return the room that owns a port, None for the main port."""
        return self._by_port.get(port)

    def take(self, address: Address, port: int, now: float) -> bytes | None:
        """Give a host at address, connected to port, the id of its session; None when its room is hosted already."""
        if room := self._by_port.get(port):
            if room.id in self.hosted:
                return None
            session = room.id
        else:
            session = self._returning(address, now) or self._free_room(now) or self._random()
        self._kept.pop(address, None)
        self.hosted.add(session)
        return session

    def give_back(self, session: bytes, address: Address, since: float, now: float) -> None:
        """Free an id that was hosted since a time, and keep it a while for the address that had it."""
        self.hosted.discard(session)
        # Who only looked in (the proof of a deploy does) must not keep a named room from those who play in it.
        if now - since >= WORTH_KEEPING:
            self.keep(address, session, now + self._host_return)

    def keep(self, address: Address, session: bytes, until: float) -> None:
        """Keep an id for an address until a time."""
        self._kept[address] = (session, until)

    def kept_ids(self) -> list[tuple[Address, bytes, float]]:
        """Return which ids are kept, for whom, until when."""
        return [(address, session, until) for address, (session, until) in self._kept.items()]

    def forget_old(self, now: float) -> None:
        """Drop what was kept for hosts that did not come back."""
        self._kept = {address: kept for address, kept in self._kept.items() if kept[1] > now}

    @property
    def kept(self) -> int:
        """How many ids are kept for hosts that may come back."""
        return len(self._kept)

    def _returning(self, address: Address, now: float) -> bytes | None:
        session, until = self._kept.get(address, (b"", now))
        usable = session and until > now and session not in self.hosted
        return session if usable and not self._has_port(session) else None

    def _free_room(self, now: float) -> bytes | None:
        kept = {session for session, until in self._kept.values() if until > now}
        free = (room.id for room in self.rooms if room.port is None)
        return next((session for session in free if session not in self.hosted and session not in kept), None)

    def _random(self) -> bytes:
        named = {room.id for room in self.rooms}
        while True:
            session = self._new_id()
            if session != protocol.NO_ID and session not in self.hosted and session not in named:
                return session

    def _has_port(self, session: bytes) -> bool:
        return any(room.id == session for room in self._by_port.values())
