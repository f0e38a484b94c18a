"""The measurements at a fixed number of sessions, and of savestates on one link."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from toolkit.bench import records
from toolkit.bench.crowd import SETTLING, crowd
from toolkit.bench.generator import Load
from toolkit.bench.judge import disturbance

if TYPE_CHECKING:
    from pathlib import Path

    from toolkit.bench.contenders import Contender
    from toolkit.bench.generator import Played
    from toolkit.bench.plan import Plan
    from toolkit.bench.procfs import Usage

MB = 1e6
WARM_BULK = 0.2


def load(contender: Contender, plan: Plan, generator: Path, turn: int) -> records.Load:
    """Measure CPU, latency, memory and set-up with plan.sessions sessions; repeated while something disturbs it."""
    with crowd(contender, generator) as sessions:
        time.sleep(SETTLING)
        idle = sessions.memory_kb()
        setup = sessions.open(plan.sessions)
        for attempt in range(plan.retries + 1):
            seed = 1 + turn * (plan.retries + 1) + attempt
            played = sessions.play(Load(sessions.links, seconds=plan.seconds, seed=seed))
            if not disturbance(played):
                break
        grown = sessions.memory_kb() - idle
    return _load_record(contender, plan.sessions, turn, setup, grown, played)


def _load_record(
    contender: Contender, sessions: int, turn: int, setup: Usage, grown_kb: int, played: Played
) -> records.Load:
    real = contender.pid is not None
    return records.Load(
        contender=contender.name,
        round=turn,
        sessions=sessions,
        messages=played.sent,
        cpu_us=played.relay.ran / 1000 / max(played.sent, 1) if real else None,
        p50_us=played.latency["p50"],
        p99_us=played.latency["p99"],
        p999_us=played.latency["p999"],
        late_p99_us=played.late["p99"],
        setup_us=setup.ran / 1000 / sessions if real else None,
        rss_kb=grown_kb / sessions if real else None,
        relay_busy=played.relay_busy,
        generator_busy=played.busy,
        waited=played.waited,
        why=disturbance(played),
    )


def bulk(contender: Contender, plan: Plan, generator: Path, turn: int) -> records.Bulk:
    """Measure how fast savestates go over one link; repeated while something disturbs it."""
    with crowd(contender, generator) as sessions:
        link = sessions.grow(1)[0]
        for _ in range(plan.retries + 1):
            played = sessions.play(Load(bulk=link, warm=WARM_BULK, seconds=plan.bulk_seconds))
            if not disturbance(played):
                break
    return records.Bulk(
        contender=contender.name,
        round=turn,
        mb_s=played.bulk_bytes / MB / played.seconds,
        waited=played.waited,
        why=disturbance(played),
    )
