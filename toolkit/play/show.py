"""The table of `invoke play.cores`: each core by system, whether netplay will work with it, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

from toolkit import known_cores
from toolkit.console import draw, say, width
from toolkit.errors import UserError
from toolkit.play import cores, folders, found
from toolkit.play.cores import MAYBE, NO, RISKY, TRAP, YES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolkit.play.cores import Core
    from toolkit.play.folders import Folders
    from toolkit.play.found import Machine

WORDS = {
    YES: "RetroArch lets it play, and nothing is known against it",
    TRAP: "its .info alone forbids it; play.host and play.join get around that",
    MAYBE: "RetroArch lets it play; nobody says whether it keeps in step",
    RISKY: "RetroArch lets it play; it will not be a pleasure",
    NO: "RetroArch 1.11 and newer refuse netplay with it",
}
# Below this many columns the reasons stand under each core instead of beside it.
WIDE = 76
CURE = """\
The 'serialized' trap: RetroArch reads what a core's .info file says of its savestates, not the core. Where a
distribution ships an old description (Debian 12 does for nestopia), netplay is refused with 'Core does not support
netplay.' although the core keeps in step. play.host and play.join give RetroArch a description of their own. By hand:
  RetroArch 1.15 and newer: Settings > Core > Bypass Core Info Savestate Features ON
  older: copy the .info folder, write savestate_features = "deterministic" into the copy, and set both
  libretro_info_path = "THE COPY" and libretro_directory = "THE CORES"; the first has no effect without the second"""


def look(machine: Machine, typed: str | None, system: str | None) -> tuple[Folders, list[Core]]:
    """Return the cores of a RetroArch, of one system if it is named. Raises UserError."""
    kept = folders.of(found.choose(machine, typed))
    everything = cores.installed(kept.cores, kept.info)
    if not everything:
        raise UserError(
            f"there is no core in {kept.cores}",
            fix="Install one: in RetroArch under Online Updater > Core Downloader, or from your distribution.",
        )
    wanted = [core for core in everything if system is None or _is_for(core, system)]
    if not wanted:
        systems = ", ".join(sorted({core.info.system for core in everything if core.info.system}))
        raise UserError(
            f"no installed core is for {system!r}; there are cores for: {systems or 'systems their .info do not name'}",
            fix=_preferred(system or ""),
        )
    return kept, wanted


def _is_for(core: Core, system: str) -> bool:
    wanted = system.lower()
    names = (core.info.system, core.info.display, core.name)
    return any(wanted in name.lower() for name in names) or wanted in core.info.extensions


def _preferred(system: str) -> str:
    """Return which cores of our own list are for a system."""
    fitting = [
        name
        for name, entry in known_cores.CORES.items()
        if system.lower() in entry.reason.lower() and entry.advice in (known_cores.PREFER, known_cores.GOOD)
    ]
    return f"Netplay prefers: {', '.join(fitting)}" if fitting else "All there are: invoke play.cores"


def show(kept: Folders, some: Sequence[Core]) -> None:
    """Print the cores, what the words mean, and the trap if there is one."""
    draw(table(some) if width() >= WIDE else narrow(some))
    say()
    for word in sorted({core.works for core in some}, key=lambda word: cores.ORDER[word]):
        say(f"{word:<6} {WORDS[word]}")
    say("*      to prefer for netplay")
    missing = [core.name for core in some if not core.info.present]
    if missing:
        say(f"note: {kept.info} has no .info file for {', '.join(missing[:8])}: in RetroArch, Update Core Info Files")
    if any(core.trapped for core in some):
        say()
        say(CURE)


def table(some: Sequence[Core]) -> Table:
    """Return the cores beside each other, for a wide terminal."""
    drawn = Table("system", "core", "netplay", "savestates", "why", expand=False)
    before = ""
    for core in some:
        system = core.info.system or "?"
        drawn.add_row("" if system == before else system, _name(core), core.works, core.savestates, core.reason)
        before = system
    return drawn


def narrow(some: Sequence[Core]) -> Table:
    """Return the same for a narrow terminal."""
    drawn = Table("core", "netplay and why", expand=False)
    for core in some:
        said = f"{core.works} ({core.savestates})"
        drawn.add_row(_name(core), f"{said}: {core.reason}" if core.reason else said)
    return drawn


def _name(core: Core) -> str:
    return f"{core.name} *" if core.entry.advice == known_cores.PREFER else core.name


def as_dict(kept: Folders, some: Sequence[Core]) -> dict[str, Any]:
    """Return it for a program."""
    return {"cores": str(kept.cores), "info": str(kept.info), "installed": [core.as_dict() for core in some]}
