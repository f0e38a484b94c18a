"""All measurements of a run, and the questions a report asks of them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from toolkit.bench import records
from toolkit.bench.figures import Figure, figure, ratio
from toolkit.bench.plan import BEFORE, FLOOR, HAPROXY, LOOPBACK, REFERENCE

if TYPE_CHECKING:
    from toolkit.bench.plan import Plan
    from toolkit.bench.records import Record

METRICS = {
    "load": ("cpu_us", "p50_us", "p99_us", "p999_us", "late_p99_us", "setup_us", "rss_kb", "relay_busy"),
    "bulk": ("mb_s",),
    "ramp": ("sessions",),
    "stall": ("rss_mb", "kernel_mb", "before_p99_us", "p99_us", "taken_mb"),
}


class Results:
    """What has been measured. A measurement that was disturbed counts only where there is no clean one."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.machine: dict[str, str] = {}
        self.urgent = False
        self.records: list[Record] = []

    def add(self, record: Record) -> None:
        """Take one more."""
        self.records.append(record)

    @property
    def contenders(self) -> list[str]:
        """Who was measured, this relay first."""
        there = {record.contender for record in self.records}
        return [name for name in (*self.plan.ours, BEFORE, HAPROXY, REFERENCE, FLOOR, LOOPBACK) if name in there]

    @property
    def yardsticks(self) -> tuple[str, ...]:
        """Whom this relay is compared with."""
        optional = {BEFORE: bool(self.plan.before), FLOOR: self.plan.floor}
        return tuple(name for name in (BEFORE, HAPROXY, REFERENCE, FLOOR) if optional.get(name, True))

    @property
    def unclean(self) -> list[Record]:
        """What was disturbed in spite of repetitions."""
        return [record for record in self.records if record.why]

    def of(self, part: str, contender: str) -> list[Record]:
        """Return the measurements that count."""
        found = [record for record in self.records if record.part == part and record.contender == contender]
        return [record for record in found if not record.why] or found

    def values(self, part: str, contender: str, field: str) -> dict[int, float]:
        """Return a field of the measurements that count, by round; without those that have none."""
        named = {record.round: getattr(record, field) for record in self.of(part, contender)}
        return {turn: value for turn, value in named.items() if value is not None}

    def figure(self, part: str, contender: str, field: str) -> Figure | None:
        """Return the figure of a field."""
        return figure(self.values(part, contender, field).values())

    def ratio(self, part: str, ours: str, theirs: str, field: str) -> Figure | None:
        """Return the figure of the ratios within the rounds."""
        return ratio(self.values(part, ours, field), self.values(part, theirs, field))

    def stall_growth(self, contender: str) -> Figure | None:
        """Return the relay's memory behind a stalled reader as a part of the setting that bounds it."""
        found = [record for record in self.of("stall", contender) if isinstance(record, records.Stall)]
        return figure(record.rss_mb / record.bound_mb for record in found if record.bound_mb)

    def stall_neighbours(self, contender: str) -> Figure | None:
        """Return the p99 of a stalled reader's neighbours, as a multiple of what it was before."""
        before = self.values("stall", contender, "before_p99_us")
        return ratio(self.values("stall", contender, "p99_us"), before)

    def coreless(self, players: int, field: str) -> Figure | None:
        """Return a field of the core-less sessions that have so many players."""
        found = [record for record in self.records if isinstance(record, records.Coreless)]
        sized = [record for record in found if record.players == players]
        return figure(getattr(record, field) for record in [one for one in sized if not one.why] or sized)

    def limits(self, contender: str) -> set[str]:
        """Return who was at the end of its strength where the contender's ramps ended."""
        return {record.limit for record in self.of("ramp", contender) if isinstance(record, records.Ramp)}

    def as_json(self) -> dict[str, Any]:
        """Return figures by contender and by ratio, and every single measurement."""
        return {
            "plan": dataclasses.asdict(self.plan),
            "machine": self.machine,
            "urgent": self.urgent,
            "figures": {name: self._figures(name) for name in self.contenders},
            "ratios": {
                ours: {theirs: self._ratios(ours, theirs) for theirs in self.yardsticks} for ours in self.plan.ours
            },
            "coreless": {
                players: {
                    field: dataclasses.asdict(found)
                    for field in ("cpu_us", "p50_us", "p99_us")
                    if (found := self.coreless(players, field)) is not None
                }
                for players in sorted({one.players for one in self.records if isinstance(one, records.Coreless)})
            },
            "unclean": len(self.unclean),
            "records": [records.as_json(record) for record in self.records],
        }

    def _figures(self, contender: str) -> dict[str, dict[str, Any]]:
        return {
            part: {
                field: dataclasses.asdict(found)
                for field in fields
                if (found := self.figure(part, contender, field)) is not None
            }
            for part, fields in METRICS.items()
        }

    def _ratios(self, ours: str, theirs: str) -> dict[str, dict[str, Any]]:
        return {
            part: {
                field: dataclasses.asdict(found)
                for field in fields
                if (found := self.ratio(part, ours, theirs, field)) is not None
            }
            for part, fields in METRICS.items()
        }
