"""What a client that stops reading costs: the relay's memory, and the neighbours' latency."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

from toolkit.bench import procfs, records
from toolkit.bench.crowd import crowd
from toolkit.bench.generator import Load
from toolkit.bench.judge import disturbance

if TYPE_CHECKING:
    from toolkit.bench.contenders import Contender
    from toolkit.bench.crowd import Crowd
    from toolkit.bench.generator import Played
    from toolkit.bench.plan import Plan

NEIGHBOURS = 50
MB = 1e6
LOOK_EVERY = 0.05


def stall(contender: Contender, plan: Plan, generator: Path, turn: int, bound: int | None) -> records.Stall:
    """Let a host go on sending savestates to a client that does not read; bound is the relay's setting in bytes."""
    for _ in range(plan.retries + 1):
        with crowd(contender, generator) as sessions:
            record = _measure(sessions, plan, turn, bound)
        if not record.why:
            break
    return record


def _measure(sessions: Crowd, plan: Plan, turn: int, bound: int | None) -> records.Stall:
    *games, stalled = sessions.grow(NEIGHBOURS + 1)
    before = sessions.play(Load(games, seconds=plan.stall_seconds))
    start_kb = sessions.memory_kb()
    sessions.forget_peak()
    with _KernelMemory() as kernel:
        during = sessions.play(Load(games, stalled=stalled, seconds=plan.stall_seconds))
    peak_kb = sessions.peak_kb()
    return records.Stall(
        contender=sessions.contender.name,
        round=turn,
        rss_mb=(peak_kb - start_kb) * procfs.KB / MB,
        kernel_mb=kernel.grown_kb * procfs.KB / MB,
        bound_mb=None if bound is None else bound / MB,
        before_p99_us=before.latency["p99"],
        p99_us=during.latency["p99"],
        taken_mb=during.stall_bytes / MB,
        dropped_s=during.stall_ended_s,
        why=_why(before, during),
    )


def _why(before: Played, during: Played) -> str:
    return disturbance(before) or disturbance(during)


class _KernelMemory:
    """The most that TCP held in the kernel meanwhile, above what it held at first: everybody's on this machine."""

    def __init__(self) -> None:
        self.grown_kb = 0
        self._first = self._read()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(LOOK_EVERY):
            self.grown_kb = max(self.grown_kb, self._read() - self._first)

    @staticmethod
    def _read() -> int:
        return procfs.kernel_tcp_kb(Path("/proc/net/sockstat").read_text(encoding="ascii"))
