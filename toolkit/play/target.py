"""Which room of which relay is meant: out of a host's live state, or out of the string that a friend was given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from relay.protocol.tunnel import DEFAULT_PORT, is_session_text
from toolkit import pasted
from toolkit.errors import UserError
from toolkit.join import instructions, lines, rooms, show
from toolkit.join.rooms import Room

if TYPE_CHECKING:
    from toolkit.hosts.target import DeployTarget
    from toolkit.join.show import Relay

RELAY_FIX = "Write it as in the invitation: --relay 'relay.example.org|55435' or 'relay.example.org|55435|ROOM'"


@dataclass(frozen=True, slots=True)
class Target:
    """A room at an address. live: the relay itself told about it, so that who hosts what is known.

    owner: what names the host for other tasks, "" where only the string is known.
    """

    address: str
    room: Room
    live: bool
    owner: str = ""

    def arguments(self, release: tuple[int, int, int]) -> tuple[str, ...]:
        """Return how a RetroArch of this version is told to join. Raises UserError where it cannot be told."""
        if release >= lines.IDS_FROM:
            return (f"--connect={lines.full_string(self.address, self.room)}",)
        number = ".".join(map(str, release))
        if lines.needs_id(self.address, self.room):
            raise UserError(
                f"RetroArch {number} cannot name a room by its id, which needs 1.10",
                fix="Update RetroArch, or have the owner give the room a port of its own (operating.md).",
            )
        if release >= lines.BARS_FROM:
            return (f"--connect={instructions.target(self.address, self.room.port)}",)
        if release <= lines.DEAF_TO_PORT and self.room.port != DEFAULT_PORT:
            raise UserError(
                f"RetroArch {number} goes to port {DEFAULT_PORT} whatever its command line says",
                fix=f"In its menu type {instructions.target(self.address, self.room.port)}, or update RetroArch.",
            )
        return (f"--connect={self.address}", f"--port={self.room.port}")


def parse(text: str) -> Target:
    """Return what a string ADDRESS|PORT|SESSION means, the last two left out or not. Raises UserError."""
    found = pasted.parts(text)
    address, port, session = (*found, "", "")[:3]
    if len(found) > 3 or (":" in address and address.count(":") == 1):
        raise UserError(f"{text!r} is not how RetroArch names a relay", fix=RELAY_FIX)
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise UserError(f"{port!r} is no port", fix=RELAY_FIX)
    if session and not is_session_text(session):
        raise UserError(f"{session!r} is not a room: an id is 16 characters out of A-Z a-z 0-9 + /", fix=RELAY_FIX)
    room = Room(session or None, int(port or DEFAULT_PORT), alone=not session)
    return Target(show.check_address(address, RELAY_FIX), room, live=False)


def of(place: DeployTarget, wanted: str | None, *, hosting: bool, ask_become: bool = False) -> Target:
    """Ask a host for its rooms and return the one that is meant, typed or the only one that fits. Raises UserError."""
    relay = show.fetch(place, ask_become=ask_become)
    room = rooms.choose(relay.rooms, wanted) if wanted is not None else _only(relay, hosting)
    return Target(relay.address, room, live=True, owner=place.option)


def _only(relay: Relay, hosting: bool) -> Room:
    """Return the one room that a person can mean who names none: one to be hosted, or one that can be joined."""
    if hosting:
        fitting = [room for room in relay.rooms if room.can_be_hosted]
    else:
        fitting = [room for room in relay.rooms if not room.waits_for_host]
    found = fitting or relay.rooms
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"{room.id or '-'} (port {room.port})" for room in found)
    raise UserError(
        f"the relay has {len(found)} rooms that could be meant: {names}",
        fix=f"Name one by its id or its port: --room {found[0].id or found[0].port}",
    )
