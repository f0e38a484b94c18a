"""Debian's four releases of RetroArch with each other: in games that one of them hosts, and in games without a host.

Each is told to join by a line that `invoke join` prints for it, letter for letter.
"""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support import retroarch_releases as releases
from tests.support.history import History
from tests.support.plain_relay import PlainRelay
from tests.support.play import play_in_step, read, snapshot_of
from tests.support.retroarch_releases import SUITES
from tests.support.retroarch_settings import Role, four_players, may_pause
from tests.support.waiting import wait_for
from toolkit.join import lines
from toolkit.join.rooms import Room, rooms_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import Any

    from tests.e2e.conftest import StartMachine
    from tests.support.namespace import PrivateNetwork
    from tests.support.retroarch import Machine
    from tests.support.retroarch_releases import Release

# Of which building what is missing is most, where nothing is.
pytestmark = [pytest.mark.retroarch, pytest.mark.timeout(1200)]
ADDRESS, PORT = "127.0.0.1", 55435
HOSTED = '[[room]]\nid = "FridayNightRoom1"\n'
# Pads 3 and 4 of this core are of a kind of its own.
FOUR_PADS = "[coreless]\ndevices = [1, 1, 257, 257]\n"
HOSTS = SUITES[1:]
# The first release that speaks it; sid has a later one.
PROTOCOL_7 = (1, 21)
# A machine that does no more is dropped after 5 s; RetroArch runs on for one second before it waits.
DROPPED_WITHIN = 20.0
JOINED_WITHIN = 20.0
FRAMES = 60


@pytest.fixture
def relay(tmp_path: Path, network: PrivateNetwork, relay_toml: str) -> Iterator[PlainRelay]:
    """Run the relay on the port that the lines are for: 1.7.1 takes no other."""
    with PlainRelay(tmp_path, network.command, relay_toml, PORT) as running:
        yield running


def line_for(release: Release, room: Room, *, by_id: bool = False) -> str:
    """Return the line of `join` that a friend with this release takes."""
    if by_id and release.number >= (1, 17):
        return lines.friend_command_1_17(ADDRESS, room)
    if by_id:
        return f'retroarch --connect "{lines.full_string(ADDRESS, room)}" -L CORE GAME'
    if release.number < (1, 9, 13):
        older = lines.friend_command_1_9(ADDRESS, room)
        assert older is not None
        return older
    return lines.friend_command(ADDRESS, room)


def typed(release: Release, line: str, appendconfig: str = "") -> Role:
    """Return what a line does when it is typed into a release, by a machine of the tests; the file is beside it."""
    program, *words = shlex.split(line)
    assert (program, words[-3:]) == ("retroarch", ["-L", "CORE", "GAME"])
    role = release.runs(four_players(Role(tuple(words[:-3]))))
    enter = role.command
    assert enter is not None

    def command(folder: Path, argv: list[str]) -> list[str]:
        file = folder / lines.APPENDCONFIG
        file.write_text(appendconfig)
        return enter(folder, [str(file) if word == lines.APPENDCONFIG else word for word in argv])

    return replace(role, command=command)


class Players:
    """Starts machines of a test, each named for its suite."""

    def __init__(self, relay: PlainRelay, network: PrivateNetwork, start: StartMachine) -> None:
        self._relay, self._network, self._start = relay, network, start
        self._count = 0

    def room(self) -> Room:
        """Return the relay's main room as `join` sees it."""
        return rooms_of(self._relay.status())[0]

    def host(self, suite: str) -> Machine:
        """Start a host."""
        role = typed(releases.need(suite), lines.host_command(), lines.appendconfig(ADDRESS, self.room()))
        return self._machine(suite, may_pause(role))

    def friend(self, suite: str, *, by_id: bool = False) -> Machine:
        """Start somebody who joins, and wait until they play."""
        release = releases.need(suite)
        return self._machine(suite, typed(release, line_for(release, self.room(), by_id=by_id)))

    def _machine(self, suite: str, role: Role) -> Machine:
        self._count += 1
        machine = self._start(f"{suite}{self._count}", role, self._network.command, 20)
        machine.wait_until_joined(JOINED_WITHIN)
        return machine


@pytest.fixture
def players(relay: PlainRelay, network: PrivateNetwork, start: StartMachine) -> Players:
    """Return what starts machines; without root, or a suite, the test is skipped before anything else runs."""
    return Players(relay, network, start)


def seen(relay: PlainRelay, machine: Machine) -> dict[str, Any]:
    """Return what the relay has seen on the link of a client."""
    found = (client["seen"] for client in relay.clients())
    return next(one for one in found if one["client"]["nick"] == machine.name)


