"""The lab's branch of the cgroup tree: it is how everything a lab runs is found again, and ended."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Final

from toolkit.errors import HOST_UNUSABLE, UserError

BRANCH: Final = "netplay-lab"
_DEATH_BOUND: Final = 10.0  # seconds; the kernel takes milliseconds


def mount_point() -> Path:
    """Return where cgroup2 is mounted: /sys/fs/cgroup, or below it where version 1 is mounted beside it."""
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, where, kind, *_ = line.split(" ")
        if kind == "cgroup2":
            return Path(where)
    raise UserError(
        "this machine has no cgroup2 tree mounted, so the lab could not find its processes again",
        fix="mount -t cgroup2 cgroup2 /sys/fs/cgroup",
        exit_code=HOST_UNUSABLE,
    )


def of_lab(name: str) -> Path:
    """Return the directory of a lab in the tree, there or not."""
    return mount_point() / BRANCH / name


def pids(group: Path) -> set[int]:
    """Return the processes in a group and in the groups below it; none when it does not exist."""
    found: set[int] = set()
    for procs in group.glob("**/cgroup.procs"):
        try:
            found.update(map(int, procs.read_text().split()))
        except FileNotFoundError:  # the group went away while it was looked at
            continue
        except OSError:  # a threaded group: its processes are listed by its parent
            continue
    return found


def holds(group: Path, pid: int) -> bool:
    """Tell whether a process is in the group or below it: its number alone may be somebody else's by now."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return False
    inside = "/" + str(group.relative_to(mount_point()))
    paths = [line.removeprefix("0::") for line in lines if line.startswith("0::")]
    # The path is relative to this process's own cgroup namespace: a container may put something in front.
    return any(path == inside or f"{inside}/" in f"{path}/" for path in paths)


def kill(group: Path) -> None:
    """End every process in the group and below it, and wait until they are gone."""
    try:
        (group / "cgroup.kill").write_text("1")
    except FileNotFoundError:
        if group.exists():
            raise UserError(
                "this kernel is too old for the lab: it has no cgroup.kill",
                fix="Use Linux 5.14 or newer (Debian 12 has 6.1).",
                exit_code=HOST_UNUSABLE,
            ) from None
        return
    deadline = time.monotonic() + _DEATH_BOUND
    while "populated 1" in (group / "cgroup.events").read_text():
        if time.monotonic() > deadline:
            raise UserError(
                f"processes of the lab do not end: {sorted(pids(group))}",
                fix="They hang in the kernel (see /proc/PID/stack); restart this machine.",
                exit_code=HOST_UNUSABLE,
            )
        time.sleep(0.005)


def make(group: Path) -> Path:
    """Make the group, and those above it, when missing; return it. Raises UserError where that is not allowed."""
    while True:
        try:
            group.mkdir(parents=True, exist_ok=True)
        except FileNotFoundError:  # the last lab beside this one went, and took the branch with it
            continue
        except OSError as error:
            raise UserError(
                f"no group of processes can be made in {mount_point()} here ({error.strerror}), so the lab cannot run",
                fix="In a container: start it with --privileged. Or deploy to a real host: invoke deploy --host HOST",
                exit_code=HOST_UNUSABLE,
            ) from None
        return group


def remove_lab(name: str) -> bool:
    """End what the lab runs and remove its groups, and the lab branch when it was the last one.

    Return False when somebody came in or made a group meanwhile, as a program does that a killed `up` has left.
    """
    group = of_lab(name)
    kill(group)
    try:
        for where, _, _ in os.walk(group, topdown=False):
            Path(where).rmdir()
    except OSError:
        return False
    with contextlib.suppress(OSError):  # other labs are there, or the branch is gone already
        group.parent.rmdir()
    return True
