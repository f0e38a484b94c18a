"""Real games that stutter, or end for a reason: watch, status and doctor name what it is."""

from __future__ import annotations

import time
from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest

from relay import pace
from relay.monitoring import follow
from relay.pace import Cause
from tests.support.retroarch_settings import four_players, host_through, join, may_pause, saving_states_in, watching
from tests.support.waiting import wait_for
from toolkit.doctor.case import Case
from toolkit.doctor.findings import players
from toolkit.doctor.target import parse
from toolkit.watch import cards
from toolkit.watch.story import Card, Story

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    from tests.e2e.conftest import StartMachine
    from tests.support.namespace import PrivateNetwork
    from tests.support.plain_relay import PlainRelay
    from tests.support.retroarch import Machine

    Start = Callable[..., Machine]

pytestmark = [pytest.mark.retroarch, pytest.mark.timeout(90)]
# Of each tenth of a second a slow machine stands still for so much.
STOPPED = 0.07
FOUR_PADS = "[coreless]\ndevices = [1, 1, 257, 257]\n"


class Watch:
    """What `invoke watch` tells of a relay, as far as it was read; reports are the cards, each as one line."""

    def __init__(self, relay: PlainRelay) -> None:
        self.told: list[str] = []
        self.reports: list[str] = []
        self._story = Story()
        self._lines = follow.lines(relay.control, 0.25)
        self.tells()  # what is there already is shown and not told

    def tells(self, *words: str) -> bool:
        """Read the next line; whether one sentence with all these words was told by now."""
        for what in self._story.feed(next(self._lines), time.monotonic()):
            if isinstance(what, Card):
                self.reports.append(" ".join(cards.lines(what.room, 500)))
            else:
                self.told.append(what)
        return any(all(word in one for word in words) for one in [*self.told, *self.reports])

    def until(self, *words: str, within: float = 30.0) -> None:
        """Read until it is told."""
        wait_for(lambda: self.tells(*words), within, f"{words} to be told; told was {self.told}")


@contextmanager
def slow(*machines: Machine) -> Iterator[None]:
    """Let machines be too slow: their processes stand still for most of the time."""
    enough = Event()

    def hinder() -> None:
        while not enough.is_set():
            for machine in machines:
                machine.console.freeze()
            time.sleep(STOPPED)
            for machine in machines:
                machine.console.thaw()
            time.sleep(0.1 - STOPPED)

    thread = Thread(target=hinder)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


@pytest.fixture
def start_friend(network: PrivateNetwork, relay: PlainRelay, start: StartMachine) -> Start:
    """Return what starts a machine that joins, and waits until it plays."""

    def start_friend(name: str) -> Machine:
        machine = start(name, four_players(join("127.0.0.1", relay.port)), network.command)
        machine.wait_until_joined()
        return machine

    return start_friend


@pytest.fixture
def start_host(network: PrivateNetwork, relay: PlainRelay, start: StartMachine) -> Start:
    """Return what starts a host."""

    def start_host(name: str) -> Machine:
        machine = start(name, four_players(host_through("127.0.0.1", relay.port)), network.command)
        machine.wait_until_joined()
        return machine

    return start_host


def looks(relay: PlainRelay) -> list[dict[str, Any]]:
    """Look at the relay as often as status and doctor do."""
    found = [relay.status()]
    while len(found) < pace.LOOKS:
        time.sleep(pace.BETWEEN)
        found.append(relay.status())
    return found


def blamed(relay: PlainRelay) -> dict[str, Cause]:
    """Return for whom a game waits right now, and why."""
    (verdicts,) = pace.judged([pace.of(state) for state in looks(relay)]).values()
    return {one.who: one.cause for one in verdicts if one.cause in pace.HOLDS_UP}


def assert_named(relay: PlainRelay, watch: Watch, *names: str) -> None:
    """Assert that these, and nobody else, are named as slow machines by watch, status and doctor."""
    expected = dict.fromkeys(names, Cause.SLOW_MACHINE)
    wait_for(lambda: blamed(relay) == expected, 30, f"{names} to be named")
    for name in names:
        watch.until("frames a second: everybody waits for", f"{name}, who is", "that machine is too slow")
        wait_for(lambda name=name: f"everybody waits for {name}, who is" in relay.run("status"), 20, "status to say it")
    case = Case(parse("relay.example.org|55435"))
    *earlier, newest = looks(relay)
    case.host = {"relay": newest, "earlier": earlier}
    sentences = [finding.sentence for finding in players.look(case)]
    for name in names:
        (said,) = [one for one in sentences if name in one]
        assert f"everybody waits for {name}, who is" in said
        assert "Wi-Fi" not in said


