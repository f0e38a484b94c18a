"""What OpenRC runs: the process that supervise-daemon keeps for a service of ours."""

from __future__ import annotations

import os
from pathlib import Path

SCRIPTS = Path("/etc/init.d")
RUN = Path("/run")
PROC = Path("/proc")
OURS = ("netplay-relay", "netplay-relay-firewall")


def pid(name: str, run: Path = RUN, proc: Path = PROC) -> int:
    """Return the number of a service's process, 0 when there is none: the file names its supervisor, which has one."""
    try:
        supervisor = int((run / f"{name}.pid").read_text())
    except (OSError, ValueError):
        return 0
    children = [number for number in _numbers(proc) if _parent(number, proc) == supervisor]
    return min(children, default=0)


def pids(run: Path = RUN, proc: Path = PROC) -> dict[int, str]:
    """Return process -> service, for every service of ours that runs."""
    return {number: name for name in OURS if (number := pid(name, run, proc))}


def crashed(run: Path = RUN, proc: Path = PROC) -> list[str]:
    """Return the services of ours that OpenRC counts as started, and whose supervisor is gone."""
    found = []
    for name in OURS:
        try:
            supervisor = int((run / f"{name}.pid").read_text())
            there = (proc / str(supervisor) / "comm").read_text().strip() == "supervise-daemo"  # the kernel keeps 15
        except ValueError:
            continue
        except OSError:
            there = False
        if not there and (run / "openrc" / "started" / name).is_symlink():
            found.append(name)
    return found


def is_known(name: str, scripts: Path = SCRIPTS) -> bool:
    """Whether there is a service of that name."""
    return (scripts / name).exists()


def _numbers(proc: Path) -> list[int]:
    return [int(name) for name in os.listdir(proc) if name.isdigit()]  # noqa: PTH208  # a thousand paths for nothing


def _parent(number: int, proc: Path) -> int:
    """Return the number of a process's parent, 0 when it has ended."""
    try:
        # The name before may hold anything; the 4th field is the parent.
        return int((proc / str(number) / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
