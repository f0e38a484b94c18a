"""Taking a testbed down whatever became of the program that put it up: processes, lab, files.

Everything that Molecule starts inherits MOLECULE_EPHEMERAL_DIRECTORY, which is the scenario's alone: that is how it
is found again, also after a kill -9, when nobody is left who knew it as a child.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from toolkit.errors import HOST_UNUSABLE, UserError
from toolkit.lab import take_down
from toolkit.testbed import docker, podman

if TYPE_CHECKING:
    from toolkit.testbed.scenarios import Scenario

_END_BOUND: Final = 30.0  # seconds; what was killed is gone in milliseconds, on a busy machine in some seconds


def remove(scenario: Scenario) -> bool:
    """Remove everything there is of a testbed, whole or half made; return whether there was anything.

    Raises UserError when something of it does not go away.
    """
    ended = end_processes(scenario.state)
    # Containers before their network: who runs them takes down what there is of each.
    held = podman.remove(scenario.lab, scenario.state)
    if names := [name for name, told in scenario.relays.items() if told.get("testbed_container") == "docker"]:
        held = docker.remove(scenario.lab, names) or held
    there = take_down(scenario.lab) or held
    files = scenario.state.exists()
    shutil.rmtree(scenario.state, ignore_errors=True)
    return bool(ended) or there or files


def end_processes(state: Path) -> list[int]:
    """End whatever was started for the testbed with that directory; return the processes' numbers.

    Raises UserError when one does not end.
    """
    ended: list[int] = []
    end = time.monotonic() + _END_BOUND
    while found := processes(state):
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        ended += found
        if time.monotonic() > end:
            raise UserError(
                f"processes of the testbed do not end: {found}",
                fix="They hang in the kernel (see /proc/PID/stack); restart this machine.",
                exit_code=HOST_UNUSABLE,
            )
        time.sleep(0.02)
    return sorted(set(ended))


def processes(state: Path) -> list[int]:
    """Return the processes that were started for the testbed with that directory, this one left out."""
    mark = f"MOLECULE_EPHEMERAL_DIRECTORY={state}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        # It ended by itself, or is somebody else's: theirs are not ours to end.
        with contextlib.suppress(OSError):
            if mark in (path / "environ").read_bytes().split(b"\0") and int(path.name) != os.getpid():
                found.append(int(path.name))
    return found
