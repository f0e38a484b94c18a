"""The command that starts RetroArch for a room, and the files beside it: pure, nothing is written or run here.

All that differs from the player's own settings goes into one file that RetroArch reads after theirs (appendconfig).
RetroArch 1.14 writes no settings while such a file is read; config_save_on_exit asks the same of every other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.errors import UserError
from toolkit.join import instructions
from toolkit.play import settings
from toolkit.play.ways import MOST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolkit.play.content import Content
    from toolkit.play.cores import Core
    from toolkit.play.found import Installation
    from toolkit.play.target import Target

# RetroArch's field for a nick: 32 bytes with the NUL at its end.
NICK_BYTES = 31
PASSWORD_BYTES = 127
DEVICE = re.compile(r"[0-9]{1,2}:[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Wish:
    """What the player asks for beside the room: None or "" or False leaves it to their own settings.

    devices: PORT:ID each, what is plugged into the console's ports, in libretro's numbers.
    """

    nick: str = ""
    password: str = ""
    spectate_password: str = ""
    spectate: bool = False
    latency_frames: int | None = None
    devices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """How RetroArch is started: what stands before and after --appendconfig, and the text of that file.

    info: whether the core's description goes with it, changed, into a folder of its own.
    """

    program: tuple[str, ...]
    arguments: tuple[str, ...]
    values: dict[str, str]
    core: Core
    cured: bool

    def argv(self, folder: Path, log: Path | None = None) -> list[str]:
        """Return the command line with its files in folder. Raises UserError for a folder that it cannot name."""
        if "|" in str(folder):
            raise UserError(
                f"RetroArch reads a bar in a path as its end: {folder}", fix="Set XDG_CACHE_HOME to another folder."
            )
        logging = [f"--log-file={log}"] if log else []
        return [*self.program, f"--appendconfig={folder / 'netplay.cfg'}", "--verbose", *logging, *self.arguments]

    def config(self, folder: Path) -> str:
        """Return the text of the appendconfig. Raises UserError for a value that it cannot hold."""
        return settings.render(self.values | (_cure(self.core, folder) if self.cured else {}))


def frames(typed: str) -> int | None:
    """Return the frames of input latency as typed, None for nothing. Raises UserError."""
    if not typed:
        return None
    if typed.isascii() and typed.isdigit() and int(typed) <= MOST:
        return int(typed)
    raise UserError(
        f"--latency-frames must be a number from 0 to {MOST}, not {typed!r}", fix="--latency-frames 0 (none)"
    )


def devices(typed: Sequence[str]) -> tuple[str, ...]:
    """Return what is plugged in as typed, PORT:ID each. Raises UserError."""
    for each in typed:
        if not DEVICE.fullmatch(each):
            raise UserError(f"--device {each!r} is no PORT:ID", fix="A pad of nestopia's in port 3: --device 3:257")
    return tuple(typed)


def host(
    installation: Installation, core: Core, content: Content, target: Target, wish: Wish, *, cured: bool = False
) -> Plan:
    """Return how a room is hosted. Raises UserError for a wish that RetroArch could not hold."""
    values = instructions.host_settings(target.address, target.room.port) | _kept_apart()
    # An empty one would hide a password that the player's own settings ask for, so it is left out.
    for key, value in (("netplay_password", wish.password), ("netplay_spectate_password", wish.spectate_password)):
        if value:
            values[key] = _short(key, value, PASSWORD_BYTES)
    if wish.latency_frames is not None:
        values["netplay_input_latency_frames_min"] = str(wish.latency_frames)
    return _plan(installation, core, content, ("--host",), values, wish, cured)


def guest(
    installation: Installation, core: Core, content: Content, role: tuple[str, ...], wish: Wish, *, cured: bool = False
) -> Plan:
    """Return how a room is joined; role: the arguments that name it. Raises UserError as `host` does."""
    return _plan(installation, core, content, role, _kept_apart(), wish, cured)


def _plan(
    installation: Installation,
    core: Core,
    content: Content,
    role: tuple[str, ...],
    values: dict[str, str],
    wish: Wish,
    cured: bool,
) -> Plan:
    if wish.spectate:
        values["netplay_start_as_spectator"] = "true"
    nick = (f"--nick={_nick(wish.nick)}",) if wish.nick else ()
    plugged = (f"--device={each}" for each in wish.devices)
    arguments = (f"--libretro={core.path}", *plugged, *nick, *role, content.given)
    return Plan(installation.argv, arguments, values, core, cured)


def _kept_apart() -> dict[str, str]:
    return {"config_save_on_exit": "false"}


def _cure(core: Core, folder: Path) -> dict[str, str]:
    """Return what points RetroArch to descriptions of our own; from 1.15 on it has a setting for it besides.

    It takes libretro_info_path only together with libretro_directory.
    """
    return {
        "libretro_directory": str(core.path.parent),
        "libretro_info_path": str(folder / "info"),
        "core_info_savestate_bypass": "true",
    }


def _nick(nick: str) -> str:
    if not all(sign.isprintable() for sign in nick):
        raise UserError(f"{nick!r} is not a nick: it holds a character that cannot be shown", fix="--nick anna")
    return _short("--nick", nick, NICK_BYTES)


def _short(what: str, text: str, most: int) -> str:
    if len(text.encode()) > most:
        raise UserError(f"{what} has more than {most} bytes, which is all that RetroArch keeps", fix="Shorten it.")
    return text
