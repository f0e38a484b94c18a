"""Each line that `invoke join` prints, typed into stock RetroArch.

The installed RetroArch decides how far that goes: 1.17 and newer take every line; an older one takes all but
--mitm-session, which it must refuse, and then the rest of that line is run.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.plain_relay import PlainRelay
from tests.support.play import play_in_step
from tests.support.retroarch_settings import Role
from tests.support.waiting import wait_for
from toolkit.join import lines
from toolkit.join.rooms import Room, rooms_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.conftest import StartMachine
    from tests.support.namespace import PrivateNetwork

pytestmark = [pytest.mark.retroarch, pytest.mark.timeout(60)]
# The network is the test's own, so numbers that are always the same disturb nobody.
PORT = 55435
FRIDAY = '[[room]]\nid = "FridayNightRoom1"\nport = 55440\nmode = "tunnel"\n'
TWO = '[[room]]\nid = "FridayNightRoom1"\n[[room]]\nid = "TheOtherRoom0002"\n'
ADDRESS = "127.0.0.1"


@pytest.fixture
def relay(tmp_path: Path, network: PrivateNetwork, relay_toml: str) -> Iterator[PlainRelay]:
    """Run the relay on the port that its settings name: its rooms say so."""
    with PlainRelay(tmp_path, network.command, relay_toml, PORT) as running:
        yield running


def role(command: str, folder: Path) -> Role:
    """Return what a line does, as a machine of the tests does it: with a core, a game and settings of its own."""
    program, *words = shlex.split(command)
    assert (program, words[-3:]) == ("retroarch", ["-L", "CORE", "GAME"])
    return Role(tuple(str(folder / word) if word == lines.APPENDCONFIG else word for word in words[:-3]))


def host(room: Room, folder: Path) -> Role:
    (folder / lines.APPENDCONFIG).write_text(lines.appendconfig(ADDRESS, room))
    return role(lines.host_command(), folder)


def newer_than_1_16() -> bool:
    said = subprocess.run(["retroarch", "--version"], capture_output=True, text=True, check=False, timeout=20)
    found = re.search(r"(\d+)\.(\d+)\.\d+", said.stdout + said.stderr)
    assert found, f"retroarch --version says {said.stdout}{said.stderr}"
    return (int(found[1]), int(found[2])) >= (1, 17)


@pytest.mark.parametrize("relay_toml", [FRIDAY], ids=["a room with a port of its own"])
def test_the_lines_of_a_room_lead_into_it(
    network: PrivateNetwork, relay: PlainRelay, start: StartMachine, tmp_path: Path
) -> None:
    friday, _ = rooms_of(relay.status())
    assert friday.waits_for_host
    player = start("player", host(friday, tmp_path), network.command)
    player.wait_until_joined()
    (opened,) = relay.status()["sessions"]
    assert (opened["id"], opened["port"]) == (friday.id, 55440)
    friday, _ = rooms_of(relay.status())
    friend = start("friend", role(lines.friend_command(ADDRESS, friday), tmp_path), network.command)
    assert friend.wait_until_joined() == 2
    play_in_step([player, friend], frames=30)
    # What a room is told to be is what the machines in it are.
    wait_for(lambda: rooms_of(relay.status())[0].core, 5, "the relay to have seen the core")
    friday, _ = rooms_of(relay.status())
    assert (friday.host, friday.players, friday.core) == ("player", ("friend",), "Nestopia")
    assert lines.state_line(friday).startswith("player hosts it with friend; core Nestopia ")
    assert friend.quit() == 0

    new = role(lines.friend_command_1_17(ADDRESS, friday), tmp_path)
    if not newer_than_1_16():
        refused = subprocess.run(["retroarch", *new.arguments], capture_output=True, text=True, check=False, timeout=20)
        assert refused.returncode == 1
        assert "unrecognized option '--mitm-session" in refused.stdout + refused.stderr
        at = new.arguments.index("--mitm-session")
        new = Role(new.arguments[:at] + new.arguments[at + 2 :])
    late = start("late", new, network.command)
    assert late.wait_until_joined() == 2
    assert late.quit() == 0
    # Older ones cannot be run here; they have the two options of this line from the beginning.
    older = lines.friend_command_1_9(ADDRESS, friday)
    assert older is not None
    assert start("older", role(older, tmp_path), network.command).wait_until_joined() == 2


@pytest.mark.parametrize("relay_toml", [TWO], ids=["two rooms on one port"])
def test_of_two_rooms_on_one_port_the_lines_of_each_lead_into_it(
    network: PrivateNetwork, relay: PlainRelay, start: StartMachine, tmp_path: Path
) -> None:
    for name, folder in (("one", tmp_path / "a"), ("two", tmp_path / "b")):
        folder.mkdir()
        # From one address: the second host gets the next room, the first being hosted.
        start(name, host(rooms_of(relay.status())[0], folder), network.command).wait_until_joined()
    for room in rooms_of(relay.status()):
        assert lines.string(ADDRESS, room) == f"{ADDRESS}|{relay.port}|{room.id}"
        assert lines.friend_command_1_9(ADDRESS, room) is None
        friend = start(room.name, role(lines.friend_command(ADDRESS, room), tmp_path), network.command)
        friend.wait_until_joined()
    joined = {session["id"]: len(session["clients"]) for session in relay.status()["sessions"]}
    assert joined == {"FridayNightRoom1": 1, "TheOtherRoom0002": 1}


@pytest.mark.parametrize("relay_toml", [FRIDAY.replace("tunnel", "auto")], ids=["whichever comes first"])
def test_where_nobody_has_to_host_the_line_of_everybody_begins_a_game(
    network: PrivateNetwork, relay: PlainRelay, start: StartMachine, tmp_path: Path
) -> None:
    room, _ = rooms_of(relay.status())
    assert (room.waits_for_host, room.can_be_hosted) == (False, True)
    machines = []
    for name in ("anna", "ben"):
        machines.append(start(name, role(lines.friend_command(ADDRESS, room), tmp_path), network.command))
        machines[-1].wait_until_joined()
    play_in_step(machines, frames=30)
    room, _ = rooms_of(relay.status())
    assert (room.open, room.can_be_hosted, sorted(room.players), room.core) == (
        True,
        False,
        ["anna", "ben"],
        "Nestopia",
    )
