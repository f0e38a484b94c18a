"""What would keep this machine out of a room, or out of step in it, told before RetroArch fails without a word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolkit import known_cores
from toolkit.join import rooms

if TYPE_CHECKING:
    from toolkit.join.rooms import Room
    from toolkit.play.asked import Said
    from toolkit.play.content import Content
    from toolkit.play.cores import Core
    from toolkit.play.target import Target

NO_CONTENT = "00000000"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that differs. stops: RetroArch would fail or go out of step; else it is only good to know."""

    message: str
    fix: str = ""
    stops: bool = False


def core_alone(core: Core, better: Core | None, *, heeded: bool = True) -> list[Finding]:
    """Return what is to be said of a core whatever the room; heeded: RetroArch heeds what its .info says."""
    instead = f"Take {better.name}, which is installed: --core {better.name}" if better else "See: invoke play.cores"
    if core.info.refused and not heeded:
        said = f"{core.name} and netplay: {core.info.refused}; this RetroArch does not mind"
        return [] if core.trapped else [Finding(said, instead)]
    if core.info.refused and not core.trapped:
        return [Finding(f"RetroArch refuses netplay with {core.name}: {core.info.refused}", instead, stops=True)]
    if core.trapped:
        return [Finding(f"{core.info.refused}, yet it keeps in step: RetroArch is given a description that says so")]
    if core.works == "risky":
        return [Finding(f"{core.name} and netplay: {core.why}", instead)]
    return []


def to_join(target: Target, core: Core, content: Content, said: Said) -> list[Finding]:
    """Return what differs between this machine and a room that is to be joined; said: what the core calls itself."""
    room, found = target.room, []
    if not target.live:
        return []
    if room.waits_for_host:
        message = f"nobody hosts {room.name} now: RetroArch would say no more than 'Failed to connect to host'"
        found.append(Finding(message, "Wait for the host, or host it yourself: invoke play.host", stops=True))
    if core.entry.links and room.mode != rooms.TUNNEL and not room.host:
        message = f"{core.name} needs somebody to host, to link machines: {known_cores.NEED_A_HOST}"
        can = room.can_be_hosted
        found.append(Finding(message, "Type: invoke play.host" if can else "Have somebody host in another room."))
    found += [*_other_core(room, core, said), *_other_game(room, content)]
    if room.password:
        found.append(Finding("the host asks for a password: RetroArch opens a window for it, no option can give it"))
    return found


def _other_core(room: Room, core: Core, said: Said) -> list[Finding]:
    name = said.name or core.info.corename
    if room.core and name and room.core.lower() != name.lower():
        message = f"they play with {room.core}, and {core.name} is {name}: RetroArch would drop you without a word"
        return [Finding(message, f"Take the same core as the others: {room.core}", stops=True)]
    if room.core_version and said.version and room.core_version != said.version:
        message = f"your {name} is {said.version}, theirs {room.core_version}: if the games drift apart, that is why"
        return [Finding(message, "Bring both up to date.")]
    return []


def _other_game(room: Room, content: Content) -> list[Finding]:
    crcs = room.content_crc, content.crc
    if not all(crcs) or NO_CONTENT in crcs or room.content_crc == content.crc:
        return []
    message = "your game is another one than theirs, or another version: "
    message += f"its CRC-32 is {content.crc}, theirs {room.content_crc}"
    return [Finding(message, "Take the very same file as the others.", stops=True)]


def to_host(target: Target) -> list[Finding]:
    """Return what keeps a room from being hosted."""
    room = target.room
    if room.mode == rooms.CORELESS or room.open:
        what = "a game without a host goes on in it" if room.open else "everybody just connects"
        return [Finding(f"nobody can host {room.name}: {what}", "Type: invoke play.join", stops=True)]
    if target.live and room.host:
        return [
            Finding(
                f"{room.host} hosts {room.name} already",
                f"Join it: invoke play.join --room {room.id or room.port}",
                stops=True,
            )
        ]
    return []
