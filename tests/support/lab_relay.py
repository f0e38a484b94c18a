"""The relay as ``deploy`` puts it on a lab host: a lab of the tests' own, and what the relay there has logged."""

from __future__ import annotations

import json
import re
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.support import labs
from tests.support.waiting import wait_for
from toolkit.deploy.run import Request, deploy
from toolkit.hosts import target
from toolkit.lab import DEFAULT_SPEC, Lab
from toolkit.lab.inits import VOIDLIKE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.support.namespace import Inside

PORT = 55435
UNIT = "netplay-relay.service"
OPENED = re.compile(r"session .+ opened by")
STATUS = ["/usr/bin/python3", "-I", "/opt/netplay-relay/current/netplay-relay.pyz", "status", "--json"]
LOG = ["journalctl", f"--unit={UNIT}", "--output=cat", "--no-pager"]


@dataclass(frozen=True)
class LabRelay:
    """A lab with a deployed relay. ``changed`` is how many tasks of the deployment changed something."""

    lab: Lab
    changed: int

    @property
    def address(self) -> str:
        """The relay's IPv4 address, which is what a host needs."""
        return self.lab.node("relay").ipv4

    @property
    def port(self) -> int:
        """The port that the packaged settings name."""
        return PORT

    def inside(self, node: str) -> Inside:
        """Return what runs this machine's programs in the network of a client of the lab."""

        def command(argv: Sequence[str]) -> list[str]:
            return self.lab.command(node, argv)

        return command

    def log(self) -> str:
        """Return what the relay has logged so far."""
        return self.run(*LOG)

    def run(self, *argv: str) -> str:
        """Run a program on the host as root and return what it prints. Raises CalledProcessError."""
        inside = self.lab.inside("relay", argv)
        return subprocess.run(inside, check=True, capture_output=True, text=True, timeout=20).stdout

    def pid(self) -> int:
        """Return the relay's process id on the host; 0 while none runs."""
        return int(self.run("systemctl", "show", "--property=MainPID", "--value", UNIT))

    def opened(self) -> int:
        """Return how many sessions were opened so far."""
        return len(OPENED.findall(self.log()))

    def new_session(self, before: int, within: float = 10.0) -> str:
        """Wait until more than ``before`` sessions were opened and return the newest one's id, which no log has.

        Counted, not told apart by their ids: a host that comes back soon gets its old one again.
        """
        wait_for(lambda: self.opened() > before, within, f"session {before + 1} in the relay's log")
        return str(json.loads(self.run(*STATUS))["sessions"][-1]["id"])


@dataclass(frozen=True)
class RunitRelay(LabRelay):
    """The same on the stand-in for Void, where runit runs it."""

    def log(self) -> str:
        """Return what the relay has logged so far."""
        return self.run("cat", "/var/log/netplay-relay/current")

    def pid(self) -> int:
        """Return the relay's process id on the host; 0 while none runs."""
        return int(self.run("cat", "/run/runit/supervise.netplay-relay/pid").strip() or 0)


@contextmanager
def a_lab_relay(rootfs: str = "") -> Iterator[LabRelay]:
    """Bring up a lab of one's own and deploy to it; the caller has set a configuration folder apart.

    rootfs: what the relay's host runs, if not the lab's usual.
    """
    with labs.a_name() as name:
        nodes = tuple(
            replace(node, rootfs=rootfs or node.rootfs) if node.kind == "host" else node for node in DEFAULT_SPEC.nodes
        )
        place = target.lab(replace(DEFAULT_SPEC, name=name, nodes=nodes))
        assert place.lab is not None
        kind = RunitRelay if rootfs == VOIDLIKE else LabRelay
        yield kind(place.lab, deploy(place, Request()))
