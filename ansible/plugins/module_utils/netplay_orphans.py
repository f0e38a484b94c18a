"""Programs of ours that run on without the supervisor that started them: runsv or supervise-daemon was killed.

The service manager knows nothing of them any more, and what it starts instead finds the port taken.
"""

from __future__ import annotations

import pwd
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection

PROC = Path("/proc")
# The relay's account, with the files of a deployment and with those of a package.
ACCOUNTS = ("netplay-relay", "_netplay_relay")
PROGRAMS = ("netplay-relay.pyz", "netplay-relay")


class Orphan(NamedTuple):
    """A process, and what it is: "relay", or "agent" for what keeps the firewall's rules."""

    pid: int
    kind: str


def kind(pid: int, proc: Path = PROC, accounts: Collection[int] | None = None) -> str:
    """Return which program of ours a process is, by its command line and its account; "" for another one's.

    accounts: the numbers of the relay's, taken from the host by itself. What runs in a container is the container's.
    """
    folder = proc / str(pid)
    try:
        words = (folder / "cmdline").read_text(errors="replace").split("\0")
        owner = folder.stat().st_uid
        apart = (folder / "ns" / "pid").readlink() != (proc / "self" / "ns" / "pid").readlink()
    except OSError:
        return ""
    if apart or not any(Path(word).name in PROGRAMS for word in words[:4]):
        return ""
    if "serve" in words and owner in (numbers() if accounts is None else accounts):
        return "relay"
    return "agent" if {"gate", "agent"} <= set(words) and owner == 0 else ""


def numbers() -> list[int]:
    """Return the numbers of the relay's accounts that there are."""
    found = []
    for name in ACCOUNTS:
        try:
            found.append(pwd.getpwnam(name).pw_uid)
        except KeyError:
            continue
    return found


def is_orphan(pid: int, proc: Path = PROC) -> bool:
    """Whether nobody looks after a process: what starts it under runit or OpenRC is its parent while both run."""
    try:
        # The name before may hold anything; the 4th field is the parent.
        return (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()[1] == "1"
    except OSError:
        return False


def find(proc: Path = PROC, accounts: Collection[int] | None = None) -> list[Orphan]:
    """Return the orphans of ours. Not to be asked under systemd, whose services are all children of process 1."""
    pids = sorted(int(path.name) for path in proc.glob("[0-9]*"))
    return [Orphan(pid, which) for pid in pids if is_orphan(pid, proc) and (which := kind(pid, proc, accounts))]
