"""When a measurement counts, and what a step of a ramp says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from toolkit.bench.generator import Played

LATE: Final = 1000.0
"""Microseconds of the generator's own lateness (p99) above which a measurement does not count."""
KEPT_WAITING: Final = 0.03
"""Part of the window that other programs may keep the relay from its core."""
LATENCY_BOUND: Final = 5000.0
"""Microseconds of p99 up to which a core carries its sessions: a third of a frame."""
BUSY: Final = 0.9
"""Part of the window a relay runs when its core is full: the rest is the kernel's, and the scheduler's."""
RAMP_FIRST: Final = 100
RAMP_FACTOR: Final = 1.2
STRIDE: Final = 4
"""A ramp goes up by this many steps at once, and by single ones where it ended: 1.2 and 1.05."""

RELAY_LIMIT, GENERATOR_LIMIT, TOP = "relay", "generator", "top"


def disturbance(played: Played) -> str:
    """Say what makes a measurement worthless; empty when nothing does."""
    if not played.whole:
        lost = played.sent - played.received
        return f"{lost} messages lost, {played.broken} connections broken"
    if played.late["p99"] > LATE:
        return f"the generator was late ({played.late['p99']:.0f} us)"
    if played.waited > KEPT_WAITING:
        return f"other programs kept the relay waiting ({played.waited:.0%} of the time)"
    return ""


def carried(played: Played) -> bool:
    """Tell whether a step of a ramp succeeded."""
    return played.whole and played.latency["p99"] <= LATENCY_BOUND


def limit(played: Played) -> str:
    """Say who was at the end of its strength in a ramp's last step: the relay's core was full, or it was not."""
    if carried(played):
        return TOP
    return RELAY_LIMIT if played.relay_busy >= BUSY else GENERATOR_LIMIT


def steps(top: int) -> list[int]:
    """Return the session counts of a ramp, the same for every relay so that pairs can be compared."""
    counts = [min(RAMP_FIRST, top)]
    while (count := round(RAMP_FIRST * RAMP_FACTOR ** (len(counts) / STRIDE))) <= top:
        counts.append(count)
    return counts


def step_near(ladder: list[int], sessions: float) -> int:
    """Return the index of the last step of a ladder that is not above a number of sessions; 0 if all are.

    Counted in whole strides, so that every relay meets the same steps on its way up.
    """
    return max((index for index in range(0, len(ladder), STRIDE) if ladder[index] <= sessions), default=0)
