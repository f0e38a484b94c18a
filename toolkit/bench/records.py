"""What one measurement of one relay gave. All are plain numbers, so that they travel as JSON."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Load:
    """A number of sessions under load. why says what disturbed it, and is empty for a clean measurement.

    cpu_us is per forwarded message, setup_us per session (None for no relay), rss_kb per session. relay_busy,
    generator_busy and waited are parts of the window: running, running, and kept from running by other programs.
    """

    part: ClassVar[str] = "load"
    contender: str
    round: int
    sessions: int
    messages: int
    cpu_us: float | None
    p50_us: float
    p99_us: float
    p999_us: float
    late_p99_us: float
    setup_us: float | None
    rss_kb: float | None
    relay_busy: float
    generator_busy: float
    waited: float
    why: str


@dataclass(frozen=True, slots=True)
class Bulk:
    """Savestates on one link, in millions of bytes a second."""

    part: ClassVar[str] = "bulk"
    contender: str
    round: int
    mb_s: float
    waited: float
    why: str


@dataclass(frozen=True, slots=True)
class Ramp:
    """The most sessions that kept p99 within the bound, and who was at the end of its strength at the next step.

    limit is "relay", "generator" or "top" (the ramp's end). The rest describes the step that failed.
    """

    part: ClassVar[str] = "ramp"
    contender: str
    round: int
    sessions: int
    limit: str
    failed_at: int
    p99_us: float
    relay_busy: float
    generator_busy: float
    waited: float
    why: str


@dataclass(frozen=True, slots=True)
class Stall:
    """A client that stops reading while its host goes on sending savestates.

    rss_mb is the most the relay's memory grew, bound_mb the setting that bounds it (None: it reads no further),
    kernel_mb what socket buffers held, before_p99_us and p99_us the neighbours', dropped_s when the relay ended the
    stalled link (None: it did not), taken_mb what it took from the host until then.
    """

    part: ClassVar[str] = "stall"
    contender: str
    round: int
    rss_mb: float
    kernel_mb: float
    bound_mb: float | None
    before_p99_us: float
    p99_us: float
    taken_mb: float
    dropped_s: float | None
    why: str


@dataclass(frozen=True, slots=True)
class Coreless:
    """Core-less sessions, of so many players each.

    cpu_us is per frame and player; p50_us and p99_us are how long it takes until the player who keeps time hears that
    the frame is over, there and back.
    """

    part: ClassVar[str] = "coreless"
    contender: str
    round: int
    players: int
    frames: int
    cpu_us: float
    p50_us: float
    p99_us: float
    relay_busy: float
    waited: float
    why: str


Record = Load | Bulk | Ramp | Stall | Coreless
KINDS: dict[str, type[Record]] = {kind.part: kind for kind in (Load, Bulk, Ramp, Stall, Coreless)}


def as_json(record: Record) -> dict[str, Any]:
    """Return a record as a JSON object; its part is in it."""
    return {"part": record.part, **dataclasses.asdict(record)}


def from_json(data: dict[str, Any]) -> Record:
    """Return the record behind `as_json`."""
    fields = {name: value for name, value in data.items() if name != "part"}
    return KINDS[data["part"]](**fields)
