"""How fast the relay is, beside others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.collection import Collection
from invoke.tasks import task

from toolkit.errors import user_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke.context import Context

HELP = {
    "sessions": "games at once in the load part",
    "runs": "rounds; a median of fewer than five says little",
    "seconds": "seconds of load in each round",
    "only": "a part to measure (load, bulk, ramp, stall, coreless) instead of all; may be given several times",
    "config": "a relay.toml to measure the relay with; several are measured beside each other",
    "python": "the Python to run the relay with, instead of the system's",
    "floor": "measure a relay in Python without any feature beside them, in the load part",
    "before": "another checkout: measure its relay beside them, in the load and bulk parts",
    "json": "print one JSON object with every measurement",
    "markdown": "print the tables as docs/performance.md has them",
    "quick": "a few seconds that show that everything works; its numbers mean nothing",
}


@task(default=True, auto_shortflags=False, iterable=["only", "config"], help=HELP)
@user_errors
def bench(
    _: Context,
    sessions: int = 250,
    runs: int = 5,
    seconds: float = 3.0,
    only: Sequence[str] | None = None,
    config: Sequence[str] | None = None,
    python: str = "",
    floor: bool = False,
    before: str = "",
    json: bool = False,
    markdown: bool = False,
    quick: bool = False,
) -> None:
    """Measure this relay, HAProxy and a C relay in turns, on one core each, and print the ratios (about 6 minutes)."""
    from toolkit import bench as benchmark
    from toolkit.bench.plan import check_before, check_configs, parse_parts

    plan = benchmark.Plan(
        sessions=sessions,
        runs=runs,
        seconds=seconds,
        parts=parse_parts(only or ()),
        configs=check_configs(config or ()),
        python=python,
        floor=floor,
        before=check_before(before),
    )
    benchmark.bench(benchmark.quick(plan) if quick else plan, as_json=json, markdown=markdown)


ns = Collection(bench)
