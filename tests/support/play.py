"""The acceptance of a game: every button of every machine reaches all, exactly once, and all hold the same history."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from typing import TYPE_CHECKING

from tests.support.history import compare
from tests.support.nes.layout import Button, Snapshot, next_check
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.support.history import History
    from tests.support.retroarch import Machine

# How many frames of a game are looked at, at least (3.3 s).
FRAMES = 200
SETTLE_WITHIN = 15.0


def play_in_step(machines: Sequence[Machine], frames: int = FRAMES) -> None:
    """Press each button once on each machine, play on for ``frames`` at least, and assert that all saw the same.

    The machines have joined one game. Raises AssertionError that says which machine saw what.
    """
    before = snapshot_of(machines[0])
    press_every_button(machines)
    assert_in_step(machines, before, frames=frames)


def play_through(machines: Sequence[Machine], disturb: Callable[[], object], times: int) -> None:
    """Let something happen several times, pressing each button on each machine the while, and assert as above.

    ``disturb`` makes it happen once, within a bound, and raises what it has to report.
    """
    before = snapshot_of(machines[0])
    with ThreadPoolExecutor(max_workers=1) as pool:
        for _ in range(times):
            disturbance = pool.submit(disturb)
            press_every_button(machines)
            while not disturbance.done():
                read(machines)
            disturbance.result()
    assert_in_step(machines, before, times)


def assert_in_step(machines: Sequence[Machine], before: Snapshot, times: int = 1, frames: int = FRAMES) -> None:
    """Play on for ``frames`` since ``before``, at least, and assert that all saw the same.

    Each button was pressed ``times`` times on each machine.
    """
    settle(machines, at_least=before.frame + frames)
    for machine in machines:
        assert_pressed(machine, machines, before, times)
    for left, right in combinations(machines, 2):
        assert_same_history(left.history, right.history, before.frame, frames)


def read(machines: Sequence[Machine]) -> None:
    """Read each machine's RAM once: the ring is 3 s long, and a machine that is not read for 2 s loses rows."""
    for machine in machines:
        machine.ram()


def snapshot_of(machine: Machine) -> Snapshot:
    """Read a machine's RAM, as soon as it answers."""
    return machine.wait_for_ram(lambda _: True, 5.0, "RAM")


def press_every_button(machines: Sequence[Machine]) -> None:
    """Press each button on each machine, so that presses of different machines overlap."""
    for button in Button:
        for machine in machines:
            machine.hold(button)
        for machine in machines:
            machine.release(button)


def settle(machines: Sequence[Machine], at_least: int = 0) -> None:
    """Play on until the newest frame of any machine, and frame ``at_least``, can no longer change on any of them."""
    last = max(at_least, *(snapshot_of(machine).frame for machine in machines))

    def all_hold_it() -> bool:
        read(machines)
        return all(last in machine.history.rows for machine in machines)

    wait_for(all_hold_it, SETTLE_WITHIN, f"frame {last} to be settled on {[machine.name for machine in machines]}")


def assert_pressed(witness: Machine, players: Sequence[Machine], before: Snapshot, times: int) -> None:
    """Assert that ``witness`` counted ``times`` presses more than ``before`` of each player's buttons, and no other."""
    expected = [list(pad) for pad in before.presses]
    for player in players:
        expected[player.player - 1] = [(count + times) % 256 for count in expected[player.player - 1]]
    seen = [list(pad) for pad in snapshot_of(witness).presses]
    assert seen == expected, f"{witness.name} counted presses {seen}, the players made {expected}"


def assert_same_history(left: History, right: History, start: int, frames: int, last: int | None = None) -> None:
    """Assert that both hold the same, unbroken and never rewritten frames from ``start`` on, ``frames`` at least.

    ``last`` is the last frame that had to be read: of those behind it some may be missing.
    """
    comparison = compare(left, right)
    assert comparison.equal, f"{left.name} and {right.name}: {comparison}"
    shared = [frame for frame in comparison.common if frame >= start]
    assert len(shared) >= frames, f"only {len(shared)} common frames from {start} on"
    for history in (left, right):
        assert not history.rewritten, f"{history.name} changed settled frames: {history.rewritten[:3]}"
        assert_unbroken(history, start, last)


def assert_unbroken(history: History, start: int, last: int | None = None) -> None:
    """Assert that no frame is missing up to ``last``, and that each check value follows from the one before."""
    for frame in range(start + 1, (max(history.rows) if last is None else last) + 1):
        row = history.rows.get(frame)
        assert row is not None, f"{history.name}: frame {frame} is missing"
        assert row.check == next_check(history.rows[frame - 1].check, row), f"{history.name}: wrong check at {row}"
