"""What this relay means to reach, and whether it does."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolkit.bench.plan import HAPROXY, REFERENCE

if TYPE_CHECKING:
    from toolkit.bench.figures import Figure
    from toolkit.bench.results import Results

AT_MOST, AT_LEAST = "<=", ">="


@dataclass(frozen=True, slots=True)
class Target:
    """A bound on the median of a figure. reached is None when it was not measured in this run."""

    what: str
    sense: str
    bound: float
    unit: str
    reached: Figure | None

    @property
    def met(self) -> bool | None:
        """Whether the median keeps the bound; None without one."""
        if self.reached is None:
            return None
        median = self.reached.median
        return median <= self.bound if self.sense == AT_MOST else median >= self.bound

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object, with whether it was met."""
        return {**dataclasses.asdict(self), "met": self.met}


def targets(results: Results, ours: str) -> list[Target]:
    """Return every target for one configuration of this relay, in the order of docs/performance.md."""
    of, to = results.figure, results.ratio
    return [
        Target("CPU a message", AT_MOST, 1.15, "x HAProxy", to("load", ours, HAPROXY, "cpu_us")),
        Target("CPU a message", AT_MOST, 1.30, "x C epoll", to("load", ours, REFERENCE, "cpu_us")),
        Target("sessions on a core", AT_LEAST, 0.95, "x HAProxy", to("ramp", ours, HAPROXY, "sessions")),
        Target("latency p50", AT_MOST, 1.15, "x HAProxy", to("load", ours, HAPROXY, "p50_us")),
        Target("latency p99", AT_MOST, 2.0, "x HAProxy", to("load", ours, HAPROXY, "p99_us")),
        Target("memory a session", AT_MOST, 4.0, "KB", of("load", ours, "rss_kb")),
        Target("set-up of a session, CPU", AT_MOST, 170.0, "us", of("load", ours, "setup_us")),
        Target("savestates on one link", AT_LEAST, 1200.0, "MB/s", of("bulk", ours, "mb_s")),
        # The setting bounds what waits; the objects around it are not in it.
        Target("stalled reader: memory", AT_MOST, 1.1, "x the setting", results.stall_growth(ours)),
        # p99 is good to a factor of two on a machine of two cores: "unchanged" can mean no more than that.
        Target("stalled reader: neighbours' p99", AT_MOST, 2.0, "x before", results.stall_neighbours(ours)),
    ]
