"""What systemd runs: whether it knows a unit, whether the unit runs, and whether with what is installed now."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

PROPERTIES = "Id,LoadState,ActiveState,NeedDaemonReload,InactiveExitTimestamp,ExecMainStartTimestamp"


def parse(text: str) -> Iterator[dict[str, str]]:
    """Read what `systemctl show` prints: one block of lines NAME=VALUE for each unit."""
    for block in text.strip().split("\n\n"):
        yield dict(line.split("=", 1) for line in block.splitlines() if "=" in line)


def started(unit: Mapping[str, str]) -> int:
    """Return the second in which what runs was started; 0 when nothing was."""
    # A service has both: it may have been restarted by itself without having been inactive.
    stamp = unit.get("ExecMainStartTimestamp") or unit.get("InactiveExitTimestamp") or ""
    return int(stamp.removeprefix("@")) if stamp.startswith("@") else 0


def is_outdated(unit: Mapping[str, str], files: list[Path]) -> bool:
    """Whether the unit runs with something older than is installed: its own text, or a file it read at its start.

    A run that ended half-way (Ctrl-C, a lost connection) may have installed them and not restarted anything.
    """
    if unit.get("NeedDaemonReload") == "yes":
        return True
    # systemd tells whole seconds: what was written in the second of the start counts as read.
    written = [path.lstat().st_mtime for path in files if path.exists()]
    return any(moment >= started(unit) + 1 for moment in written)


def look(units: Mapping[str, list[Path]], run: Callable[[list[str]], str]) -> dict[str, dict[str, bool]]:
    """Return known, runs and outdated for each unit. `run` runs a program and returns what it printed."""
    names = list(units)
    shown = run(["systemctl", "show", "--timestamp=unix", f"--property={PROPERTIES}", "--", *names])
    found = {unit.get("Id", ""): unit for unit in parse(shown)}
    result = {}
    for name, files in units.items():
        unit = found.get(name, {})
        runs = unit.get("ActiveState") in ("active", "activating", "deactivating", "reloading")
        known = unit.get("LoadState") == "loaded"
        result[name] = {"known": known, "runs": runs, "outdated": runs and is_outdated(unit, files)}
    return result
