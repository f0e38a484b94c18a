"""The relay as ``deploy`` puts it on a lab host: a lab of the tests' own, and what the relay there has logged."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.support.plain_relay import SESSION
from tests.support.waiting import wait_for
from toolkit import places
from toolkit.deploy import Request, deploy
from toolkit.lab import DEFAULT_SPEC, Lab, take_down
from toolkit.lab.state import RUN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.namespace import Inside

PREFIX = "e2e-"
PORT = 55435
LOG = ["journalctl", "--unit=netplay-relay.service", "--output=cat", "--no-pager"]


@dataclass(frozen=True)
class LabRelay:
    """A lab with a deployed relay; a context manager that takes the lab down."""

    lab: Lab
    changed: int

    @classmethod
    def deploy(cls) -> Self:
        """Bring up a lab that nobody else uses and deploy to it; the caller has set a configuration folder apart."""
        remove_orphans()
        place = places.lab(replace(DEFAULT_SPEC, name=f"{PREFIX}{os.getpid()}"))
        assert place.lab is not None
        try:
            return cls(place.lab, deploy(place, Request()))
        except BaseException:
            place.lab.down()
            raise

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
        return subprocess.run(
            self.lab.inside("relay", LOG), check=True, capture_output=True, text=True, timeout=20
        ).stdout

    def sessions(self) -> list[str]:
        """Return the ids of the sessions opened so far, oldest first: the log alone tells them."""
        return SESSION.findall(self.log())

    def new_session(self, before: int, within: float = 10.0) -> str:
        """Wait until more than ``before`` sessions were opened and return the newest id.

        Counted, not told apart by their ids: a host that comes back soon gets its old one again.
        """
        what = f"session {before + 1} in the relay's log"
        return wait_for(lambda: self.sessions()[before:], within, what)[-1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.lab.down()


def remove_orphans() -> None:
    """Take down the labs of test runs that were killed: their name holds the id of a process that is gone."""
    for folder in RUN.glob(f"{PREFIX}*"):
        owner = folder.name.removeprefix(PREFIX)
        if owner.isdecimal() and not Path("/proc", owner).exists():
            take_down(folder.name)
