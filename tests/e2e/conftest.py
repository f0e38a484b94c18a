"""What the end-to-end tests start from: a private network, and RetroArch machines that are gone with the test."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.support import retroarch_settings
from tests.support.namespace import PrivateNetwork
from tests.support.plain_relay import PlainRelay
from tests.support.retroarch import START_WITHIN, Machine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.lab_relay import LabRelay
    from tests.support.namespace import Inside
    from tests.support.retroarch_settings import Role


class StartMachine:
    """Starts machines, each with a scratch folder of its own, and ends them with the test."""

    def __init__(self, folder: Path, machines: ExitStack) -> None:
        self._folder = folder
        self._machines = machines

    def __call__(self, name: str, role: Role, inside: Inside, within: float = START_WITHIN) -> Machine:
        """Start a machine by its name, role and place in a network, and wait until its game runs."""
        return self._machines.enter_context(Machine(name, role, self._folder, inside, within))


@pytest.fixture
def network(tmp_path: Path) -> Iterator[PrivateNetwork]:
    """Make a network namespace of the test's own, with nothing but loopback."""
    with PrivateNetwork(tmp_path) as private:
        yield private


@pytest.fixture
def relay_toml() -> str:
    """Return the relay's settings. A test parametrizes it to have others."""
    return ""


@pytest.fixture
def relay(tmp_path: Path, network: PrivateNetwork, relay_toml: str) -> Iterator[PlainRelay]:
    """Run the checkout's relay in the private network. Name it before ``start``: while games go on it does not stop."""
    with PlainRelay(tmp_path, network.command, relay_toml) as running:
        yield running


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartMachine]:
    """Return what starts RetroArch machines; the test's end is theirs."""
    retroarch_settings.require()
    with ExitStack() as machines:
        yield StartMachine(tmp_path, machines)


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabRelay]:
    """Deploy once, to a lab of this test run's own, with a configuration folder apart from the person's."""
    from tests.support.lab_relay import a_lab_relay  # the toolkit's requirements are needed for these tests alone

    retroarch_settings.require()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        with a_lab_relay() as relay:
            yield relay
