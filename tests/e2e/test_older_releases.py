"""Older RetroArch, simulated, beside a real one: as guests of a host on the relay, and in core-less sessions.

That the simulated clients are like real ones is shown in test_simulated_clients.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.netplay.facing_retroarch import SimProcess, shared_frames
from tests.support.play import press_every_button, read, snapshot_of
from tests.support.retroarch_settings import host_through, join
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from tests.e2e.conftest import StartMachine
    from tests.support.namespace import PrivateNetwork
    from tests.support.plain_relay import PlainRelay

pytestmark = [pytest.mark.retroarch, pytest.mark.timeout(60)]
# A host is client 0 of its own game, and the first who joins it is client 1.
PADS_OF_A_HOST = {0: 1, 1: 2}
PADS = {1: 1, 2: 2}
# How long (seconds) the game is paused. A held RetroArch creeps on by a frame or two each second.
HELD = 12.0
CREEPS = 4


@pytest.mark.parametrize("kind", ["RA_1_9_14", "RA_1_9_0", "RA_1_7_1"])
def test_an_older_client_joins_a_modern_host_by_the_address_alone(
    kind: str, tmp_path: Path, network: PrivateNetwork, relay: PlainRelay, start: StartMachine
) -> None:
    host = start("player", host_through("127.0.0.1", relay.port), network.command)
    host.wait_until_joined()
    with SimProcess(kind, tmp_path, network.command, relay.port) as sim:
        sim.wait(playing=True)
        host.wait_for_log("sim has joined as player 2", 5)
        press_every_button([host])
        sim.order("press")
        press_every_button([host])
        newest = host.history.newest
        host.wait_for_ram(lambda snapshot: snapshot.frame > newest + 220, 10, "the rest to be settled")
        report = sim.order()
        assert shared_frames(report, host.history, PADS_OF_A_HOST) >= 150
        (client,) = relay.clients()
        assert (client["seen"]["client"]["nick"], client["seen"]["stopped"]) == ("sim", False)


@pytest.mark.parametrize("kind", ["RA_1_9_14", "RA_1_9_0"])
def test_old_and_new_play_in_one_room_without_a_host(
    kind: str, tmp_path: Path, network: PrivateNetwork, relay: PlainRelay, start: StartMachine
) -> None:
    first = start("first", join("127.0.0.1", relay.port), network.command)
    first.wait_until_joined()
    with SimProcess(kind, tmp_path, network.command, relay.port) as sim:
        sim.wait(playing=True)
        sim.order("press")
        press_every_button([first])
        newest = first.history.newest
        first.wait_for_ram(lambda snapshot: snapshot.frame > newest + 220, 10, "the rest to be settled")
        report = sim.order()
        assert shared_frames(report, first.history, PADS) >= 150
        assert not report["skipped"]


def test_a_modern_machine_is_held_while_an_older_one_pauses_and_goes_on_with_it(
    tmp_path: Path, network: PrivateNetwork, relay: PlainRelay, start: StartMachine
) -> None:
    first = start("first", join("127.0.0.1", relay.port), network.command)
    first.wait_until_joined()
    with SimProcess("RA_1_9_14", tmp_path, network.command, relay.port) as sim:
        sim.wait(playing=True)
        sim.order("pause")
        wait_for(lambda: room(relay)["paused_by"] == ["sim"], 5, "the pause")
        end = room(relay)["age"] + HELD
        paused = snapshot_of(first).frame
        while room(relay)["age"] < end:
            read([first])
        # Without being held it would have gone on to 60 frames beyond the other, and left 10 s later.
        assert snapshot_of(first).frame - paused <= CREEPS * HELD
        sim.order("resume")
        sim.wait(playing=True, frames=120)
        press_every_button([first])
        assert relay.status()["outcomes"] == {}


def room(relay: PlainRelay) -> dict[str, Any]:
    """Return the only core-less session."""
    (found,) = relay.status()["tables"]
    return found
