"""The game file: is it there, does the core take it, and its CRC-32 as RetroArch compares it with the host's.

RetroArch takes the CRC of the file that the core gets: of a game in an archive, that of the member, unless the core
takes archives itself. A core that loads by the path (discs) gets no comparable one from here.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolkit import paths
from toolkit.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from toolkit.play.info import Info

BLOCK = 1 << 20
# RetroArch applies these by itself when they lie beside a game under its name.
PATCHES = (".ips", ".bps", ".ups", ".xdelta")


@dataclass(frozen=True, slots=True)
class Content:
    """A game: what RetroArch is given, its CRC-32 as 8 hexadecimal digits (None where it cannot be told from here)."""

    given: str
    crc: str | None
    remark: str = ""


def look(typed: str, core: Info) -> Content:
    """Look at a game file for a core. Raises UserError."""
    path = paths.typed(typed).absolute()
    what = paths.kind(path)
    if what == paths.FOLDER:
        raise UserError(f"{path} is a folder, not a game", fix=f"Name a file in it: --content {path}/GAME")
    if what != paths.FILE:
        raise _missing(path, typed)
    if not _readable(path):
        raise UserError(f"{path} cannot be read by this account", fix=f"ls -l {path}")
    ending = path.suffix[1:].lower()
    if ending in ("zip", "7z") and not core.archives:
        return _zip(path, core) if ending == "zip" else _seven(path)
    if core.extensions and ending not in core.extensions:
        raise UserError(
            f"{core.display or core.name} takes no .{ending} file: {path.name}",
            fix=f"It takes: {', '.join(core.extensions)}. Which core takes it: invoke play.cores",
        )
    if path.stat().st_size == 0:
        raise UserError(f"{path} is empty", fix="Copy it again from where you have it.")
    if core.full_path:
        return Content(str(path), None, "this core reads discs by itself, so their CRC cannot be compared from here")
    if patch := next((path.with_suffix(kind) for kind in PATCHES if path.with_suffix(kind).is_file()), None):
        return Content(str(path), None, f"RetroArch patches it with {patch.name}: all need the same patch")
    return Content(str(path), f"{_crc(path):08X}")


def _zip(path: Path, core: Info) -> Content:
    """Look into a zip: RetroArch takes one game out of it for the core."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [each for each in archive.infolist() if not each.is_dir()]
            games = [each for each in members if _ending(each.filename) in core.extensions or not core.extensions]
    except (zipfile.BadZipFile, OSError):
        raise UserError(
            f"{path.name} is not a zip file, or is broken", fix="Copy it again, or unpack it and name the game in it."
        ) from None
    if not games:
        held = ", ".join(each.filename for each in members[:5]) or "nothing"
        raise UserError(
            f"{path.name} holds no game for {core.display or core.name}; it holds {held}",
            fix=f"It takes: {', '.join(core.extensions)}. Which core takes it: invoke play.cores",
        )
    if len(games) > 1:
        raise UserError(
            f"{path.name} holds {len(games)} games: {', '.join(each.filename for each in games[:5])}",
            fix="Unpack the one that all of you play, and name that file: everybody needs the same.",
        )
    if games[0].flag_bits & 1:
        raise UserError(f"{path.name} asks for a password", fix="Unpack it, and name the game in it.")
    return Content(str(path), f"{games[0].CRC:08X}", f"RetroArch takes {games[0].filename} out of {path.name}")


def _seven(path: Path) -> Content:
    return Content(str(path), None, f"{path.name} is opened by RetroArch itself; its CRC cannot be compared from here")


def _missing(path: Path, typed: str) -> UserError:
    parent = path.parent
    if paths.kind(parent) != paths.FOLDER:
        return UserError(f"there is not a folder {parent}", fix="Check the path after --content.")
    try:
        beside = sorted(parent.iterdir())
    except OSError:
        beside = []  # it may be entered and not listed
    same = [each.name for each in beside if each.stem.lower() == path.stem.lower()]
    return UserError(
        f"there is no file {typed}", fix=f"There is: {', '.join(same[:5])}" if same else f"Look there: ls {parent}"
    )


def _ending(name: str) -> str:
    return name.rpartition(".")[2].lower()


def _readable(path: Path) -> bool:
    try:
        with path.open("rb"):
            return True
    except OSError:
        return False


def _crc(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            crc = zlib.crc32(block, crc)
    return crc
