"""The folders of printed commands: the newest stay, so that a command goes on working, and no more than that."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

NAME = re.compile(r"printed-[0-9a-f]{12}")
KEPT = 20


def tidy(place: Path, fresh: Path, proc: Path = Path("/proc")) -> None:
    """Remove all but the newest KEPT folders in a place; fresh stays whatever the clock says, as do those in use.

    In use is what a program that runs was told of: RetroArch names the folder in its arguments, and may read on in it.
    """
    known = [(_changed(folder), folder) for folder in place.iterdir() if NAME.fullmatch(folder.name)]
    others = [folder for _, folder in sorted(known, reverse=True) if folder != fresh]
    surplus = others[KEPT - 1 :]
    running = _arguments(proc) if surplus else b""
    for folder in surplus:
        if os.fsencode(folder.name) not in running:
            shutil.rmtree(folder, ignore_errors=True)  # another command may do the same


def _changed(folder: Path) -> float:
    """Return when a folder was written last; long ago where it is gone meanwhile."""
    with suppress(OSError):
        return folder.lstat().st_mtime
    return 0.0


def _arguments(proc: Path) -> bytes:
    """Return what all programs that run were started with, one after the other."""
    found = []
    for process in proc.glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it ended
            found.append(process.read_bytes())
    return b"\n".join(found)
