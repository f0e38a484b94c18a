"""What systemd runs: whether it knows a unit, whether the unit runs, and whether with what is installed now."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

PROPERTIES = (
    "Id,LoadState,ActiveState,FragmentPath,NeedDaemonReload,InactiveExitTimestamp,ExecMainStartTimestamp,ExecReload"
)


def parse(text: str) -> Iterator[dict[str, str]]:
    """Read what `systemctl show` prints: one block of lines NAME=VALUE for each unit."""
    for block in text.strip().split("\n\n"):
        yield dict(line.split("=", 1) for line in block.splitlines() if "=" in line)


def started(unit: Mapping[str, str]) -> int:
    """Return the second in which what runs was started, or reloaded last; 0 when nothing was."""
    # A service has both stamps: it may have been restarted by itself without having been inactive.
    stamps = [unit.get("ExecMainStartTimestamp") or unit.get("InactiveExitTimestamp") or ""]
    reload = re.search(r"start_time=\[(@\d+)\].* code=exited ; status=0 ", unit.get("ExecReload", ""))
    stamps += [reload.group(1)] if reload else []
    return max(int(stamp[1:]) if stamp.startswith("@") else 0 for stamp in stamps)


def outdated(unit: Mapping[str, str], files: list[Path]) -> list[str]:
    """Return what was written after the unit was started: its own file, or files that it reads.

    A run that ended half-way (Ctrl-C, a lost connection) may have installed them and not restarted anything.
    """
    # systemd tells whole seconds: what was written in the second of the start counts as read.
    found = [str(path) for path in files if path.exists() and path.lstat().st_mtime >= started(unit) + 1]
    if unit.get("NeedDaemonReload") == "yes":
        found.append(unit.get("FragmentPath", ""))
    return list(dict.fromkeys(found))


def look(units: Mapping[str, list[Path]], run: Callable[[list[str]], str]) -> dict[str, dict[str, object]]:
    """Return known, runs, active and outdated for each unit. `run` runs a program and returns what it printed."""
    names = list(units)
    shown = run(["systemctl", "show", "--timestamp=unix", f"--property={PROPERTIES}", "--", *names])
    found = {unit.get("Id", ""): unit for unit in parse(shown)}
    result: dict[str, dict[str, object]] = {}
    for name, files in units.items():
        unit = found.get(name, {})
        # What failed and waits for its next attempt is activating: it runs, and systemd refuses to reload it.
        active = unit.get("ActiveState") in ("active", "reloading")
        runs = active or unit.get("ActiveState") in ("activating", "deactivating")
        known = unit.get("LoadState") == "loaded"
        old = outdated(unit, files) if runs else []
        result[name] = {"known": known, "runs": runs, "active": active, "outdated": old}
    return result
