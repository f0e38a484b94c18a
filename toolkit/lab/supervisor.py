"""Runs one host of a lab: boots it, boots it again when it restarts itself, and ends when it goes down.

Started by hosts.start, one process for each host, in a cgroup beside the host's own:

    python -m toolkit.lab.supervisor LAB NODE LOWER CGROUP
"""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from toolkit.lab import network, state
from toolkit.lab.programs import DROPPED, ENTER, search_path

if TYPE_CHECKING:
    from pathlib import Path


def main(argv: list[str]) -> int:
    """Run a host until it is powered off or dies; return init's exit code, or 2 when there is no such lab."""
    name, node, lower, cgroup = argv
    lab = state.read(name)
    if lab is None:
        return 2
    while True:
        network.make_node(lab, lab.node(node))
        code = _boot(lab.host_directory(node), lab.netns(node), lower, cgroup)
        # The kernel's way to say that a PID 1 of a namespace called for a restart (reboot(2)).
        if code != -signal.SIGHUP:
            return code


def _boot(directory: Path, namespace: Path, lower: str, cgroup: str) -> int:
    """Boot once and wait for the end of PID 1; return its exit code, or minus the signal that ended it."""
    for name in ("upper", "work", "root"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    argv = [
        *network.inside(namespace),
        *("unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--propagation", "private"),
        *("--", "sh", str(ENTER), "join", str(directory), lower, cgroup, DROPPED, sys.executable),
    ]
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, check=False, cwd="/", env={"PATH": search_path(), "LC_ALL": "C"}
        )
    finally:
        (directory / "pid").unlink(missing_ok=True)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
