"""`invoke play.bios`: finds out what is wanted and what is there, prints it, and renames after asking."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from toolkit import paths
from toolkit.console import draw, say, step
from toolkit.errors import UserError
from toolkit.play import bios, cores, firmware, folders, found, info

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolkit.play.bios import Result
    from toolkit.play.found import Machine
    from toolkit.play.info import Firmware


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for, and where: the folder, the firmware, where RetroArch looks for it (None: not known)."""

    folder: Path
    firmware: list[Firmware]
    system: Path | None
    playstation: bool


def look(machine: Machine, folder: Path | None, core: str | None, retroarch: str | None) -> Wanted:
    """Find out what is wanted: by one core, or by all that are installed. Raises UserError.

    Without a RetroArch the PlayStation's files can be checked all the same.
    """
    kept = None
    try:
        kept = folders.of(found.choose(machine, retroarch))
    except UserError:
        if folder is None or retroarch is not None or core not in (None, firmware.PLAYSTATION):
            raise
    playstation = core is None or core.startswith(firmware.PLAYSTATION)
    infos = []
    if kept is not None:
        installed = cores.installed(kept.cores, kept.info)
        infos = [each.info for each in installed] if core is None else [_info(core, kept.info, installed, kept.cores)]
    wanted = firmware.wanted(infos, playstation=playstation)
    if not wanted:
        raise UserError(f"{core} wants no firmware, or its .info does not tell of any", fix="Nothing is to be done.")
    place = paths.typed(folder) if folder else kept.system if kept else None
    assert place is not None, "without a RetroArch there is a folder"  # noqa: S101 - see above
    return Wanted(place, wanted, kept.system if kept else None, playstation)


def _info(name: str, infos: Path, installed: Sequence[cores.Core], place: Path) -> info.Info:
    """Return a core's description, of one that is not installed too if there is one. Raises UserError."""
    described = info.load(name, infos)
    return described if described.present else cores.choose(installed, name, place).info


def check(wanted: Wanted) -> list[Result]:
    """Look at the folder. Raises UserError."""
    return bios.check(wanted.folder, wanted.firmware, bios.scan(wanted.folder))


def show(wanted: Wanted, results: Sequence[Result]) -> None:
    """Print what is there, wrong, misnamed, elsewhere and missing."""
    table = Table("file", "state", "what", expand=False)
    for result in sorted(results, key=lambda each: (each.good, each.state, each.firmware.path)):
        state = result.state if result.good or not result.firmware.optional else f"{result.state} (optional)"
        table.add_row(result.firmware.path, state, result.said or result.firmware.about)
    draw(table)
    if wanted.system is None:
        say("note: no single RetroArch was found, so only the PlayStation's files were looked for")
    elif not _same(wanted.folder, wanted.system):
        say(f"note: RetroArch looks in {wanted.system}, and this is {wanted.folder}")
    if wanted.playstation:
        say(f"note: {firmware.SAME_FOR_ALL}")
    say("note: none of these files is fetched or shipped by this program; they come from machines of your own.")


def fix(wanted: Wanted, results: Sequence[Result], *, yes: bool, quiet: bool = False) -> list[Result]:
    """Rename what is misnamed, after asking; return the results afterwards. Raises UserError.

    yes: do not ask. quiet: print nothing, so ask nothing either.
    """
    planned = bios.renames(wanted.folder, results)
    for source, target in () if quiet else planned:
        step("rename", f"{source.relative_to(wanted.folder)} -> {target.relative_to(wanted.folder)}")
    if not planned or not (yes or _agreed(len(planned), quiet=quiet)):
        if not quiet:
            step("rename", "nothing was renamed" if planned else "nothing to rename")
        return list(results)
    bios.rename(planned)
    return check(wanted)


def _agreed(count: int, *, quiet: bool) -> bool:
    if quiet or not sys.stdin.isatty():
        why = "with --json nobody is asked" if quiet else "there is no terminal to ask on"
        raise UserError(
            f"{count} file{'s' if count != 1 else ''} would be renamed, and {why}",
            fix="Agree beforehand: --yes",
        )
    return input("Rename them? [y/N] ").strip().lower() in ("y", "yes")


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def as_dict(wanted: Wanted, results: Sequence[Result]) -> dict[str, Any]:
    """Return it for a program."""
    return {
        "folder": str(wanted.folder),
        "retroarch_looks_in": None if wanted.system is None else str(wanted.system),
        "good": all(result.good for result in results),
        "files": [result.as_dict() for result in results],
    }
