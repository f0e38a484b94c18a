"""A network of its own for a test: nothing but loopback, gone with the test. Works for root and for anybody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.support.child import Child

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    # Turns the argument list of a program into one that runs it in some network namespace.
    Inside = Callable[[Sequence[str]], list[str]]

KEEPER = Path(__file__).with_name("namespace_keeper.py")


def apart() -> list[str]:
    """Return what a command begins with that runs in a fresh network namespace."""
    # Who is not root becomes root of a user namespace, which is what may own a network namespace.
    how = ["--net"] if os.geteuid() == 0 else ["--net", "--user", "--map-root-user"]
    return ["unshare", *how]


class PrivateNetwork:
    """A fresh network namespace with loopback up, kept by a small process; a context manager."""

    def __init__(self, folder: Path) -> None:
        """Make the namespace; the keeper's errors go to a file in ``folder``."""
        self._root = os.geteuid() == 0
        argv = [*apart(), sys.executable, "-I", "-S", str(KEEPER)]
        self._keeper = Child(argv, log=folder / "namespace.log")
        ready = self._keeper.line(within=10)
        assert ready == "up", f"the namespace's keeper says {ready!r}"

    @property
    def pid(self) -> int:
        """A process in it."""
        return self._keeper.pid

    def command(self, argv: Sequence[str]) -> list[str]:
        """Return the argument list that runs ``argv`` in this namespace."""
        which = ["--net"] if self._root else ["--user", "--preserve-credentials", "--net"]
        return ["nsenter", f"--target={self._keeper.pid}", *which, "--", *argv]

    def receive_buffers(self, size: int) -> None:
        """Give each socket made here from now on this many bytes for what its program has not read yet."""
        argv = self.command(["tee", "/proc/sys/net/ipv4/tcp_rmem"])
        subprocess.run(argv, input=f"{size} {size} {size}", text=True, check=True, timeout=5, capture_output=True)

    def close(self) -> None:
        """Give the namespace up; it goes with the last process in it."""
        self._keeper.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
