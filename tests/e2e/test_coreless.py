"""Core-less sessions: real RetroArch machines that only connect to the relay, and play in step."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from relay import before_end
from tests.support import slow_tcp
from tests.support.child import Child
from tests.support.history import History
from tests.support.nes.layout import Button
from tests.support.play import (
    FRAMES,
    assert_same_history,
    play_in_step,
    play_through,
    read,
    settle,
    snapshot_of,
)
from tests.support.retroarch_settings import four_players, host_through, join, may_pause, watching
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tests.e2e.conftest import StartMachine
    from tests.support.namespace import PrivateNetwork
    from tests.support.plain_relay import PlainRelay
    from tests.support.retroarch import Machine

    Join = Callable[..., Machine]

pytestmark = [pytest.mark.retroarch, pytest.mark.timeout(60)]
# A player who is silent is dropped after 5 s, and RetroArch runs on for one second before it waits.
DROPPED_WITHIN = 15.0
UPGRADES = 3
# A way that takes as long as to another continent, and not always the same (milliseconds each way).
SLOW = Path(slow_tcp.__file__)
FAR, JITTER = 60, 25
# Pads 3 and 4 of this core are of a kind of its own.
FOUR_PADS = "[coreless]\ndevices = [1, 1, 257, 257]\n"


@pytest.fixture
def friend(network: PrivateNetwork, relay: PlainRelay, start: StartMachine) -> Join:
    """Return what starts a machine that only connects, and waits until it plays."""

    def join_and_play(name: str, four: bool = False) -> Machine:
        role = join("127.0.0.1", relay.port)
        machine = start(name, four_players(role) if four else role, network.command)
        machine.wait_until_joined()
        return machine

    return join_and_play


def table(relay: PlainRelay) -> dict[str, Any]:
    """Return the only core-less session."""
    (found,) = relay.status()["tables"]
    return found


def player(relay: PlainRelay, nick: str) -> dict[str, Any]:
    """Return what the relay says of a player; empty while there is none of that name."""
    return next((one for one in table(relay)["players"] if one["nick"] == nick), {})


def keeper(relay: PlainRelay) -> str:
    """Return who keeps the room's time."""
    found = table(relay)
    return next((str(one["nick"]) for one in found["players"] if one["number"] == found["master"]), "")


def test_two_who_only_connect_play_in_step(relay: PlainRelay, friend: Join) -> None:
    first, second = friend("first"), friend("second")
    assert (first.player, second.player) == (1, 2)
    play_in_step([first, second])
    found = table(relay)
    assert [one["nick"] for one in found["players"]] == ["first", "second"]
    assert (found["core"], keeper(relay), relay.status()["outcomes"]) == ("Nestopia", "first", {})
    assert (first.quit(), second.quit()) == (0, 0)
    # The next game is another one, from its first frame on.
    wait_for(lambda: not relay.status()["tables"], 5, "the room to be forgotten")
    third, fourth = friend("third"), friend("fourth")
    play_in_step([third, fourth])
    assert table(relay)["joins"] == 2


@pytest.mark.parametrize("relay_toml", [FOUR_PADS], ids=["four pads"])
def test_four_who_only_connect_play_in_step_each_with_a_pad(friend: Join) -> None:
    machines = [friend(f"friend{number}", four=True) for number in range(1, 5)]
    assert [machine.player for machine in machines] == [1, 2, 3, 4]
    play_in_step(machines)


@pytest.mark.parametrize("relay_toml", [FOUR_PADS], ids=["four pads"])
@pytest.mark.parametrize("first", [True, False], ids=["alone", "beside another"])
def test_it_is_said_of_who_is_out_at_once_that_the_adapter_may_be_missing(
    first: bool, relay: PlainRelay, friend: Join, start: StartMachine, network: PrivateNetwork
) -> None:
    if not first:
        friend("first", four=True)
    start("second", join("127.0.0.1", relay.port), network.command)
    wait_for(lambda: relay.status()["outcomes"].get("left"), 5, "the one without the adapter to be out")
    (ended,) = [entry for entry in relay.status()["ended"] if entry["kind"] == "player"]
    assert ended["reason"] == before_end.CORELESS["own-pads"]
    assert f"right before: {ended['reason']})" in relay.log.read_text()


