"""Which new connections are too many: in all, from one address, in one second, and of those that say nothing.

Sans-I/O: times are seconds of the caller's clock. Sources are what relay/switchboard/connection.py makes of addresses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from relay.limits import Limits
from relay.outcomes import Outcome
from relay.switchboard.connection import Conn


class Admission:
    """Counts the connections that are not closed (connections), and how fast each source makes new ones."""

    def __init__(self, limits: Limits) -> None:
        self.connections = 0
        self.per_source: dict[bytes, int] = {}
        # By source: how many it may still make at once, and when that was.
        self.allowances: dict[bytes, tuple[float, float]] = {}
        self._limits = limits

    def admit(self, source: bytes, now: float) -> Outcome | None:
        """Count a new connection; return why it is one too many, if it is. It counts until `release`."""
        self.connections += 1
        here = self.per_source[source] = self.per_source.get(source, 0) + 1
        if self.connections > self._limits.connections:
            return Outcome.TOO_MANY
        if here > self._limits.connections_per_address:
            return Outcome.TOO_MANY_FROM_ADDRESS
        return Outcome.TOO_FAST if self._too_fast(source, now) else None

    def release(self, source: bytes) -> None:
        """Count a connection no longer."""
        self.connections -= 1
        count_down(self.per_source, source)

    def adopt(self, conns: Collection[Conn]) -> None:
        """Begin with connections of another program."""
        self.connections = len(conns)
        self.per_source = dict(Counter(conn.source for conn in conns))

    def forget_old(self, now: float) -> None:
        """Drop what is known of those whose allowance is whole again: after a second it is."""
        self.allowances = {source: entry for source, entry in self.allowances.items() if entry[1] > now - 1.0}

    def evict(self, silent: Collection[Conn], friends: bool) -> Conn | None:
        """Return who has to go of those that have not said what they are, friends or strangers; None: there is room.

        To refuse the newest would let whoever holds the places keep everybody out. A real client needs its place for
        one round trip only, so the oldest of the greediest source goes.
        """
        limit = self._limits.half_open if friends else self._limits.half_open_strangers
        if len(silent) <= limit:
            return None
        crowd = [conn for conn in silent if conn.friend == friends]
        if len(crowd) <= limit:
            return None
        greediest = _greediest(conn.source for conn in crowd)
        return next(conn for conn in crowd if conn.source in greediest)

    def _too_fast(self, source: bytes, now: float) -> bool:
        rate = float(self._limits.setups_per_second)
        left, last = self.allowances.get(source, (rate, now))
        left = min(rate, left + (now - last) * rate)
        self.allowances[source] = (left - 1 if left >= 1 else left, now)
        return left < 1


def _greediest(sources: Iterable[bytes]) -> set[bytes]:
    counts = Counter(sources)
    most = max(counts.values())
    return {source for source, count in counts.items() if count == most}


def count_up(counts: dict[bytes, int], source: bytes) -> None:
    """Count one more."""
    counts[source] = counts.get(source, 0) + 1


def count_down(counts: dict[bytes, int], source: bytes) -> None:
    """Count one less; who has none has no entry."""
    counts[source] -= 1
    if not counts[source]:
        del counts[source]
