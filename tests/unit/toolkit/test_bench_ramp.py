"""Going up a ramp: which steps are played, and where it ends."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, cast

import pytest

from tests.unit.toolkit.test_bench_judge import CLEAN
from toolkit.bench import judge, ramp
from toolkit.bench.crowd import Crowd
from toolkit.bench.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolkit.bench.generator import Load, Played
    from toolkit.bench.links import Link

LADDER = judge.steps(1000)


class FakeCrowd:
    """Sessions of a relay that carries so many, with a noise in each of the given tries."""

    def __init__(self, carries: int, noisy: tuple[int, ...] = ()) -> None:
        self.carries, self.noisy = carries, noisy
        self.counts: list[int] = []

    def grow(self, count: int) -> Sequence[Link]:
        """Return as many."""
        return cast("Sequence[Link]", range(count))

    def play(self, load: Load) -> Played:
        """Keep the bound, or not."""
        self.counts.append(len(load.games))
        kept = len(load.games) <= self.carries and len(self.counts) - 1 not in self.noisy
        return dataclasses.replace(CLEAN, latency={"p99": judge.LATENCY_BOUND * (0.5 if kept else 2)})


def climbed(crowd: FakeCrowd, at: int = 0, ladder: list[int] = LADDER) -> tuple[int, Played]:
    """Climb with a fake crowd."""
    return ramp.climb(cast("Crowd", crowd), ladder, at, Plan())


@pytest.mark.parametrize("carries", [*LADDER, *(count - 1 for count in LADDER[1:])])
def test_a_ramp_finds_the_last_step_a_relay_carries_wherever_it_is(carries: int) -> None:
    last, end = climbed(FakeCrowd(carries))
    assert LADDER[last] <= carries
    assert last + 1 == len(LADDER) or LADDER[last + 1] > carries
    assert judge.carried(end) == (last + 1 == len(LADDER))


def test_a_ramp_goes_up_in_strides_and_halves_what_is_left() -> None:
    crowd = FakeCrowd(LADDER[5])
    climbed(crowd)
    tried = list(dict.fromkeys(LADDER.index(count) for count in crowd.counts))
    assert tried == [0, 4, 8, 6, 5]


def test_a_short_noise_does_not_end_a_ramp() -> None:
    quiet, noisy = FakeCrowd(LADDER[5]), FakeCrowd(LADDER[5], noisy=(0, 1))
    assert climbed(noisy)[0] == climbed(quiet)[0] == 5
    assert noisy.counts[: ramp.TRIES + 1] == [LADDER[0]] * ramp.TRIES + [LADDER[4]]


def test_a_ramp_whose_first_step_is_not_carried_goes_no_further() -> None:
    crowd = FakeCrowd(99)
    assert climbed(crowd, at=4)[0] == -1
    assert set(crowd.counts) == {LADDER[4]}


def test_a_ladder_of_one_step_has_an_end() -> None:
    assert climbed(FakeCrowd(60), ladder=[60])[0] == 0
    assert climbed(FakeCrowd(59), ladder=[60])[0] == -1
