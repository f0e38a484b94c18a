"""Simulated clients are worth something because real RetroArch takes them for real: they play with one that hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.netplay.facing_retroarch import SimProcess, shared_frames
from tests.support.play import press_every_button
from tests.support.retroarch_settings import host_directly

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import StartMachine
    from tests.support.namespace import PrivateNetwork

pytestmark = [pytest.mark.retroarch, pytest.mark.timeout(60)]
PORT = 55435
# The host is client 0 of its own game, and the first who joins it is client 1.
PADS = {0: 1, 1: 2}


@pytest.mark.parametrize("kind", ["RA_1_22", "RA_1_14", "RA_1_9_14"])
def test_a_simulated_client_plays_with_a_real_host(
    kind: str, tmp_path: Path, network: PrivateNetwork, start: StartMachine
) -> None:
    host = start("player", host_directly(PORT), network.command)
    host.wait_until_joined()
    with SimProcess(kind, tmp_path, network.command, PORT) as sim:
        sim.wait(playing=True)
        host.wait_for_log("sim has joined as player 2", 5)
        press_every_button([host])
        # A host that is left alone keeps what it guessed for the frames after the last input: that shall be nothing.
        sim.order("rest")
        sim.wait(playing=True, frames=10)
        sim.order("toggle")
        sim.wait(playing=False, frames=30)
        host.wait_for_log("sim has left the game", 5)
        sim.order("toggle")
        sim.wait(playing=True)
        sim.order("press")
        press_every_button([host])
        newest = host.history.newest
        host.wait_for_ram(lambda snapshot: snapshot.frame > newest + 150, 10, "the rest to be settled")
        report = sim.order()
        assert shared_frames(report, host.history, PADS) >= 200
        assert not report["skipped"]
        assert sim.order("leave")["ending"] == ["LEFT", ""]
        host.wait_for_log('"sim" has disconnected', 5)


def test_a_client_of_1_9_0_refuses_a_real_host_whose_info_is_ordered_otherwise(
    tmp_path: Path, network: PrivateNetwork, start: StartMachine
) -> None:
    start("player", host_directly(PORT), network.command).wait_until_joined()
    with SimProcess("RA_1_9_0", tmp_path, network.command, PORT) as sim:
        how, why = sim.report()["ending"]
    assert how == "REFUSED"
    assert "different cores" in why