@pytest.mark.parametrize("relay_toml", [FOUR_PADS], ids=["four pads"])
def test_the_game_goes_on_when_who_keeps_time_leaves(relay: PlainRelay, friend: Join) -> None:
    first, second, third = (friend(f"friend{number}", four=True) for number in range(1, 4))
    before = snapshot_of(second)
    play_in_step([first, second, third])
    assert first.quit() == 0
    wait_for(lambda: keeper(relay) in ("friend2", "friend3"), 5, "another player to keep time")
    play_in_step([second, third])
    assert_same_history(second.history, third.history, before.frame, 2 * FRAMES)
    # Who comes now gets the game from the new one, and the pad that has become free.
    late = friend("late", four=True)
    assert late.player == 1
    play_in_step([second, third, late])


def test_who_watches_sees_the_same_game(
    network: PrivateNetwork, relay: PlainRelay, start: StartMachine, friend: Join
) -> None:
    first = friend("first")
    watcher = start("watcher", watching(join("127.0.0.1", relay.port)), network.command)
    wait_for(lambda: player(relay, "watcher").get("waits_for_state") is False, 10, "the watcher to be in")
    second = friend("second")
    wait_for(lambda: player(relay, "second").get("role") == "playing", 5, "the second player")
    watcher.history = History("watcher")
    before = snapshot_of(watcher)
    for button in Button:
        for down in (True, False):
            for machine in (first, second):
                machine.hold(button) if down else machine.release(button)
                read([first, second, watcher])
    settle([first, second, watcher], at_least=before.frame + FRAMES)
    assert_same_history(first.history, watcher.history, before.frame, FRAMES)
    assert player(relay, "watcher")["role"] == "watching"
    # The one who keeps time stops playing: the other does from now on, and nobody leaves.
    first.toggle("NETPLAY_GAME_WATCH", lambda: player(relay, "first")["role"] == "watching")
    assert keeper(relay) == "second"
    left_at = snapshot_of(second)
    for button in Button:
        second.hold(button)
        read([first, watcher])
        second.release(button)
    settle([first, second, watcher], at_least=left_at.frame + FRAMES)
    for machine in (first, watcher):
        assert_same_history(second.history, machine.history, left_at.frame, FRAMES)
    assert relay.status()["outcomes"] == {}


def test_who_plays_alone_may_stop_and_begin_again(relay: PlainRelay, friend: Join) -> None:
    first = friend("first")
    first.toggle("NETPLAY_GAME_WATCH", lambda: player(relay, "first")["role"] == "watching")
    frame = table(relay)["frame"]
    # Longer than RetroArch waits for anybody: time goes on, though nobody plays.
    wait_for(lambda: read([first]) or table(relay)["frame"] > frame + 11 * 60, 20, "11 s of watching")
    first.toggle("NETPLAY_GAME_WATCH", lambda: player(relay, "first")["role"] == "playing")
    second = friend("second")
    play_in_step([first, second])


@pytest.mark.parametrize("relay_toml", [FOUR_PADS], ids=["four pads"])
def test_who_freezes_is_dropped_alone(relay: PlainRelay, friend: Join) -> None:
    first, second, third = (friend(f"friend{number}", four=True) for number in range(1, 4))
    play_in_step([first, second, third], frames=60)
    first.console.freeze()

    def dropped() -> object:
        read([second, third])
        return relay.status()["outcomes"].get("frozen")

    wait_for(dropped, DROPPED_WITHIN, "the frozen one to be dropped")
    play_in_step([second, third])
    first.console.thaw()
    first.wait_for_log("Netplay disconnected", within=5)
    assert relay.status()["outcomes"] == {"frozen": 1}


