"""`invoke join`: asks a relay for its rooms and prints, for each, what everybody types."""

from __future__ import annotations

import ipaddress
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from relay.protocol.tunnel import DEFAULT_PORT
from toolkit import addresses, pasted, paths
from toolkit.console import block, draw, say, width
from toolkit.errors import UserError
from toolkit.hosts.remote import entry_of
from toolkit.join import instructions, lines, qr
from toolkit.join import rooms as join_rooms
from toolkit.ssh import connection
from toolkit.status import show as status

if TYPE_CHECKING:
    from toolkit.hosts.target import DeployTarget
    from toolkit.join.rooms import Room


@dataclass(frozen=True, slots=True)
class Relay:
    """A relay as players see it: the address they type, and its rooms now. option is what names it after a task.

    hostable: the address has IPv4, by which alone RetroArch hosts.
    """

    address: str
    rooms: list[Room]
    option: str = ""
    hostable: bool = True


def fetch(place: DeployTarget, address: str | None = None, *, ask_become: bool = False) -> Relay:
    """Ask the relay on a host for its rooms. address: what players type, if not what ssh connects to.

    ask_become: ask for sudo's password there. Raises UserError.
    """
    rooms = join_rooms.rooms_of(status.fetch(place, ask_become=ask_become))
    typed = check_address(address) if address else address_of(place)
    return Relay(typed, rooms, place.option, addresses.has_ipv4(typed))


def address_of(place: DeployTarget) -> str:
    """Return the name or address by which players reach a host: the one that ssh connects to. Raises UserError."""
    if place.lab is not None:
        return str(place.lab.node("relay").ipv4)
    entry = entry_of(place)
    return connection.resolve(connection.Connection(entry.host.alias, entry.user, place.ssh_config)).hostname


def check_address(text: str, fix: str = "Write it like --address relay.example.org") -> str:
    """Return an address as players type it. Raises UserError, with fix, for what RetroArch could not take."""
    text = pasted.tidy(text)
    good = bool(text) and all(sign.isascii() and (sign.isalnum() or sign in ".-:_") for sign in text)
    if good and not text.startswith("-"):
        return text
    raise UserError(f"{text!r} is neither a name nor an address", fix=fix)


def remarks(relay: Relay) -> list[str]:
    """Return what stands between this address and the players."""
    said = []
    try:
        known = ipaddress.ip_address(relay.address)
    except ValueError:
        known = None
    if relay.address == "localhost" or (known and known.is_loopback):
        said.append(f"{relay.address} is this machine alone; what friends can reach: invoke join --address NAME")
    elif known and known.is_private:
        said.append(f"{relay.address} is reached from its own network alone; from elsewhere: --address NAME")
    if not relay.hostable or instructions.is_ipv6(relay.address):
        said.append(f"{instructions.nobody_hosts(relay.address)} {instructions.IPV4_CURE}")
    if any(room.port == DEFAULT_PORT for room in relay.rooms):
        said.append(f"|{DEFAULT_PORT} may be left out: it is the port that RetroArch takes by itself.")
    return said


def as_dict(relay: Relay) -> dict[str, Any]:
    """Return everything for a program."""
    return {
        "address": relay.address,
        "remarks": remarks(relay),
        "rooms": [lines.as_dict(relay.address, room) for room in relay.rooms],
    }


def write_codes(relay: Relay, png: Path | None, svg: Path | None) -> None:
    """Write the QR code of the one room as files. Raises UserError when there are several rooms."""
    wanted = [(kind, path) for kind, path in (("png", png), ("svg", svg)) if path is not None]
    if wanted and len(relay.rooms) > 1:
        names = ", ".join(room.id or str(room.port) for room in relay.rooms)
        raise UserError(
            f"a QR code is of one room, and there are {len(relay.rooms)}: {names}",
            fix=f"Name one: --room {relay.rooms[0].id or relay.rooms[0].port}",
        )
    for kind, path in wanted:
        code = qr.of(lines.string(relay.address, relay.rooms[0]))
        qr.write(code, paths.typed(path), kind)


def show(relay: Relay) -> None:
    """Print for each room what everybody types; a table before them when there are several."""
    if len(relay.rooms) > 1:
        draw(overview(relay))
    for room in relay.rooms:
        show_room(relay.address, room, hostable=relay.hostable)
    for remark in remarks(relay):
        say()
        say(f"note: {remark}")


def overview(relay: Relay) -> Table:
    """Return the rooms beside each other."""
    table = Table("room", "type", "now", expand=False)
    for room in relay.rooms:
        hosts = "is silent" if room.silence is not None else "hosts"
        now = f"{room.host} {hosts}" if room.host else "needs a host" if room.waits_for_host else "just connect"
        now += f", {len(room.players)} in it" if room.players else ""
        table.add_row(room.name, lines.string(relay.address, room), now)
    return table


def show_room(address: str, room: Room, *, hostable: bool = True) -> None:
    """Print one room: its state, the host's lines, the friends' lines, the code, the text for a chat."""
    block(f"Room {room.name}", [lines.state_line(room)])
    hosted = room.host or room.mode == join_rooms.TUNNEL
    if hosted:
        block(
            "Whoever hosts",
            host_lines(address, room) if hostable else [instructions.nobody_hosts(address), instructions.IPV4_CURE],
        )
    block("Each friend" if hosted else "Everybody", friend_lines(address, room))
    if not hosted and room.can_be_hosted and hostable:
        block("Or somebody hosts it, before anybody has connected", host_lines(address, room))
    say()
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    shown = qr.for_terminal(qr.of(lines.string(address, room)), width(), encoding)
    if isinstance(shown, str):
        say(shown)
    else:
        draw(shown)
    block("To paste into a chat", [])
    for line in lines.chat(address, room).splitlines():
        say(line)  # not set in: it is marked and copied as it stands


def host_lines(address: str, room: Room) -> list[str]:
    """Return what the host player sets, once, and types."""
    settings = instructions.host_settings(address, room.port)
    return [
        f"in the menu, once: {lines.HOST_MENU}",
        "  Publicly Announce Netplay    OFF",
        "  Use Relay Server             ON",
        "  Relay Server Location        Custom",
        f"  Custom Relay Server Address  {settings['netplay_custom_mitm_server']}",
        f"then load the game, and: {lines.START_MENU}",
        "",
        f"or with a file {lines.APPENDCONFIG} (RetroArch 1.10 and newer):",
        *(f"  {line}" for line in lines.appendconfig(address, room).splitlines()),
        "and the command",
        f"  {lines.host_command()}",
    ]


def friend_lines(address: str, room: Room) -> list[str]:
    """Return what a friend types, by menu and by command."""
    full = lines.full_string(address, room)
    more = [f"or, which never means another room: {full}"] if full != lines.string(address, room) else []
    return [
        f"load the game, then in the menu: {lines.FRIEND_MENU}",
        f"  {lines.string(address, room)}",
        *more,
        "",
        *(
            line
            for releases, command in lines.friend_commands(address, room)
            for line in (f"or the command ({releases})", f"  {command}")
        ),
    ]
