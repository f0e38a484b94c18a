"""What the tests of every scenario ask of: each relay over ssh, and the clients around it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import testinfra
import yaml

from toolkit.testbed import services
from toolkit.testbed.hosts import Host, Testbed

if TYPE_CHECKING:
    from testinfra.host import Host as Over

SCENARIO = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"])
TESTBED = Testbed.load(Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]))


@dataclass(frozen=True)
class Relay:
    """A relay: where it is, the way to it, its init, and what hosts.yml of the scenario says of it."""

    at: Host
    over: Over
    init: services.Init
    told: dict[str, Any]

    def says(self, command: str) -> str:
        """Run a command in the host's shell, as root; return what it printed. A failure fails the test."""
        return str(self.over.check_output(command))


@pytest.fixture(scope="session")
def testbed() -> Testbed:
    """Return everything that is up."""
    return TESTBED


@pytest.fixture(scope="session", params=TESTBED.relays, ids=lambda at: at.name)
def relay(request: pytest.FixtureRequest) -> Relay:
    """Return each relay of the scenario in turn."""
    at: Host = request.param
    over = testinfra.get_host(f"ssh://{at.ssh}", ssh_config=str(TESTBED.ssh_config), controlpersist=60)
    relays = yaml.safe_load((SCENARIO / "hosts.yml").read_text(encoding="utf-8"))["relays"]
    told = {**relays.get("vars", {}), **(relays["hosts"][at.name] or {})}
    return Relay(at, over, services.of(over.check_output(services.WHICH[2])), told)
