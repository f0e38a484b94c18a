"""How many sessions one core carries: more and more of them, until p99 leaves the bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.bench import records
from toolkit.bench.crowd import crowd
from toolkit.bench.generator import Load
from toolkit.bench.judge import KEPT_WAITING, carried, limit, step_near, steps

if TYPE_CHECKING:
    from pathlib import Path

    from toolkit.bench.contenders import Contender
    from toolkit.bench.crowd import Crowd
    from toolkit.bench.generator import Played
    from toolkit.bench.plan import Plan


def ramp(contender: Contender, plan: Plan, generator: Path, turn: int, near: float) -> records.Ramp:
    """Find the most sessions with p99 within the bound, beginning near a number of sessions; going down if need be."""
    ladder = steps(plan.ramp_top)
    at = step_near(ladder, near)
    while True:
        with crowd(contender, generator) as sessions:
            last, failed_at, played = climb(sessions, ladder[at:], plan)
        if last or at == 0:
            break
        # Not one of its steps was carried. A fresh relay: what is still under way in this one would be in the way.
        at = max(at - 2, 0)
    return records.Ramp(
        contender=contender.name,
        round=turn,
        sessions=last,
        limit=limit(played),
        failed_at=failed_at,
        p99_us=played.latency["p99"],
        relay_busy=played.relay_busy,
        generator_busy=played.busy,
        waited=played.waited,
        why=f"other programs kept the relay waiting ({played.waited:.0%})" if disturbed(played) else "",
    )


def climb(sessions: Crowd, ladder: list[int], plan: Plan) -> tuple[int, int, Played]:
    """Go up a ladder; return the last step that was carried (0: none), the one that was not (0: all), how that went."""
    last = 0
    for count in ladder:
        step = Load(sessions.grow(count), seconds=plan.ramp_seconds, seed=count)
        played = sessions.play(step)
        if not carried(played) and played.whole:
            # A short noise must not end a ramp.
            played = sessions.play(step)
        if not carried(played):
            return last, count, played
        last = count
    return last, 0, played


def disturbed(played: Played) -> bool:
    """Tell whether others had so much of the relay's core that it may have failed for that."""
    return not carried(played) and played.waited > 2 * KEPT_WAITING