@pytest.mark.parametrize("whose", [("bob",), ("anna",), ("bob", "carl")], ids=" and ".join)
def test_slow_machines_are_named_in_a_hosted_game(
    relay: PlainRelay, start_host: Start, start_friend: Start, whose: tuple[str, ...]
) -> None:
    watch = Watch(relay)
    machines = {"anna": start_host("anna")}
    machines |= {name: start_friend(name) for name in ("bob", *(["carl"] if "carl" in whose else []), "dora")}
    watch.until("dora plays")
    with slow(*(machines[name] for name in whose)):
        assert_named(relay, watch, *whose)
    for machine in machines.values():
        machine.stop()
    watch.until("is over", f"everybody waited for {whose[0]}, who was", "is too slow".replace("is", "was"))


@pytest.mark.parametrize("relay_toml", [FOUR_PADS], ids=["four pads"])
@pytest.mark.parametrize("whose", ["keeper", "bob"])
def test_a_slow_machine_is_named_where_nobody_hosts(relay: PlainRelay, start_friend: Start, whose: str) -> None:
    watch = Watch(relay)
    machines = {name: start_friend(name) for name in ("keeper", "bob", "dora")}
    watch.until("dora plays")
    with slow(machines[whose]):
        assert_named(relay, watch, whose)


def test_a_slow_machine_that_only_watches_is_not_named(
    network: PrivateNetwork, relay: PlainRelay, start_host: Start, start_friend: Start, start: StartMachine
) -> None:
    start_host("anna")
    start_friend("bob")
    watcher = start("carl", watching(join("127.0.0.1", relay.port)), network.command)
    wait_for(lambda: len(relay.clients()) == 2, 10, "carl to watch")
    with slow(watcher):
        wait_for(lambda: all(one["age"] > pace.SETTLED + 3 for one in relay.clients()), 20, "some seconds of it")
        assert blamed(relay) == {}


@pytest.mark.parametrize("pauser", ["anna", "bob"])
def test_a_pause_after_which_the_game_does_not_go_on_is_named(
    network: PrivateNetwork, relay: PlainRelay, start: StartMachine, pauser: str
) -> None:
    watch = Watch(relay)
    machines = {}
    for name, role in (("anna", host_through("127.0.0.1", relay.port)), ("bob", join("127.0.0.1", relay.port))):
        machines[name] = start(name, may_pause(role), network.command)
        machines[name].wait_until_joined()
    wait_for(lambda: relay.clients()[0]["age"] > pace.SETTLED, 10, "the game to go on for a while")
    machines[pauser].console.command("PAUSE_TOGGLE")
    watch.until(f"paused by {pauser}")
    machines[pauser].console.command("PAUSE_TOGGLE")
    watch.until("goes on")
    watch.until("stands still since a pause", "Allow Pausing OFF")
    # The host drops whom it waits for after 5 s; a host that stands still is left by the others.
    if pauser == "bob":
        machines["anna"].stop()
    watch.until("right before", "a pause was over, after which RetroArch does not go on")


def test_a_state_that_the_host_loads_by_hand_is_what_ends_the_game(
    tmp_path: Path, network: PrivateNetwork, relay: PlainRelay, start: StartMachine
) -> None:
    watch = Watch(relay)
    host = start("anna", saving_states_in(host_through("127.0.0.1", relay.port), tmp_path / "states"), network.command)
    host.wait_until_joined()
    friend = start("bob", join("127.0.0.1", relay.port), network.command)
    friend.wait_until_joined()
    watch.until("bob plays")
    host.save_state()
    host.wait_for_frames(60)
    host.load_state()
    host.wait_for_log('"bob" has disconnected', within=15)
    host.stop()
    watch.until("bob:", "right before its end: a savestate was loaded by hand at the host")
    assert "right before: a savestate was loaded by hand at the host" in relay.log.read_text()
