"""How many sessions one core carries: more and more of them, until p99 leaves the bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.bench import records
from toolkit.bench.crowd import crowd
from toolkit.bench.generator import Load
from toolkit.bench.judge import KEPT_WAITING, STRIDE, carried, limit, step_near, steps

if TYPE_CHECKING:
    from pathlib import Path

    from toolkit.bench.contenders import Contender
    from toolkit.bench.crowd import Crowd
    from toolkit.bench.generator import Played
    from toolkit.bench.plan import Plan

# Noise of the machine only ever takes away, so what a step's best try shows is nearest to what a relay can do.
TRIES = 3
# One game in so many has its latency measured; the generator would else be at its end before the relay is.
MEASURED = 8


def ramp(contender: Contender, plan: Plan, generator: Path, turn: int, near: float) -> records.Ramp:
    """Find the most sessions with p99 within the bound, beginning near a number of sessions; going down if need be."""
    ladder = steps(plan.ramp_top)
    at = step_near(ladder, near)
    while True:
        with crowd(contender, generator) as sessions:
            last, end = climb(sessions, ladder, at, plan)
        if last >= 0 or at == 0:
            break
        # Not one of its steps was carried. A fresh relay: what is still under way in this one would be in the way.
        at = max(at - 2 * STRIDE, 0)
    return records.Ramp(
        contender=contender.name,
        round=turn,
        sessions=ladder[last] if last >= 0 else 0,
        limit=limit(end),
        failed_at=0 if carried(end) else ladder[last + 1],
        p99_us=end.latency["p99"],
        relay_busy=end.relay_busy,
        generator_busy=end.busy,
        waited=end.waited,
        why=f"other programs kept the relay waiting ({end.waited:.0%})" if disturbed(end) else "",
    )


def climb(sessions: Crowd, ladder: list[int], at: int, plan: Plan) -> tuple[int, Played]:
    """Go up a ladder from a step in strides, and where one is not carried, halve what is left until the last that is.

    Returns that one's index, -1 if the first was not carried, and how the one above it went; the top has none above.
    """
    last, failed, step = -1, len(ladder), at
    while True:
        played = play(sessions, ladder[step], plan)
        if carried(played):
            last = step
        else:
            failed, end = step, played
        if failed - last == 1 or last < 0:
            return last, end if failed < len(ladder) else played
        step = min(last + STRIDE, len(ladder) - 1) if failed == len(ladder) else (last + failed) // 2


def play(sessions: Crowd, count: int, plan: Plan) -> Played:
    """Let so many sessions play, again if they do not keep the bound; return how it went."""
    load = Load(sessions.grow(count), measured=MEASURED, seconds=plan.ramp_seconds, seed=count)
    for _ in range(TRIES):
        played = sessions.play(load)
        if carried(played) or not played.whole:
            break
    return played


def disturbed(played: Played) -> bool:
    """Tell whether others had so much of the relay's core that it may have failed for that."""
    return not carried(played) and played.waited > 2 * KEPT_WAITING
