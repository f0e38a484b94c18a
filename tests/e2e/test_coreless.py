"""Rooms without a host: real RetroArch machines that only connect to the relay, and play in step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.play import play_in_step
from tests.support.retroarch_settings import join

if TYPE_CHECKING:
    from tests.e2e.conftest import StartMachine
    from tests.support.namespace import PrivateNetwork
    from tests.support.plain_relay import PlainRelay

pytestmark = [pytest.mark.retroarch, pytest.mark.timeout(60)]


def test_two_who_only_connect_play_in_step(network: PrivateNetwork, relay: PlainRelay, start: StartMachine) -> None:
    first = start("first", join("127.0.0.1", relay.port), network.command)
    assert first.wait_until_joined() == 1
    second = start("second", join("127.0.0.1", relay.port), network.command)
    assert second.wait_until_joined() == 2
    play_in_step([first, second])
    (table,) = relay.status()["tables"]
    assert [player["nick"] for player in table["players"]] == ["first", "second"]
    assert relay.status()["outcomes"] == {}
