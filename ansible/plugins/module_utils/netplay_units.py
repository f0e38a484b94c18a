"""What systemd runs: whether it knows a unit, whether the unit runs, and whether with what is installed now."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

PROPERTIES = (
    "Id,LoadState,ActiveState,FragmentPath,NeedDaemonReload,MainPID,ExecReload,"
    "InactiveExitTimestampMonotonic,ExecMainStartTimestampMonotonic"
)


class Clock(NamedTuple):
    """The host's two clocks at one moment, in seconds: since 1970, which may be set, and since the boot."""

    time: float
    monotonic: float

    @classmethod
    def now(cls) -> Clock:
        """Read both."""
        return cls(time.time(), time.monotonic())


def parse(text: str) -> Iterator[dict[str, str]]:
    """Read what `systemctl show` prints: one block of lines NAME=VALUE for each unit."""
    for block in text.strip().split("\n\n"):
        yield dict(line.split("=", 1) for line in block.splitlines() if "=" in line)


def started(unit: Mapping[str, str], clock: Clock) -> float:
    """Return when what runs was started, or reloaded last, in seconds since 1970; 0 when nothing was.

    Starts are told in time since the boot, so that a clock that was set since makes no file look newer than it is.
    """
    # A service has both stamps: it may have been restarted by itself without having been inactive.
    stamp = int(_number(unit, "ExecMainStartTimestampMonotonic") or _number(unit, "InactiveExitTimestampMonotonic"))
    begun = clock.time - clock.monotonic + stamp / 1e6 if stamp else 0.0
    reload = re.search(r"start_time=\[@(\d+)\].* code=exited ; status=0 ", unit.get("ExecReload", ""))
    reloaded = float(reload.group(1)) if reload else 0.0
    # The time of a reload is told by the clock alone: one in the future is as wrong as a file's.
    return max(begun, reloaded if reloaded <= clock.time else 0.0)


def _number(unit: Mapping[str, str], name: str) -> int:
    text = unit.get(name, "")
    return int(text) if text.isdigit() else 0


def newer(files: Iterable[Path], begun: float, now: float) -> list[str]:
    """Return the files that were written since something began, both in seconds since 1970.

    What was written in the second of the start counts as read: not every clock here tells less than a whole one. A time
    in the future says nothing: the host's clock was ahead when the file was written.
    """
    return [str(path) for path in files if path.exists() and begun + 1 <= path.lstat().st_mtime <= now]


def outdated(unit: Mapping[str, str], files: Iterable[Path], clock: Clock) -> list[str]:
    """Return what was written after the unit was started: its own file, or files that it reads.

    A run that ended half-way (Ctrl-C, a lost connection) may have installed them and not restarted anything.
    """
    found = newer(files, started(unit, clock), clock.time)
    if unit.get("NeedDaemonReload") == "yes":
        found.append(unit.get("FragmentPath", ""))
    return list(dict.fromkeys(found))


def look(
    units: Mapping[str, list[Path]], run: Callable[[list[str]], str], clock: Clock | None = None
) -> dict[str, dict[str, object]]:
    """Return known, runs, active, pid and outdated for each unit. `run` runs a program and returns what it printed."""
    names, clock = list(units), clock or Clock.now()
    shown = run(["systemctl", "show", "--timestamp=unix", f"--property={PROPERTIES}", "--", *names])
    found = {unit.get("Id", ""): unit for unit in parse(shown)}
    result: dict[str, dict[str, object]] = {}
    for name, files in units.items():
        unit = found.get(name, {})
        # What failed and waits for its next attempt is activating: it runs, and systemd refuses to reload it.
        active = unit.get("ActiveState") in ("active", "reloading")
        runs = active or unit.get("ActiveState") in ("activating", "deactivating")
        known = unit.get("LoadState") == "loaded"
        old = outdated(unit, files, clock) if runs else []
        pid = _number(unit, "MainPID")
        result[name] = {"known": known, "runs": runs, "active": active, "pid": pid, "outdated": old}
    return result
