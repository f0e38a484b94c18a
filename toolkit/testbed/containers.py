"""What a relay host in a container has from the lab, whichever program runs it: its files, its name, its addresses."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Final

from toolkit.errors import HOST_UNUSABLE, UserError
from toolkit.lab import elevation, hosts, inits, programs, sshfiles

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from toolkit.lab import Lab, Node

IMAGE: Final = "NETPLAY_TESTBED_IMAGE"
"""The environment variable that names what the containers are made from: an image that can be pulled."""
USUAL: Final = "docker.io/library/debian:{}"


def seed(lab: Lab, names: Collection[str]) -> dict[str, Path]:
    """Write what makes each relay itself, and how ssh reaches it; return the folders to copy into the containers."""
    key = sshfiles.public_key(lab.state)
    sshfiles.write(lab.state, {name: hosts.seed(lab.state, lab.node(name), key) for name in names})
    for name in names:
        hosts.introduce(lab.state, lab.node(name))
    return {name: lab.state.host_directory(name) / "upper" for name in names}


def wait(inside: Sequence[str], node: Node, init: inits.Init) -> None:
    """Wait until a container has booted and its sshd answers on both addresses.

    `inside` is the start of a command line whose rest runs in it. Raises UserError when it does not come up.
    """
    end = time.monotonic() + hosts.BOOT_BOUND
    while True:
        word = programs.run([*inside, *init.state], check=False).strip()
        silent = [address for address in (node.ipv4, node.ipv6) if not hosts.sshd_answers(address)]
        if word in {"running", "degraded"} and not silent:
            return
        if time.monotonic() > end:
            failed = programs.run([*inside, "systemctl", "--failed", "--plain", "--no-legend"], check=False)
            raise UserError(
                f"the container {node.name} did not come up: {init.name} says {word or 'nothing'},"
                f" sshd is silent at {', '.join(silent) or 'no address'}",
                fix=f"{failed or 'No unit has failed.'}\nStart over: invoke testbed.down",
                exit_code=HOST_UNUSABLE,
            )
        time.sleep(0.1)


def require(*wanted: str) -> None:
    """Raise UserError when one of the programs is missing here, or the right to put a container on a lab's network."""
    missing = [name for name in wanted if shutil.which(name, path=programs.search_path()) is None]
    if missing:
        raise UserError(
            f"the scenario needs programs that this machine does not have: {', '.join(missing)}",
            fix=f"On Debian: apt-get install --yes --no-install-recommends {' '.join(missing)}",
            exit_code=HOST_UNUSABLE,
        )
    if not elevation.is_root():
        raise UserError("containers with an init on a lab's network need root", fix="Run the same command as root.")
