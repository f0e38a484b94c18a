"""What the end-to-end tests start from: a private network, and RetroArch machines that are gone with the test."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.support import retroarch_settings
from tests.support.namespace import PrivateNetwork
from tests.support.plain_relay import PlainRelay
from tests.support.retroarch import Machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.namespace import Inside
    from tests.support.retroarch_settings import Role

    # Starts a machine by its name and role; the third argument places it in a network.
    StartMachine = Callable[[str, Role, Inside], Machine]


@pytest.fixture
def network(tmp_path: Path) -> Iterator[PrivateNetwork]:
    """Make a network namespace of the test's own, with nothing but loopback."""
    with PrivateNetwork(tmp_path) as private:
        yield private


@pytest.fixture
def relay(tmp_path: Path, network: PrivateNetwork) -> Iterator[PlainRelay]:
    """Run the checkout's relay in the private network. Name it before ``start``: while games go on it does not stop."""
    with PlainRelay(tmp_path, network.command) as running:
        yield running


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartMachine]:
    """Return a function that starts RetroArch machines; the test's end is theirs."""
    retroarch_settings.require()
    with ExitStack() as machines:
        yield lambda name, role, inside: machines.enter_context(Machine(name, role, tmp_path, inside))
