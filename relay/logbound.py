"""How many lines the log gets: of one address, of one core-less session, and in all. Pure: no clock, no log.

No service manager can be relied on for it: OpenRC appends to a file for ever. So whoever comes and goes without end
writes so many lines, and is counted from then on (docs/security.md).
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

# Lines at once, and lines a second from then on: 1.4 MB a day of one, 14 MB of all together, at 160 bytes a line.
AT_ONCE, A_SECOND = 120, 0.1
ALL_AT_ONCE, ALL_A_SECOND = 1200, 1.0
# So many are told apart; whoever comes after them shares what is left for all.
MOST = 1024


@dataclass(slots=True)
class _Allowance:
    left: float
    at: float
    left_out: int = 0

    def has_one(self, now: float, at_once: float, a_second: float) -> bool:
        self.left = min(at_once, self.left + (now - self.at) * a_second)
        self.at = now
        return self.left >= 1


class LogBound:
    """Decides which lines are written. Times in seconds of the caller's clock."""

    def __init__(self, now: float) -> None:
        self._all = _Allowance(ALL_AT_ONCE, now)
        self._of: dict[Hashable, _Allowance] = {}

    def take(self, about: Hashable, now: float) -> int | None:
        """Return how many lines about something were left out before this one, None if this one is, too."""
        mine = self._of.get(about)
        if mine is None:
            if len(self._of) >= MOST:
                self._forget_old(now)
            mine = _Allowance(AT_ONCE, now)
            if len(self._of) < MOST:
                self._of[about] = mine
        if not (mine.has_one(now, AT_ONCE, A_SECOND) and self._all.has_one(now, ALL_AT_ONCE, ALL_A_SECOND)):
            mine.left_out += 1
            return None
        mine.left -= 1
        self._all.left -= 1
        left_out, mine.left_out = mine.left_out, 0
        return left_out

    def _forget_old(self, now: float) -> None:
        # After so long all of it may be written again; how much was left out is worth less than to know the next.
        whole = AT_ONCE / A_SECOND
        self._of = {about: one for about, one in self._of.items() if now - one.at < whole}
        if len(self._of) >= MOST:
            self._of = {about: one for about, one in self._of.items() if one.left < AT_ONCE - 1}
