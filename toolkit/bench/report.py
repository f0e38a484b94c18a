"""The result of a run as tables for people, or as JSON for programs."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from toolkit.bench.coreless import SIZES
from toolkit.bench.figures import with_spread
from toolkit.bench.plan import HAPROXY, REFERENCE
from toolkit.bench.targets import targets

if TYPE_CHECKING:
    from toolkit.bench.results import Results

# A table that is squeezed into a pipe's 80 columns breaks its numbers.
PIPE_WIDTH = 140
RATIOS = (
    ("CPU us/message", "load", "cpu_us"),
    ("p50", "load", "p50_us"),
    ("p99", "load", "p99_us"),
    ("sessions on a core", "ramp", "sessions"),
    ("KB/session", "load", "rss_kb"),
    ("savestates MB/s", "bulk", "mb_s"),
    ("set-up us", "load", "setup_us"),
)
QUICK_NOTE = "A quick run shows that everything works. Its numbers mean nothing."
GENERATOR_NOTE = "* the load generator was at its end, or nobody was: the relay may carry more"


def print_json(results: Results) -> None:
    """Print everything as one JSON object."""
    reached = {ours: [target.as_json() for target in targets(results, ours)] for ours in results.plan.ours}
    sys.stdout.write(json.dumps({**results.as_json(), "targets": reached}, indent=2) + "\n")


def print_tables(results: Results) -> None:
    """Print the tables, and what a reader has to know about them."""
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    for table in tables(results):
        console.print(table)
    for line in notes(results):
        console.print(line)


def print_markdown(results: Results) -> None:
    """Print the tables as docs/performance.md has them."""
    for table in tables(results):
        rows = [[str(column.header) for column in table.columns], ["---"] * len(table.columns)]
        rows += [list(map(str, cells)) for cells in zip(*(column.cells for column in table.columns), strict=True)]
        sys.stdout.write(f"{table.title}\n\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows) + "\n")
    sys.stdout.write("".join(f"{line}\n" for line in notes(results)))


def tables(results: Results) -> list[Table]:
    """Return the tables of a run."""
    found = [contenders_table(results), ratios_table(results)]
    if "stall" in results.plan.parts:
        found.append(stall_table(results))
    if "coreless" in results.plan.parts:
        found.append(coreless_table(results))
    return found if results.plan.quick else [*found, *(targets_table(results, ours) for ours in results.plan.ours)]


def contenders_table(results: Results) -> Table:
    """Return the table of all relays: medians, and the spread of what is compared."""
    table = _table(
        f"{results.plan.sessions} sessions, median [least..most], rounds: {results.plan.runs}",
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


def ratios_table(results: Results) -> Table:
    """Return this relay's figures as multiples of HAProxy's, of the C relay's, and of bare Python's if it was there."""
    pairs = [(ours, theirs) for ours in results.plan.ours for theirs in results.yardsticks]
    table = _table("Ratios within a round", ("", *(f"{ours} / {theirs}" for ours, theirs in pairs)))
    for title, part, field in RATIOS:
        cells = [with_spread(results.ratio(part, ours, theirs, field)) for ours, theirs in pairs]
        if part in results.plan.parts:
            table.add_row(title, *cells)
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


def coreless_table(results: Results) -> Table:
    """Return what core-less sessions cost."""
    table = _table("Core-less sessions", ("players in a room", "CPU us/frame and player", "p50 us", "p99 us"))
    for players in SIZES:
        figures = (results.coreless(players, field) for field in ("cpu_us", "p50_us", "p99_us"))
        table.add_row(str(players), *(with_spread(each) for each in figures))
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
    lines = [QUICK_NOTE] if results.plan.quick else []
    if any(generator_mark(results, name) for name in results.contenders):
        lines.append(GENERATOR_NOTE)
    total, unclean = len(results.records), results.unclean
    lines.append(f"{total - len(unclean)} of {total} measurements were clean.")
    lines += [f"disturbed: round {bad.round + 1}, {bad.part}, {bad.contender}: {bad.why}" for bad in unclean]
    lines.append(machine_line(results))
    return lines


def machine_line(results: Results) -> str:
    """Return what everything was measured on."""
    machine = results.machine
    kind = "virtual" if machine["virtual"] == "yes" else "physical"
    priority = "the most urgent priority" if results.urgent else "ordinary priority"
    return (
        f"{machine['processor']}, {machine['cores']} cores, {kind}, Linux {machine['kernel']}, "
        f"TCP {machine['congestion']}, Python {machine['python']}, HAProxy {machine['haproxy']}, {priority}"
    )


def _table(title: str, columns: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left")
    for number, name in enumerate(columns):
        table.add_column(name, justify="left" if number == 0 else "right")
    return table
