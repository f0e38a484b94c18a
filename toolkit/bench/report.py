"""The result of a run as tables for people, or as JSON for programs."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from toolkit.bench.figures import with_spread
from toolkit.bench.plan import HAPROXY, REFERENCE
from toolkit.bench.targets import targets

if TYPE_CHECKING:
    from toolkit.bench.results import Results

NARROWEST = 120
GENERATOR_NOTE = "* the load generator was at its end, or nobody was: the relay may carry more"


def print_json(results: Results) -> None:
    """Print everything as one JSON object."""
    reached = {ours: [target.as_json() for target in targets(results, ours)] for ours in results.plan.ours}
    sys.stdout.write(json.dumps({**results.as_json(), "targets": reached}, indent=2) + "\n")


def print_tables(results: Results) -> None:
    """Print the tables, and what a reader has to know about them."""
    console = Console(highlight=False, markup=False, emoji=False)
    # A table that is squeezed into a pipe's 80 columns breaks its numbers.
    console.width = max(console.width, NARROWEST)
    for table in tables(results):
        console.print(table)
    for line in notes(results):
        console.print(line)


def tables(results: Results) -> list[Table]:
    """Return the tables of a run."""
    found = [contenders_table(results), *(targets_table(results, ours) for ours in results.plan.ours)]
    if "stall" in results.plan.parts:
        found.insert(1, stall_table(results))
    return found


def contenders_table(results: Results) -> Table:
    """Return the table of all relays: medians, and the spread of what is compared."""
    table = _table(
        f"{results.plan.sessions} sessions, medians [least..most] of {results.plan.runs} rounds",
        (
            "relay",
            "CPU us/message",
            "p50 us",
            "p99 us",
            "sessions on a core",
            "KB/session",
            "savestates MB/s",
            "set-up us",
        ),
    )
    for name in results.contenders:
        table.add_row(
            name,
            with_spread(results.figure("load", name, "cpu_us")),
            with_spread(results.figure("load", name, "p50_us")),
            with_spread(results.figure("load", name, "p99_us")),
            with_spread(results.figure("ramp", name, "sessions")) + generator_mark(results, name),
            with_spread(results.figure("load", name, "rss_kb")),
            with_spread(results.figure("bulk", name, "mb_s")),
            with_spread(results.figure("load", name, "setup_us")),
        )
    return table


def stall_table(results: Results) -> Table:
    """Return what a stalled reader did to each relay."""
    title = "One client stops reading while its host sends 5 MB/s"
    table = _table(title, ("relay", "relay's memory + MB", "kernel's + MB", "taken MB", "neighbours' p99, x before"))
    for name in (*results.plan.ours, HAPROXY, REFERENCE):
        table.add_row(
            name,
            with_spread(results.figure("stall", name, "rss_mb")),
            with_spread(results.figure("stall", name, "kernel_mb")),
            with_spread(results.figure("stall", name, "taken_mb")),
            with_spread(results.stall_neighbours(name)),
        )
    return table


def targets_table(results: Results, ours: str) -> Table:
    """Return the targets next to what was reached."""
    table = _table(f"{ours}: targets", ("what", "target", "reached", ""))
    for target in targets(results, ours):
        if target.reached is not None:
            bound = f"{target.sense} {target.bound:,g} {target.unit}"
            table.add_row(target.what, bound, with_spread(target.reached), "met" if target.met else "missed")
    return table


def generator_mark(results: Results, contender: str) -> str:
    """Return a star where a ramp did not end for want of the relay's core."""
    limits = results.limits(contender)
    return "*" if limits and limits != {"relay"} else ""


def notes(results: Results) -> list[str]:
    """Return what belongs under the tables."""
    lines = []
    if any(generator_mark(results, name) for name in results.contenders):
        lines.append(GENERATOR_NOTE)
    total, unclean = len(results.records), results.unclean
    lines.append(f"{total - len(unclean)} of {total} measurements were clean.")
    lines += [f"disturbed: round {bad.round + 1}, {bad.part}, {bad.contender}: {bad.why}" for bad in unclean]
    machine = results.machine
    priority = "real-time priority" if results.realtime else "ordinary priority"
    lines.append(
        f"{machine.get('processor')}, {machine.get('cores')} cores, virtual: {machine.get('virtual')}, "
        f"Linux {machine.get('kernel')}, Python {machine.get('python')}, HAProxy {machine.get('haproxy')}, {priority}"
    )
    return lines


def _table(title: str, columns: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left")
    for number, name in enumerate(columns):
        table.add_column(name, justify="left" if number == 0 else "right")
    return table
