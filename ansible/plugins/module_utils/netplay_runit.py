"""What runit runs: whether a service is there, whether it runs, and whether with what is installed now."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

SOURCES = Path("/etc/sv")
ENABLED = Path("/var/service")
PROC = Path("/proc")


def pid(name: str, sources: Path = SOURCES) -> int:
    """Return the number of a service's process, 0 when there is none. runsv keeps it in a file."""
    try:
        text = (sources / name / "supervise" / "pid").read_text().strip()
    except OSError:
        return 0
    return int(text) if text.isdigit() else 0


def pids(sources: Path = SOURCES) -> dict[int, str]:
    """Return process -> service, for every service that runs."""
    names = sorted(path.parent.name for path in sources.glob("*/supervise"))
    return {number: name for name in names if (number := pid(name, sources))}


def is_supervised(name: str, sources: Path = SOURCES) -> bool:
    """Whether a runsv reads the service's orders: its pipe can be opened for writing only then."""
    try:
        os.close(os.open(sources / name / "supervise" / "ok", os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def age(number: int, proc: Path = PROC) -> float | None:
    """Return for how many seconds a process has been there, None when it has ended."""
    try:
        stat = (proc / str(number) / "stat").read_text()
    except OSError:
        return None
    # The name before may hold anything; the 22nd field is the start, in ticks since the machine's.
    ticks = int(stat.rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def answered(text: str) -> tuple[int, float] | None:
    """Return process and age from what a program says of itself in JSON: it may have become a newer one in place."""
    try:
        told = json.loads(text)
        return int(told["pid"]), float(told["age"])
    except (ValueError, KeyError, TypeError):
        return None


def look(
    services: Mapping[str, list[Path]], ask: Callable[[], str], sources: Path = SOURCES, proc: Path = PROC
) -> dict[str, dict[str, object]]:
    """Return known, runs, active, pid and outdated for each service.

    `ask` has the one that can be asked tell pid and age.
    """

    def find(name: str) -> int:
        return pid(name, sources) if is_supervised(name, sources) else 0

    return look_with(services, ask, find, lambda name: (sources / name / "run").exists(), proc)


def look_with(
    services: Mapping[str, list[Path]],
    ask: Callable[[], str],
    find: Callable[[str], int],
    is_known: Callable[[str], bool],
    proc: Path = PROC,
) -> dict[str, dict[str, object]]:
    """Do the same for any manager that starts services and knows no more of them: find returns a service's process."""
    found: dict[str, dict[str, object]] = {}
    for name, files in services.items():
        number = find(name)
        since = age(number, proc) if number else None
        if since is not None and (told := answered(ask())) and told[0] == number:
            since = told[1]
        process = number if since is not None else 0
        found[name] = {
            "known": is_known(name),
            "runs": since is not None,
            "active": serves(process, proc),
            "pid": process,
            "outdated": _outdated(files, since),
        }
    return found


def serves(pid: int, proc: Path = PROC) -> bool:
    """Whether a service's process has become the relay: before, it is a shell that waits for the firewall rules."""
    try:
        return b"serve" in (proc / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False


def _outdated(files: Iterable[Path], since: float | None) -> list[str]:
    """Return what was written after the service was started, as netplay_units.newer has it for systemd."""
    if since is None:
        return []
    now = time.time()
    return [str(path) for path in files if path.exists() and now - since + 1 <= path.lstat().st_mtime <= now]


def is_ready(said: str) -> bool:
    """Whether `sv check` said that the service runs and its own check is content; what is down is "ok" to it too."""
    return re.match(r"ok: run:", said) is not None
