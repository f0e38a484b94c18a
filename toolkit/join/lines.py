"""What the host and each friend of a room type: menu, file, command line, and a text to paste into a chat.

Every line of a command is the same in sh, cmd and PowerShell: host names and ids hold nothing that double quotes do
not quiet, and the bar between them would be a pipe. RetroArch understands neither NAME:PORT nor an id it cannot decode
(docs/protocol.md, Rooms).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from relay.protocol.tunnel import DEFAULT_PORT
from toolkit import known_cores
from toolkit.join import instructions
from toolkit.join.rooms import CORELESS, TUNNEL

if TYPE_CHECKING:
    from toolkit.join.rooms import Room

HOST_MENU = "Netplay > Host"
START_MENU = "Netplay > Host > Start Netplay Host"
FRIEND_MENU = "Netplay > Connect to Netplay Host"
APPENDCONFIG = "netplay-host.cfg"
CORE_AND_GAME = "-L CORE GAME"
# The first RetroArch whose --connect takes ADDRESS|PORT, and the first that takes an id behind a second bar. Before the
# one --port stands beside --connect; from it on the port must be in the string.
BARS_FROM, IDS_FROM = (1, 9, 13), (1, 10, 0)
# It takes --port and goes to the default port all the same.
DEAF_TO_PORT = (1, 7, 1)


def string(address: str, room: Room) -> str:
    """Return what a friend types into RetroArch: the shortest that means this room and no other."""
    return instructions.target(address, room.port) if room.alone or room.id is None else full_string(address, room)


def full_string(address: str, room: Room) -> str:
    """Return the same with the room's id, if it has one: it never means another room, and needs RetroArch 1.10."""
    return (
        f"{instructions.target(address, room.port)}|{room.id}" if room.id and takes_id(room) else string(address, room)
    )


def takes_id(room: Room) -> bool:
    """Whether a friend can name the room by its id: only a game that somebody hosts has one to be joined by."""
    return room.mode == TUNNEL or bool(room.host)


def appendconfig(address: str, room: Room) -> str:
    """Return the file that makes RetroArch host through the relay, beside the player's own settings."""
    return "".join(f'{key} = "{value}"\n' for key, value in instructions.host_settings(address, room.port).items())


def host_command() -> str:
    """Return the command line of whoever hosts; every RetroArch from 1.10 on takes it."""
    return f"retroarch --appendconfig {APPENDCONFIG} --host {CORE_AND_GAME}"


def friend_command(address: str, room: Room) -> str:
    """Return the command line of a friend for RetroArch 1.9.13 and newer; 1.10 and newer where it names an id."""
    return f'retroarch --connect "{string(address, room)}" {CORE_AND_GAME}'


def friend_command_1_17(address: str, room: Room) -> str:
    """Return a friend's command line without a bar in it, for RetroArch 1.17 and newer."""
    session = f" --mitm-session {room.id}" if room.id and takes_id(room) else ""
    return f"retroarch --connect {address} --port {room.port}{session} {CORE_AND_GAME}"


def friend_command_1_9(address: str, room: Room) -> str | None:
    """Return a friend's command line for RetroArch 1.9.12 and older, None for a room that is found by its id alone."""
    if needs_id(address, room):
        return None
    return f"retroarch --connect {address} --port {room.port} {CORE_AND_GAME}"


def friend_commands(address: str, room: Room) -> list[tuple[str, str]]:
    """Return every command line of a friend, each with the releases of RetroArch that take it."""
    first = "1.10" if needs_id(address, room) else "1.9.13"
    commands = [
        (f"RetroArch {first} and newer", friend_command(address, room)),
        ("RetroArch 1.17 and newer", friend_command_1_17(address, room)),
    ]
    if older := friend_command_1_9(address, room):
        oldest = "1.7.1" if room.port == DEFAULT_PORT else "1.7.2"
        commands.append((f"RetroArch {oldest} to 1.9.12", older))
    return commands


def needs_id(address: str, room: Room) -> bool:
    """Whether a friend reaches the room by its id alone, which RetroArch 1.9.14 and older cannot name."""
    return string(address, room) != instructions.target(address, room.port)


