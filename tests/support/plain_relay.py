"""The relay as it is in the checkout, run by a bare Python: no package installed, no environment, one free port."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.support.child import Child, tail
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from tests.support.namespace import Inside

CHECKOUT = Path(__file__).resolve().parents[2]
# The interpreter that the tests' own environment was made from; -S leaves out every installed package.
PYTHON = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
LISTENING = re.compile(r"listening on \[(?P<address>.+)\]:(?P<port>\d+)$", re.MULTILINE)
SESSION = re.compile(r"session (?P<id>[A-Za-z0-9+/]{16}) opened")


class PlainRelay:
    """``python3 -m relay serve`` on 127.0.0.1; a context manager. ``port`` is where it listens, ``log`` its log."""

    def __init__(self, folder: Path, inside: Inside) -> None:
        """Start the relay by ``inside``, wait until it listens; its log goes to a file in ``folder``."""
        self.log = folder / "relay.log"
        serve = [str(PYTHON), "-S", "-B", "-m", "relay", "serve", "--bind", "127.0.0.1", "--port", "0"]
        # It does not watch its input, so the kernel is asked to end it with the tests.
        argv = inside(["setpriv", "--pdeathsig", "KILL", "env", "-i", *serve])
        self._child = Child(argv, log=self.log, cwd=CHECKOUT)
        try:
            self.port = int(self.wait_for_log(LISTENING, within=10)["port"])
        except BaseException:
            self.stop()
            raise

    def wait_for_log(self, pattern: re.Pattern[str], within: float) -> re.Match[str]:
        """Wait for the log to match. Raises AssertionError, with the end of the log."""
        try:
            return wait_for(lambda: pattern.search(self.log.read_text()), within, repr(pattern.pattern))
        except AssertionError as error:
            raise AssertionError(f"{error} from the relay; the end of its log:\n{tail(self.log)}") from None

    def session(self, within: float = 5.0) -> str:
        """Return the id of the session that was opened first: the host's player is never shown it."""
        return self.wait_for_log(SESSION, within)["id"]

    def stop(self) -> int:
        """Ask the relay to stop, and return its exit code."""
        return self._child.stop(terminate=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
