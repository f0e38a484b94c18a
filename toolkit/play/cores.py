"""The cores of an installation, and for each whether netplay will work with it, and why."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolkit import known_cores
from toolkit.errors import UserError
from toolkit.play import info
from toolkit.play.info import SUFFIX, Info

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LIBRARIES = (".so", ".dylib", ".dll")
YES, TRAP, MAYBE, RISKY, NO = "yes", "trap", "maybe", "risky", "no"
ORDER = {YES: 0, TRAP: 1, MAYBE: 2, RISKY: 3, NO: 4}


@dataclass(frozen=True, slots=True)
class Core:
    """An installed core: its short name, its file, what its .info says, the folder of such files."""

    name: str
    path: Path
    info: Info
    infos: Path

    @property
    def info_file(self) -> Path:
        """Where its .info file is, there or not."""
        return self.infos / f"{self.name}{SUFFIX}.info"

    @property
    def entry(self) -> known_cores.Entry:
        """What our own list says of it; nothing for a core that is not in it."""
        return known_cores.CORES.get(self.name, known_cores.Entry("", ""))

    @property
    def trapped(self) -> bool:
        """Whether RetroArch refuses it by its .info alone, although it keeps in step: the 'serialized' trap."""
        return bool(self.info.refused) and self.entry.deterministic

    @property
    def works(self) -> str:
        """Whether netplay will work, in one of the words of this module.

        TRAP: refused by its .info alone, which play.* get around; MAYBE: nobody says how good its savestates are.
        """
        if self.info.refused:
            return TRAP if self.trapped else NO
        if self.info.hardware or self.entry.advice == known_cores.LEAVE:
            return RISKY
        return YES if self.info.features == "deterministic" or self.entry.advice else MAYBE

    @property
    def savestates(self) -> str:
        """What its .info says of its savestates, in a word."""
        if not self.info.present:
            return "no .info"
        return "none" if self.info.savestate == "false" else self.info.features or "untold"

    @property
    def why(self) -> str:
        """The reason, in a sentence without its full stop."""
        said = [self.info.refused, self.reason]
        return "; ".join(each for each in said if each)

    @property
    def reason(self) -> str:
        """The reason beside what its .info says of its savestates."""
        hardware = "it draws on the graphics card, whose picture is in no savestate" if self.info.hardware else ""
        link = f"to link, somebody must host: {known_cores.NEED_A_HOST}" if self.entry.links else ""
        return "; ".join(each for each in (self.entry.reason or hardware, link) if each)

    def as_dict(self) -> dict[str, Any]:
        """Return it for a program."""
        return {
            "core": self.name,
            "name": self.info.display or self.name,
            "corename": self.info.corename,
            "system": self.info.system,
            "works": self.works,
            "advice": self.entry.advice,
            "why": self.why,
            "savestate_features": self.info.features,
            "needs_hardware": self.info.hardware,
            "links_by_host": bool(self.entry.links),
            "path": str(self.path),
        }


def installed(folder: Path, infos: Path) -> list[Core]:
    """Return the cores in a folder, in the order in which one should try them."""
    try:
        files = sorted(folder.iterdir())
    except OSError:
        return []
    found = [path for path in files if path.suffix in LIBRARIES and path.stem.endswith(SUFFIX)]
    return sorted((at(path, infos) for path in found), key=_rank)


def at(path: Path, infos: Path) -> Core:
    """Return the core in a file; infos is the folder of .info files."""
    name = path.stem.removesuffix(SUFFIX)
    return Core(name, path.absolute(), info.load(name, infos), infos)


def _rank(core: Core) -> tuple[str, int, int, str]:
    return core.info.system, ORDER[core.works], known_cores.RANK[core.entry.advice], core.name


def choose(cores: Sequence[Core], typed: str, folder: Path) -> Core:
    """Return the core that a person means by its short name, file name, full name or path. Raises UserError."""
    wanted = typed.rpartition("/")[2].lower()
    for ending in (*LIBRARIES, SUFFIX):
        wanted = wanted.removesuffix(ending)
    found = [core for core in cores if wanted in (core.name.lower(), core.info.corename.lower())]
    if found:
        return found[0]
    if not cores:
        raise UserError(
            f"there is no core at all in {folder}",
            fix="Install one: in RetroArch under Online Updater > Core Downloader, or from your distribution.",
        )
    names = [core.name for core in cores]
    near = difflib.get_close_matches(wanted, names, 1)
    hint = f"Did you mean --core {near[0]}? " if near else ""
    some = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    raise UserError(
        f"the core {typed!r} is not in {folder}; there are: {some}",
        fix=f"{hint}Install it: in RetroArch under Online Updater > Core Downloader, or from your distribution.",
    )


def better(core: Core, cores: Sequence[Core]) -> Core | None:
    """Return an installed core for the same system that netplay prefers; None when there is none."""
    same = [other for other in cores if other.info.system == core.info.system and other.info.system]
    best = min(same, key=_rank, default=core)
    return best if _rank(best)[:3] < _rank(core)[:3] else None
