"""Simulated clients are worth something because real RetroArch takes them for real: they play with it, in step.

Here they also stand for the releases that no distribution ships any more.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.support.netplay.facing_retroarch import SimProcess, shared_frames
from tests.support.play import press_every_button
from tests.support.retroarch_settings import host_directly, host_through, join

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.conftest import StartMachine
    from tests.support.namespace import PrivateNetwork
    from tests.support.plain_relay import PlainRelay
    from tests.support.retroarch import Machine

    StartSim = Callable[[str, int], SimProcess]

pytestmark = [pytest.mark.retroarch, pytest.mark.timeout(90)]
PORT = 55435
# The host is client 0 of its own game, and the first who joins it is client 1.
HOSTED = {0: 1, 1: 2}
# In a core-less session the first client is client 1.
ROOM = {1: 1, 2: 2}
SHARED = 150


@pytest.fixture
def sim(tmp_path: Path, network: PrivateNetwork) -> Iterator[StartSim]:
    """Return what lets a simulated client of a release join at a port."""
    with ExitStack() as sims:
        yield lambda kind, port: sims.enter_context(SimProcess(kind, tmp_path, network.command, port))


def let_all_settle(machine: Machine) -> None:
    """Play on until everything that was pressed is in the machine's history."""
    newest = machine.history.newest
    machine.wait_for_ram(lambda snapshot: snapshot.frame > newest + 220, 20, "the rest to be settled")


def assert_plays(machine: Machine, client: SimProcess, pads: dict[int, int]) -> None:
    """Press on both, and assert that the client knows what the machine's console has seen."""
    client.order("press")
    press_every_button([machine])
    let_all_settle(machine)
    report = client.order()
    assert report["ending"] is None
    assert shared_frames(report, machine.history, pads) >= SHARED
    assert not report["skipped"]


@pytest.mark.parametrize("kind", ["RA_1_22", "RA_1_9_14"])
def test_a_simulated_client_plays_with_a_real_host(
    kind: str, network: PrivateNetwork, start: StartMachine, sim: StartSim
) -> None:
    host = start("player", host_directly(PORT), network.command)
    host.wait_until_joined()
    client = sim(kind, PORT)
    client.wait(playing=True)
    host.wait_for_log("sim has joined as player 2", 5)
    press_every_button([host])
    # A host that is left alone keeps what it guessed for the frames after the last input: that shall be nothing.
    client.order("rest")
    client.wait(playing=True, frames=10)
    client.order("toggle")
    client.wait(playing=False, frames=30)
    host.wait_for_log("sim has left the game", 5)
    client.order("toggle")
    client.wait(playing=True)
    assert_plays(host, client, HOSTED)
    assert client.order("leave")["ending"] == ["LEFT", ""]
    host.wait_for_log('"sim" has disconnected', 5)


def test_a_client_of_1_9_0_refuses_a_real_host_whose_info_is_ordered_otherwise(
    network: PrivateNetwork, start: StartMachine, sim: StartSim
) -> None:
    start("player", host_directly(PORT), network.command).wait_until_joined()
    how, why = sim("RA_1_9_0", PORT).report()["ending"]
    assert how == "REFUSED"
    assert "different cores" in why


@pytest.mark.parametrize("kind", ["RA_1_9_14", "RA_1_9_0"])
def test_an_older_release_joins_a_real_host_through_the_relay(
    kind: str, relay: PlainRelay, network: PrivateNetwork, start: StartMachine, sim: StartSim
) -> None:
    host = start("player", host_through("127.0.0.1", relay.port), network.command)
    host.wait_until_joined()
    client = sim(kind, relay.port)
    client.wait(playing=True)
    assert_plays(host, client, HOSTED)


def test_older_releases_and_a_real_one_play_in_a_room_without_a_host(
    relay: PlainRelay, network: PrivateNetwork, start: StartMachine, sim: StartSim
) -> None:
    machine = start("player", join("127.0.0.1", relay.port), network.command)
    machine.wait_until_joined()
    newer = sim("RA_1_9_14", relay.port)
    newer.wait(playing=True)
    older = sim("RA_1_9_0", relay.port)
    older.wait(playing=True)
    assert_plays(machine, newer, ROOM)
    assert shared_frames(older.order(), machine.history, ROOM) >= SHARED
    # Who has the oldest release opens its menu: the real one, which no RESUME wakes, is held and goes on.
    older.order("pause")
    still = machine.wait_for_ram(lambda _: True, 5, "RAM").frame
    machine.wait_for_frames(60 * 8)
    assert machine.wait_for_ram(lambda _: True, 5, "RAM").frame < still + 150
    older.order("resume")
    older.wait(playing=True, frames=60)
    assert_plays(machine, newer, ROOM)
    # What one who does not keep the time resets is undone.
    assert newer.order("reset")["ending"] is None
    newer.wait(playing=True, frames=60)
    assert_plays(machine, newer, ROOM)
    assert machine.history.newest > still + 200


def test_simulated_ones_play_on_when_the_real_one_who_kept_the_time_has_left(
    relay: PlainRelay, network: PrivateNetwork, start: StartMachine, sim: StartSim
) -> None:
    machine = start("player", join("127.0.0.1", relay.port), network.command)
    machine.wait_until_joined()
    others = [sim("RA_1_9_14", relay.port), sim("RA_1_10", relay.port)]
    for other in others:
        other.wait(playing=True)
    assert machine.quit() == 0
    for other in others:
        other.wait(playing=True, frames=120)
    left, right = (
        {(frame, who): words for frame, who, *words in other.order()["heard"] if frame < 100_000} for other in others
    )
    shared = [key for key in left.keys() & right.keys() if key[0] > max(min(left)[0], min(right)[0])]
    assert len(shared) > SHARED
    assert all(left[key] == right[key] for key in shared)
