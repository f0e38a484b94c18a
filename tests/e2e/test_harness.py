"""The harness alone, without a relay: real machines that host directly, and what becomes of them when tests fail."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.child import Child
from tests.support.nes.layout import Button
from tests.support.play import play_in_step
from tests.support.retroarch_settings import alone, four_players, host_directly, join
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from tests.e2e.conftest import StartMachine
    from tests.support.namespace import PrivateNetwork

pytestmark = [pytest.mark.retroarch, pytest.mark.timeout(40)]
# The network is the test's own, so a number that is always the same disturbs nobody.
PORT = 55435


def test_two_machines_play_in_step_without_a_relay(network: PrivateNetwork, start: StartMachine) -> None:
    player = start("player", host_directly(PORT), network.command)
    player.wait_until_joined()
    friend = start("friend", join("127.0.0.1", PORT), network.command)
    friend.wait_until_joined()
    play_in_step([player, friend])


def test_four_machines_play_in_step_without_a_relay(network: PrivateNetwork, start: StartMachine) -> None:
    machines = [start("player", four_players(host_directly(PORT)), network.command)]
    machines[0].wait_until_joined()
    for name in ("anna", "ben", "chris"):
        machines.append(start(name, four_players(join("127.0.0.1", PORT)), network.command))
        machines[-1].wait_until_joined()
    assert [machine.player for machine in machines] == [1, 2, 3, 4]
    play_in_step(machines)


def test_a_paused_machine_stands_still_and_goes_on(network: PrivateNetwork, start: StartMachine) -> None:
    machine = start("player", alone(), network.command)
    still = machine.pause()
    machine.resume()
    machine.wait_for_ram(lambda snapshot: snapshot.frame > still.frame + 10, 5, "the game to go on")


def test_a_machine_ends_when_its_tests_vanish(network: PrivateNetwork, start: StartMachine) -> None:
    machine = start("player", alone(), network.command)
    process = Path("/proc", str(machine.console.pid))
    assert (process / "comm").read_text() == "retroarch\n"
    machine.console.abandon()
    wait_for(lambda: not process.exists(), 10, "RetroArch to be gone")


def test_a_failure_shows_the_end_of_the_log(network: PrivateNetwork, start: StartMachine) -> None:
    machine = start("player", alone(), network.command)
    with pytest.raises(
        AssertionError, match=r"player \(it runs\): waited 0 s in vain for button A.*\n(.*\n)+.*Bringing up remote"
    ):
        machine.wait_for_ram(lambda snapshot: snapshot.held(1, Button.A), 0, "button A")


def test_a_helper_that_cannot_start_says_why(tmp_path: Path, network: PrivateNetwork) -> None:
    argv = network.command(["ls", "/nowhere/at/all"])
    with Child(argv, log=tmp_path / "log") as child, pytest.raises(AssertionError, match="No such file or directory"):
        child.line(within=5)