@pytest.mark.parametrize("relay_toml", [FOUR_PADS], ids=["four pads"])
def test_who_is_killed_leaves_the_others_their_game(relay: PlainRelay, friend: Join) -> None:
    first, second, third = (friend(f"friend{number}", four=True) for number in range(1, 4))
    play_in_step([first, second, third])
    second.stop()
    wait_for(lambda: relay.status()["outcomes"].get("left"), 5, "the relay to notice")
    play_in_step([first, third])


def test_a_modern_player_pauses_nobody(
    network: PrivateNetwork, relay: PlainRelay, start: StartMachine, friend: Join
) -> None:
    first = friend("first")
    second = start("second", may_pause(join("127.0.0.1", relay.port)), network.command)
    second.wait_until_joined()
    before = snapshot_of(first)
    for machine in (first, second):
        machine.console.command("PAUSE_TOGGLE")
    play_in_step([first, second])
    assert_same_history(first.history, second.history, before.frame, FRAMES)


def test_a_reset_by_anybody_leaves_all_with_one_game(friend: Join) -> None:
    first, second = friend("first"), friend("second")
    for machine in (first, second):
        machine.wait_for_frames(30)
        before = snapshot_of(machine).frame
        machine.reset()
        if machine is first:
            for each in (first, second):
                each.wait_for_ram(lambda snapshot, frame=before: snapshot.frame < frame, 5, "the reset")
        for each in (first, second):
            each.wait_for_frames(60)
            each.history = History(each.name)
        play_in_step([first, second])


def test_a_game_goes_on_through_upgrades_of_the_relay(relay: PlainRelay, friend: Join) -> None:
    first, second = friend("first"), friend("second")

    def upgrade() -> None:
        assert relay.run("upgrade").endswith(", 1 core-less sessions\n")

    play_through([first, second], upgrade, UPGRADES)
    found = table(relay)
    assert ([one["nick"] for one in found["players"]], keeper(relay)) == (["first", "second"], "first")
    assert relay.log.read_text().count("upgraded in place") == UPGRADES
    assert relay.status()["outcomes"] == {}
    # And the program that has taken over lets people in and out.
    assert first.quit() == 0
    third = friend("third")
    play_in_step([second, third])


def test_who_is_far_away_plays_in_step_too(
    tmp_path: Path, network: PrivateNetwork, relay: PlainRelay, start: StartMachine
) -> None:
    with ExitStack() as ways:
        machines = []
        for name, delay in (("near", 5), ("far", FAR)):
            argv = network.command([sys.executable, "-I", str(SLOW), str(relay.port), str(delay), str(JITTER)])
            way = ways.enter_context(Child(argv, log=tmp_path / f"way-{name}.log"))
            machine = start(name, join("127.0.0.1", int(way.line(within=10))), network.command)
            machine.wait_until_joined()
            machines.append(machine)
        play_in_step(machines)
        near, far = machines
        assert near.quit() == 0
        wait_for(lambda: keeper(relay) == "far", 5, "the far one to keep time")
        play_in_step([far, start_and_join(start, network, "late", relay.port)])


def start_and_join(start: StartMachine, network: PrivateNetwork, name: str, port: int) -> Machine:
    """Start a machine that only connects, and wait until it plays."""
    machine = start(name, join("127.0.0.1", port), network.command)
    machine.wait_until_joined()
    return machine


def test_a_host_at_the_same_port_is_who_newcomers_mean(
    network: PrivateNetwork, relay: PlainRelay, start: StartMachine
) -> None:
    host = start("host", host_through("127.0.0.1", relay.port), network.command)
    host.wait_until_joined()
    guest = start("guest", join("127.0.0.1", relay.port), network.command)
    guest.wait_until_joined()
    play_in_step([host, guest])
    assert relay.status()["tables"] == []
