"""The rooms of a relay as its players see them: read from its live state, whoever hosts and plays in them now."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from relay.protocol.tunnel import DEFAULT_PORT
from toolkit import pasted
from toolkit.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

TUNNEL, CORELESS = "tunnel", "coreless"
"""Modes of a room: somebody has to host it; nobody may host it. In any other, somebody may."""


@dataclass(frozen=True, slots=True)
class Room:
    """A room: its id (16 characters, None while it has none), its port, its mode, who is in it.

    alone: no other room shares its port, so that the port alone says which room is meant. host is the nick of whoever
    hosts, else the address, "" for nobody; open: a game without a host goes on in it. core, core_version and
    content_crc (8 hexadecimal digits) are what is played, None or "" while the relay has not seen it. rtts are the
    round-trip times (seconds) from the relay to the host and to each client, as far as they are known. silence is for
    how long (seconds) the host's machine has given no sign of life, None where nothing says that it is gone.
    """

    id: str | None
    port: int
    mode: str = TUNNEL
    alone: bool = True
    host: str = ""
    open: bool = False
    players: tuple[str, ...] = ()
    password: bool | None = None
    core: str = ""
    core_version: str = ""
    content_crc: str | None = None
    rtts: tuple[float, ...] = ()
    silence: float | None = None

    @property
    def name(self) -> str:
        """What people call the room."""
        return self.id or f"port {self.port}"

    @property
    def waits_for_host(self) -> bool:
        """Whether somebody must host before anybody can join."""
        return self.mode == TUNNEL and not self.host

    @property
    def can_be_hosted(self) -> bool:
        """Whether somebody can host it now."""
        return self.mode != CORELESS and not self.host and not self.open


def rooms_of(state: dict[str, Any]) -> list[Room]:
    """Return a relay's rooms from its status: those of relay.toml in their order, then those that a host opened.

    Last comes what the main port is beside them: where the next host there gets a room of no name, or where everybody
    just connects.
    """
    main, mode = main_port(state), state.get("mode", TUNNEL)
    listed = [(room["id"], room["port"], room.get("mode", TUNNEL)) for room in state["rooms"]]
    sessions = {session["id"]: session for session in state["sessions"]}
    tables = {table["port"]: table for table in state.get("tables", ())}
    named = {identity for identity, _, _ in listed}
    listed += [(session["id"], session["port"], TUNNEL) for session in state["sessions"] if session["id"] not in named]
    ports = [port for _, port, _ in listed]
    if mode == CORELESS and ports.count(main) > 1:
        # Where nobody can host, an id leads nowhere: several rooms without a port of their own are one.
        listed = [each for each in listed if each[1] != main]
        ports = [port for port in ports if port != main]
    rooms = []
    for identity, port, its_mode in listed:
        alone = ports.count(port) == 1
        # Who names no room at a port that several share cannot mean one of them: only its host's id leads there.
        room = Room(identity, port, its_mode if alone else TUNNEL, alone)
        rooms.append(_played(room, sessions.get(identity), tables.get(port) if alone else None))
    shared = ports.count(main) > 1 and mode != TUNNEL and not any(room.host for room in rooms if room.port == main)
    if main not in ports or shared:
        rooms.append(_played(Room(None, main, mode), None, tables.get(main)))
    return rooms


def main_port(state: dict[str, Any]) -> int:
    """Return the port of the relay itself. An older relay does not say: the one that no room has for its own."""
    ports = list(state["ports"]) or [DEFAULT_PORT]
    if state.get("main_port") in ports:
        return int(state["main_port"])
    owned = {room["port"] for room in state["rooms"]}
    free = [port for port in ports if port not in owned]
    return int((free or [port for port in ports if port == DEFAULT_PORT] or ports)[0])


def choose(rooms: Sequence[Room], wanted: str) -> Room:
    """Return the room that a person means by its id or its port. Raises UserError, which names those there are."""
    wanted = pasted.tidy(wanted)
    at_port = [room for room in rooms if wanted == str(room.port)]
    nameless = [room for room in at_port if room.id is None]
    found = [room for room in rooms if wanted == room.id] or nameless or at_port
    found = found or [room for room in rooms if (room.id or "").lower().startswith(wanted.lower())]
    if wanted and len(found) == 1:
        return found[0]
    names = ", ".join(f"{room.id or '-'} (port {room.port})" for room in rooms)
    what = f"{wanted!r} could be several rooms" if found else f"the relay has no room {wanted!r}"
    raise UserError(
        f"{what}: it has {names}", fix=f"Name one by its id or its port: --room {rooms[0].id or rooms[0].port}"
    )


def _played(room: Room, session: dict[str, Any] | None, table: dict[str, Any] | None) -> Room:
    """Return a room with whoever is in it: guests of a host, or a game without one."""
    if session is not None:
        return _hosted(room, session)
    if table is None:
        return room
    ways = [(player["to_client"] or {}).get("rtt") for player in table["players"]]
    return replace(
        room,
        open=True,
        players=tuple(player["nick"] or "somebody" for player in table["players"]),
        core=table["core"],
        core_version=table["core_version"],
        content_crc=table["content_crc"],
        rtts=tuple(rtt for rtt in ways if rtt is not None),
    )


def _hosted(room: Room, session: dict[str, Any]) -> Room:
    clients = [client for client in session["clients"] if client["seen"]]
    seen = [client["seen"] for client in clients]
    host: dict[str, Any] = next((each["host"] for each in seen if each["host"]["core"]), {})
    nick = next((each["host"]["nick"] for each in seen if each["host"]["nick"]), "")
    ways = [session["host"]["rtt"], *((client["to_client"] or {}).get("rtt") for client in clients)]
    return replace(
        room,
        host=nick or session["host"]["address"],
        players=tuple(each["client"]["nick"] or "somebody" for each in seen),
        password=next((each["password"] for each in seen if each["password"] is not None), None),
        core=host.get("core", ""),
        core_version=host.get("core_version", ""),
        content_crc=host.get("content_crc"),
        rtts=tuple(rtt for rtt in ways if rtt is not None),
        silence=session["host"].get("silence"),
    )


def as_json(value: object) -> str:
    """Return a value as JSON for a program."""
    return json.dumps(value, indent=2)
