"""A line for each measurement as it is taken, on standard error: the result alone goes to standard output."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from toolkit.bench import records
from toolkit.bench.figures import shown

if TYPE_CHECKING:
    from toolkit.bench.plan import Plan
    from toolkit.bench.records import Record


class Progress:
    """Shows how a run goes."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._begun = time.monotonic()

    def begin(self, *, urgent: bool) -> None:
        """Say what is about to happen."""
        plan = self._plan
        self._write(f"{plan.sessions} sessions; rounds: {plan.runs}; parts: {', '.join(plan.parts)}")
        if not urgent:
            self._write("without root everything runs at ordinary priority: other programs disturb it more easily")

    def show(self, record: Record) -> None:
        """Say what came out of a measurement."""
        seconds = time.monotonic() - self._begun
        where = f"{seconds:4.0f} s  {record.round + 1}/{self._plan.runs} {record.part:<5}"
        why = f"   (disturbed: {record.why})" if record.why else ""
        self._write(f"{where}  {record.contender:<16} {describe(record)}{why}")

    @staticmethod
    def _write(line: str) -> None:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def describe(record: Record) -> str:
    """Return the measurement in a few words."""
    match record:
        case records.Load():
            cpu = f"{shown(record.cpu_us)} us a message, " if record.cpu_us is not None else ""
            return f"{cpu}p50 {shown(record.p50_us)}, p99 {shown(record.p99_us)} us"
        case records.Bulk():
            return f"{shown(record.mb_s)} MB/s"
        case records.Ramp():
            end = f"the {record.limit}'s limit" if record.failed_at else "the ramp's end"
            return f"{record.sessions} sessions ({end})"
        case records.Coreless():
            return f"rooms of {record.players}: {shown(record.cpu_us)} us a frame and player"
        case records.Stall():
            dropped = f"dropped after {record.dropped_s:.1f} s" if record.dropped_s is not None else "held"
            p99 = f"p99 {shown(record.before_p99_us)} -> {shown(record.p99_us)} us"
            return f"{dropped}, memory +{shown(record.rss_mb)} MB, neighbours' {p99}"
