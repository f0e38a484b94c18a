"""Which measurements count, and where a ramp ends."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from toolkit.bench import judge
from toolkit.bench.generator import Played
from toolkit.bench.procfs import Usage

SECOND = 1_000_000_000
CLEAN = Played(
    sent=1000,
    received=1000,
    blocked=0,
    broken=0,
    busy=0.4,
    latency={"p50": 20.0, "p99": 80.0},
    late={"p50": 1.0, "p99": 20.0},
    bulk_bytes=0,
    stall_bytes=0,
    stall_ended_s=None,
    relay=Usage(ran=SECOND, waited=0),
    seconds=2.0,
)


def played(**changes: object) -> Played:
    """Return a clean measurement but for some changes."""
    return dataclasses.replace(CLEAN, **changes)  # type: ignore[arg-type]


def test_a_clean_measurement_counts() -> None:
    assert judge.disturbance(CLEAN) == ""


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"late": {"p99": 1001.0}}, "the generator was late (1001 us)"),
        ({"relay": Usage(SECOND, SECOND // 10)}, "other programs kept the relay waiting (5% of the time)"),
        ({"received": 998}, "2 messages lost, 0 connections broken"),
        ({"broken": 1}, "0 messages lost, 1 connections broken"),
        ({"blocked": 1}, "0 messages lost, 0 connections broken"),
    ],
)
def test_a_disturbed_measurement_says_why(changes: dict[str, object], why: str) -> None:
    assert judge.disturbance(played(**changes)) == why


def test_a_step_is_carried_while_p99_keeps_the_bound() -> None:
    assert judge.carried(played(latency={"p99": judge.LATENCY_BOUND}))
    assert not judge.carried(played(latency={"p99": judge.LATENCY_BOUND + 1}))


def test_a_step_that_lost_a_message_is_not_carried() -> None:
    assert not judge.carried(played(received=999))


def test_a_ramp_ends_at_the_relay_only_where_its_core_was_full() -> None:
    slow = {"latency": {"p99": 9000.0}}
    assert judge.limit(played(**slow, relay=Usage(int(1.9 * SECOND), 0))) == judge.RELAY_LIMIT
    assert judge.limit(played(**slow, relay=Usage(SECOND, 0))) == judge.GENERATOR_LIMIT
    assert judge.limit(CLEAN) == judge.TOP


def test_a_ladder_rises_by_the_same_factor_and_ends_below_its_top() -> None:
    ladder = judge.steps(1000)
    assert ladder[0] == judge.RAMP_FIRST
    assert ladder[-1] <= 1000 < ladder[-1] * judge.RAMP_FACTOR
    strides = [above / below for below, above in zip(ladder, ladder[judge.STRIDE :], strict=False)]
    assert strides == pytest.approx([judge.RAMP_FACTOR] * len(strides), rel=0.01)
    assert all(below < above for below, above in itertools.pairwise(ladder))


def test_a_ladder_with_a_low_top_has_one_step() -> None:
    assert judge.steps(60) == [60]


def test_a_ramp_begins_at_the_step_below_what_was_carried_before() -> None:
    ladder = judge.steps(1000)
    assert ladder[judge.step_near(ladder, 150)] == 144
    assert judge.step_near(ladder, 20) == 0
