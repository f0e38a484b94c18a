"""The acceptance of the whole path: real RetroArch plays through the relay that ``deploy`` put on a host.

The player hosts and a friend joins, each in a network of the lab of their own; a stranger, who is on the same wire, is
refused before the relay hears of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.lab_relay import UNIT
from tests.support.play import FRAMES, assert_same_history, play_in_step, play_through, snapshot_of
from tests.support.retroarch_settings import Role, host_through, join
from tests.support.waiting import wait_for
from toolkit.hosts import last
from toolkit.join import lines, show

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.conftest import StartMachine
    from tests.support.lab_relay import LabRelay

# Deploying, which the first of these tests waits for, has bounds of its own.
pytestmark = [pytest.mark.retroarch, pytest.mark.lab, pytest.mark.timeout(40, func_only=True)]
RELOADS = 5
# systemd waits 2 s before it starts a program again.
BACK_WITHIN = 15.0
# Stops the process when it has the state's file open, and kills it where it still has it when it stands.
KILL_IN_AN_UPGRADE = """
import os, signal, sys, time
pid, end = int(sys.argv[1]), time.monotonic() + 15
def handing_over():
    try:
        links = [os.readlink(entry.path) for entry in os.scandir(f"/proc/{pid}/fd")]
    except FileNotFoundError:
        return False
    return any("netplay-relay-state" in link for link in links)
def stands():
    return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] == "T"
while not handing_over():
    assert time.monotonic() < end, "no upgrade has come that far"
os.kill(pid, signal.SIGSTOP)
while not stands():
    pass
held = handing_over()
os.kill(pid, signal.SIGKILL)
assert held, "the new program had read the state before it was stopped"
"""
# A connection that nobody answers is given up by RetroArch after 10 s, during which the game stands still.
REFUSED_WITHIN = 20.0


@pytest.mark.parametrize("by_session", [True, False], ids=["with the session id", "with the address alone"])
def test_the_player_and_a_friend_play_in_step(deployed: LabRelay, start: StartMachine, by_session: bool) -> None:
    before = deployed.opened()
    player = start("player", host_through(deployed.address, deployed.port), deployed.inside("player"))
    player.wait_until_joined()
    session = deployed.new_session(before) if by_session else ""
    friend = start("friend", join(deployed.address, deployed.port, session), deployed.inside("friend"))
    assert friend.wait_until_joined() == 2
    play_in_step([player, friend])


def test_what_join_prints_of_the_host_deployed_to_last_leads_into_its_game(
    deployed: LabRelay, start: StartMachine, tmp_path: Path
) -> None:
    free = show.fetch(last.resolve(None, None))
    (room,) = free.rooms
    assert (free.address, room.port, room.host) == (deployed.address, deployed.port, "")
    settings = tmp_path / lines.APPENDCONFIG
    settings.write_text(lines.appendconfig(free.address, room))
    player = start("player", Role((f"--appendconfig={settings}", "--host")), deployed.inside("player"))
    player.wait_until_joined()
    hosted = show.fetch(last.resolve(None, None))
    (room,) = hosted.rooms
    assert room.host == deployed.lab.node("player").ipv4
    string = lines.full_string(hosted.address, room)
    friend = start("friend", Role(("--connect", string)), deployed.inside("friend"))
    assert friend.wait_until_joined() == 2


def test_a_stranger_never_gets_a_game(deployed: LabRelay, start: StartMachine) -> None:
    before = deployed.opened()
    player = start("player", host_through(deployed.address, deployed.port), deployed.inside("player"))
    player.wait_until_joined()
    right = join(deployed.address, deployed.port, deployed.new_session(before))
    stranger = start("stranger", right, deployed.inside("stranger"), within=REFUSED_WITHIN)
    stranger.wait_for_log("Failed to connect to host", within=1)
    assert not stranger.logged("have joined")
    assert not player.logged("Got connection from|Queued tunnel link connection")
    assert deployed.lab.node("stranger").ipv4 not in deployed.log()
    # The same words from a friend's address are let in, so it was the address that was refused.
    friend = start("friend", right, deployed.inside("friend"))
    assert friend.wait_until_joined() == 2


def test_a_game_goes_on_while_the_service_is_reloaded(deployed: LabRelay, start: StartMachine) -> None:
    player = start("player", host_through(deployed.address, deployed.port), deployed.inside("player"))
    player.wait_until_joined()
    friend = start("friend", join(deployed.address, deployed.port), deployed.inside("friend"))
    friend.wait_until_joined()
    pid, before = deployed.pid(), deployed.log().count("upgraded in place")
    play_through([player, friend], lambda: deployed.run("systemctl", "reload", UNIT), RELOADS)
    assert deployed.log().count("upgraded in place") == before + RELOADS
    assert deployed.pid() == pid


def kill(deployed: LabRelay) -> None:
    deployed.run("systemctl", "kill", "--kill-who=main", "--signal=KILL", UNIT)


def kill_in_an_upgrade(deployed: LabRelay) -> None:
    """Kill the relay while all it knows is in a memory file that no program has read yet."""
    pid, before = deployed.pid(), deployed.log().count("upgraded in place")
    deployed.run("systemctl", "reload", "--no-block", UNIT)
    deployed.run("/usr/bin/python3", "-I", "-c", KILL_IN_AN_UPGRADE, str(pid))
    assert deployed.log().count("upgraded in place") == before


@pytest.mark.parametrize("die", [kill, kill_in_an_upgrade], ids=["at work", "in the middle of an upgrade"])
def test_a_killed_relay_is_noticed_and_comes_back(
    deployed: LabRelay, start: StartMachine, die: Callable[[LabRelay], None]
) -> None:
    player = start("player", host_through(deployed.address, deployed.port), deployed.inside("player"))
    player.wait_until_joined()
    friend = start("friend", join(deployed.address, deployed.port), deployed.inside("friend"))
    friend.wait_until_joined()
    beginning = snapshot_of(player).frame
    play_in_step([player, friend])
    last = min(max(machine.history.rows) for machine in (player, friend))
    killed = deployed.pid()
    die(deployed)  # a busy machine takes longer for that than their memory holds frames: nobody reads them meanwhile

    player.wait_for_log("Tunnel server error", within=5)
    player.wait_for_log('"friend" has disconnected', within=5)
    friend.wait_for_log("Netplay disconnected", within=5)
    # Each goes on alone with what it has, and nothing of what they have played is lost or changed.
    for machine in (player, friend):
        left_at = snapshot_of(machine).frame
        machine.wait_for_ram(lambda snapshot, frame=left_at: snapshot.frame > frame + 60, 5, "the game to go on alone")
    assert_same_history(player.history, friend.history, beginning, FRAMES, last)
    assert friend.quit() == 0

    wait_for(lambda: deployed.pid() not in (0, killed), BACK_WITHIN, "systemd to start the relay again")
    player.host_again()
    guest = start("guest", join(deployed.address, deployed.port), deployed.inside("friend"))
    guest.wait_until_joined()
    play_in_step([player, guest])
