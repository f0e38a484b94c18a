"""The containers of a scenario that has some: found by their label, and taken down without Ansible."""

from __future__ import annotations

import shutil
import subprocess
from typing import Final

from toolkit.errors import HOST_UNUSABLE, UserError

LABEL: Final = "netplay-testbed"
_SECONDS: Final = 60.0


def ids(lab: str, program: str = "podman") -> list[str]:
    """Return the containers of a testbed, running or not; none where there is no such program."""
    if shutil.which(program) is None:
        return []
    return _run(program, "ps", "--all", "--quiet", "--filter", f"label={LABEL}={lab}").split()


def remove(lab: str, program: str = "podman") -> bool:
    """Remove the containers and the network of a testbed; return whether there were any. Raises UserError."""
    found = ids(lab, program)
    if found:
        _run(program, "rm", "--force", "--volumes", "--time", "0", *found)
    networks = _run(program, "network", "ls", "--quiet", "--filter", f"label={LABEL}={lab}").split() if found else []
    if networks:
        _run(program, "network", "rm", "--force", *networks)
    return bool(found)


def _run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=_SECONDS)
    if done.returncode:
        raise UserError(
            f"{argv[0]} {argv[1]} failed: {done.stderr.strip()}",
            fix=f"See what it says by hand: {' '.join(argv)}",
            exit_code=HOST_UNUSABLE,
        )
    return done.stdout
