"""What a test needs of the machine: where it is missing the test is skipped; in CI, where all must be there, it fails.

Nothing here needs more than pytest: a host that only builds the relay runs tests, too.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence


def program(name: str) -> str:
    """Return the path of a program, or skip the test where it is not installed; in CI that is a failure."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if found is None:
        lack(f"{name} is not installed")
    return found


def granted(what: str, argv: Sequence[str]) -> None:
    """Ask this machine for something by a program; skip the test where it is refused; in CI that is a failure."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        lack(f"{what}: {done.stderr.strip() or done.returncode}")


def listener_on(address: str) -> socket.socket:
    """Return a TCP socket bound to a free port of an IPv6 address; skip the test where this machine has none."""
    bound = socket.socket(socket.AF_INET6)
    try:
        bound.bind((address, 0))
    except OSError as error:
        bound.close()
        lack(f"{address} is not here: {error.strerror}")
    return bound


def lack(what: str) -> NoReturn:
    """Skip the test and say what is missing; in CI that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}, and CI is set")
    pytest.skip(what)