@pytest.mark.parametrize("relay_toml", [HOSTED], ids=["a room"])
@pytest.mark.parametrize("suite", HOSTS)
def test_every_release_joins_a_host_of_each(suite: str, relay: PlainRelay, players: Players) -> None:
    host = players.host(suite)
    first = [players.friend("bullseye"), players.friend("bookworm"), players.friend("trixie", by_id=True)]
    play_in_step([host, *first], FRAMES)
    for friend in first:
        assert friend.quit() == 0
    wait_for(lambda: not relay.clients(), 5, "the relay to see them go")
    second = [players.friend("sid"), players.friend("bookworm", by_id=True), players.friend("trixie")]
    play_in_step([host, *second], FRAMES)
    assert second[0].quit() == 0
    wait_for(lambda: len(relay.clients()) == 2, 5, "the relay to see it go")
    last = players.friend("sid", by_id=True)
    play_in_step([host, last, *second[1:]], FRAMES)
    assert seen(relay, last)["protocol"] == (7 if releases.need(suite).number >= PROTOCOL_7 else 6)
    for watching in (second[1], last):
        for role in ("watching", "playing"):
            watching.toggle("NETPLAY_GAME_WATCH", lambda: seen(relay, watching)["role"] == role)  # noqa: B023
            host.wait_for_frames(20)
    # Nothing differed, though 1.21 and newer ask for a state whenever somebody begins to play or ceases to.
    assert [client["seen"]["desyncs"] for client in relay.clients()] == [0, 0, 0]
    assert all(not client["seen"]["stopped"] for client in relay.clients())


def table(relay: PlainRelay) -> dict[str, Any]:
    """Return the only game without a host."""
    (found,) = relay.status()["tables"]
    return found


def back(machines: Sequence[Machine], frame: int) -> None:
    """Wait until all are at an earlier frame than this one, and play on with histories of their own."""
    for machine in machines:
        machine.wait_for_ram(lambda snapshot: snapshot.frame < frame, 10, "the other state")
    for machine in machines:
        machine.wait_for_frames(80)
        machine.history = History(machine.name)


def forth(machines: Sequence[Machine], frame: int) -> None:
    """Wait until all are past this frame, where one was far before it, and play on with histories of their own."""
    for machine in machines:
        machine.wait_for_ram(lambda snapshot: snapshot.frame > frame, 10, "everybody's game")
    for machine in machines:
        machine.wait_for_frames(80)
        machine.history = History(machine.name)


def watches_and_plays(relay: PlainRelay, machine: Machine) -> None:
    """Let somebody watch, and play again."""
    for role in ("watching", "playing"):
        machine.toggle(
            "NETPLAY_GAME_WATCH",
            lambda: any(one["nick"] == machine.name and one["role"] == role for one in table(relay)["players"]),  # noqa: B023
        )


def pauses(relay: PlainRelay, machine: Machine, machines: Sequence[Machine]) -> None:
    """Let somebody pause for a second, in which nobody plays on, and go on."""
    machine.toggle("PAUSE_TOGGLE", lambda: table(relay)["paused_by"] == [machine.name])
    frame, others = table(relay)["frame"], [each for each in machines if each is not machine]
    for _ in range(60):
        read(others)
    assert table(relay)["frame"] == frame
    # It answers nothing while it is paused, and plays no older frames again in which a command is lost.
    machine.console.command("PAUSE_TOGGLE")
    wait_for(lambda: read(others) or table(relay)["frame"] > frame + 60, 10, "the game to go on")


@pytest.mark.parametrize("relay_toml", [FOUR_PADS], ids=["four pads"])
@pytest.mark.parametrize(("first", "count"), [*((suite, 4) for suite in SUITES), ("trixie", 3), ("sid", 3)])
def test_all_releases_play_without_a_host_whoever_keeps_time(
    first: str, count: int, relay: PlainRelay, players: Players
) -> None:
    order = [*SUITES[SUITES.index(first) :], *SUITES[: SUITES.index(first)]][:count]
    machines = [players.friend(suite) for suite in order]
    play_in_step(machines, FRAMES)
    # What the one who keeps time loads all have; what another resets is undone.
    master, other = machines[0], machines[2]
    master.save_state()
    master.wait_for_frames(120)
    before = snapshot_of(master).frame
    master.load_state()
    back(machines, before)
    play_in_step(machines, FRAMES)
    before = snapshot_of(master).frame
    other.reset()
    forth(machines, before)
    # Somebody watches, and plays again. Of these four 1.7.3 alone pauses where nobody hosts.
    watches_and_plays(relay, other)
    pauses(relay, next(machine for machine in machines if machine.name.startswith("bullseye")), machines)
    play_in_step(machines, FRAMES)
    # Somebody stands still for ever, and is dropped alone; the one who keeps time leaves; somebody comes late.
    frozen = machines.pop()
    frozen.console.freeze()
    wait_for(lambda: read(machines) or relay.status()["outcomes"].get("frozen"), DROPPED_WITHIN, "it to be dropped")
    assert machines.pop(0).quit() == 0
    play_in_step([*machines, players.friend(first)], FRAMES)
    frozen.console.thaw()
    assert relay.status()["outcomes"].keys() <= {"frozen", "left"}
