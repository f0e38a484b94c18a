"""What is written about a core in its .info file, and whether RetroArch will start netplay with it.

RetroArch reads the .info, not the core: from 1.11 on it refuses netplay ('Core does not support netplay.') when there
is none, when it says that the core cannot save states, or when it calls them less than deterministic. A file that does
not say how good they are is believed. tests/e2e/test_play_cores.py holds this against a real RetroArch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from toolkit.play import settings

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = "_libretro"
# Less than what netplay needs: states that are good for loading by hand, or for one run of the program.
TOO_WEAK = ("basic", "serialized")
# The first RetroArch that asks the .info before netplay; the first with a setting not to.
HEEDED_FROM, BYPASS_FROM = (1, 11, 0), (1, 15, 0)
HASHES = re.compile(r"(?P<path>[^|()]{1,300}?)\s{0,9}\(md5\):?\s*(?P<md5>[0-9a-fA-F]{32})")


@dataclass(frozen=True, slots=True)
class Firmware:
    """A file that a core wants: its path below the system folder, what it is, whether it can do without, md5 or ""."""

    path: str
    about: str
    optional: bool
    md5: str = ""


@dataclass(frozen=True, slots=True)
class Info:
    """A core's .info file. present: there is one; else all of it is empty."""

    name: str
    present: bool = False
    display: str = ""
    corename: str = ""
    system: str = ""
    version: str = ""
    extensions: tuple[str, ...] = ()
    savestate: str = ""
    features: str = ""
    hardware: bool = False
    full_path: bool = False
    archives: bool = False
    firmware: tuple[Firmware, ...] = field(default=())

    @property
    def refused(self) -> str:
        """Why RetroArch from 1.11 on refuses netplay with this file; "" when it does not."""
        if not self.present:
            return "it has no .info file"
        if self.savestate == "false":
            return "its .info says that it cannot save states"
        if self.savestate == "true" and self.features in TOO_WEAK:
            return f"its .info calls its savestates {self.features!r}"
        return ""


def parse(name: str, text: str) -> Info:
    """Return what a core's .info file says; name is the core's short one, like "nestopia"."""
    values = settings.parse(text)
    extensions = tuple(part.lower() for part in values.get("supported_extensions", "").split("|") if part)
    return Info(
        name,
        present=True,
        display=values.get("display_name", ""),
        corename=values.get("corename", ""),
        system=values.get("systemname", ""),
        version=values.get("display_version", ""),
        extensions=extensions,
        savestate=values.get("savestate", "").lower(),
        features=values.get("savestate_features", "").lower(),
        hardware=settings.is_true(values.get("hw_render", "")),
        full_path=settings.is_true(values.get("needs_fullpath", "")),
        archives=bool({"zip", "7z"} & set(extensions)),
        firmware=tuple(_firmware(values)),
    )


def heeded(release: tuple[int, int, int], own: dict[str, str]) -> bool:
    """Tell whether a RetroArch of this version, with settings of the player's own, heeds .info files for netplay."""
    bypassed = release >= BYPASS_FROM and settings.is_true(own.get("core_info_savestate_bypass", ""))
    return release >= HEEDED_FROM and not bypassed


def load(name: str, folder: Path) -> Info:
    """Read a core's .info file from the folder of such files."""
    try:
        text = (folder / f"{name}{SUFFIX}.info").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return Info(name)
    return parse(name, text)


def deterministic(text: str) -> str:
    """Return the text of an .info file that calls the core's savestates deterministic, and says nothing else anew.

    Without a systemid RetroArch 1.20 and newer dies of its own command GET_STATUS: where there is none, one is added.
    """
    kept = [line for line in text.splitlines() if not re.match(r"\s*(savestate|savestate_features)\s*=", line)]
    system = [] if any(re.match(r"\s*systemid\s*=", line) for line in kept) else ['systemid = "unknown"']
    return "\n".join([*kept, *system, 'savestate = "true"', 'savestate_features = "deterministic"', ""])


def _firmware(values: dict[str, str]) -> list[Firmware]:
    notes = {match["path"].strip(" !").lower(): match["md5"].lower() for match in HASHES.finditer(_notes(values))}
    count = values.get("firmware_count", "0")
    found = []
    for number in range(min(int(count), 200) if count.isdigit() else 0):
        path = values.get(f"firmware{number}_path", "")
        if path:
            md5 = notes.get(path.lower()) or notes.get(path.rpartition("/")[2].lower(), "")
            optional = settings.is_true(values.get(f"firmware{number}_opt", ""))
            found.append(Firmware(path, values.get(f"firmware{number}_desc", path), optional, md5))
    return found


def _notes(values: dict[str, str]) -> str:
    """Return the notes with the mark of a warning taken out: it stands before each file."""
    return values.get("notes", "").replace("(!)", "|")