def state_line(room: Room, *, hosting: bool = False) -> str:
    """Return in a sentence whether one can join now, and what is played; hosting: it is said to who will host it."""
    if hosting and room.can_be_hosted:
        return "Nobody hosts it now, so you can."
    if room.waits_for_host:
        return "Nobody hosts it now: somebody must, before friends can join."
    core = f"; core {room.core} {room.core_version}".rstrip() if room.core else ""
    crc = f", content {room.content_crc}" if room.content_crc and room.content_crc != "00000000" else ""
    if not room.host and known_cores.links(room.core):
        return f"{_needs_host(room)} In it: {', '.join(room.players)}."
    if not room.host:
        inside = f" In it: {', '.join(room.players)}{core}{crc}." if room.open else ""
        return f"Nobody has to host it: everybody just connects.{inside}"
    with_whom = f" with {', '.join(room.players)}" if room.players else ""
    password = ". It asks for a password" if room.password else ""
    if room.silence is not None:
        then = (
            "can host it again"
            if room.mode == TUNNEL
            else "can host it again, and anyone who joins meanwhile plays without"
        )
        return (
            f"{room.host} hosted it and has given no sign of life for {room.silence:.0f} s: the line seems to be dead."
            f" Anybody {then}."
        )
    return f"{room.host} hosts it{with_whom}{core}{crc}{password}."


def chat(address: str, room: Room) -> str:
    """Return a text that tells a friend everything, to paste into a chat."""
    core = f"the core {room.core}" if room.core else "the core that we agreed on"
    lines = [
        f"RetroArch netplay, room {room.name}.",
        "The relay lets in the addresses that I know, and nobody else: first tell me your public address, IPv4 and "
        "IPv6 (any what-is-my-ip site shows it), and again when it changes.",
        f"You need RetroArch {'1.10' if needs_id(address, room) else '1.7.1'} or newer, {core} and the same game file "
        "as all of us.",
        f"Load the game, then open {FRIEND_MENU} and type:",
        string(address, room),
        "Or start it so, with your own core and game in place of the capitals:",
        friend_command(address, room),
    ]
    for releases, command in friend_commands(address, room)[2:]:
        lines += [f"With {releases}:", command]
    if room.mode != TUNNEL and not room.host:
        lines += _without_host(room)
    if room.password:
        lines.append("It asks for a password; I tell you that elsewhere.")
    return "\n".join(lines)


def _without_host(room: Room) -> list[str]:
    """Return what is said of a game without a host to who comes to it."""
    if known_cores.links(room.core):
        return [_needs_host(room)]
    others = (
        f"A core that links machines ({known_cores.all_that_link()}) needs somebody to host: {known_cores.NEED_A_HOST}."
    )
    return ["Nobody has to host: the first to connect begins.", others]


def _needs_host(room: Room) -> str:
    """Return what is to be done in a game without a host whose core links machines."""
    elsewhere = " In this room nobody can: take another." if room.mode == CORELESS else ""
    return f"The core {room.core} needs somebody to host, to link machines: {known_cores.NEED_A_HOST}.{elsewhere}"


def as_dict(address: str, room: Room) -> dict[str, Any]:
    """Return everything about a room, for a program."""
    return {
        "id": room.id,
        "port": room.port,
        "mode": room.mode,
        "hosted": bool(room.host),
        "open": room.open,
        "waits_for_host": room.waits_for_host,
        "core_needs_host": known_cores.links(room.core),
        "host": room.host,
        "host_silence": room.silence,
        "players": list(room.players),
        "password": room.password,
        "core": room.core,
        "core_version": room.core_version,
        "content_crc": room.content_crc,
        "string": string(address, room),
        "string_with_id": full_string(address, room),
        "menu": {"host": HOST_MENU, "start": START_MENU, "friend": FRIEND_MENU},
        "appendconfig": appendconfig(address, room),
        "commands": {
            "host": host_command(),
            "friend": friend_command(address, room),
            "friend_1_17": friend_command_1_17(address, room),
            "friend_1_9": friend_command_1_9(address, room),
        },
        "chat": chat(address, room),
    }
