"""The relay as it is in the checkout, run by a bare Python: no package installed, no environment, one free port."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from relay import control_client
from tests.support.child import Child, tail
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from tests.support.namespace import Inside

CHECKOUT = Path(__file__).resolve().parents[2]
# The interpreter that the tests' own environment was made from; -S leaves out every installed package.
PYTHON = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
RELAY = [str(PYTHON), "-S", "-B", "-m", "relay"]
LISTENING = re.compile(r"listening on \[(?P<address>.+)\]:(?P<port>\d+)$", re.MULTILINE)
ASK_WITHIN = 20.0


class PlainRelay:
    """``python3 -m relay serve``; a context manager.

    Attributes: ``port`` (where it listens), ``log`` (its log), ``control`` (its unix socket).
    """

    def __init__(self, folder: Path, inside: Inside, toml: str = "", port: int = 0, bind: str = "127.0.0.1") -> None:
        """Start the relay by ``inside``, wait until it listens; log, settings and socket are files in ``folder``.

        ``toml`` is its relay.toml, without [listen] and [control]; 0 for its port is a free one.
        """
        self.log = folder / "relay.log"
        self.control = folder / "control.sock"
        settings = folder / "relay.toml"
        settings.write_text(f"[control]\nsocket = {json.dumps(str(self.control))}\n{toml}")
        where = ["--config", str(settings), "--bind", bind, "--port", str(port)]
        # It does not watch its input, so the kernel is asked to end it with the tests.
        argv = inside(["setpriv", "--pdeathsig", "KILL", "env", "-i", *RELAY, "serve", *where])
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
        """Return the id of the session that was opened first: the host's player is never shown it, nor is the log."""
        return str(wait_for(lambda: self.status()["sessions"], within, "a session at the relay")[0]["id"])

    @property
    def pid(self) -> int:
        """The relay's process id: what puts it into the network becomes the relay, and the relay its successors."""
        return self._child.pid

    def status(self) -> dict[str, Any]:
        """Return what the relay says of itself, as `netplay-relay status --json` does."""
        return control_client.ask(self.control, "status", ASK_WITHIN)

    def clients(self) -> list[dict[str, Any]]:
        """Return the clients of every session, from `status`."""
        return [client for session in self.status()["sessions"] for client in session["clients"]]

    def run(self, subcommand: str) -> str:
        """Type ``netplay-relay SUBCOMMAND`` and return what it prints. Raises AssertionError when it fails."""
        argv = [*RELAY, subcommand, "--socket", str(self.control)]
        done = subprocess.run(argv, cwd=CHECKOUT, check=False, capture_output=True, text=True, timeout=ASK_WITHIN)
        assert done.returncode == 0, f"{argv} ended with {done.returncode}: {done.stderr}"
        return done.stdout

    def stop(self) -> int:
        """Ask the relay to stop, and return its exit code."""
        return self._child.stop(terminate=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
