"""What a machine's frames did, as far as no rollback can change it any more, and the comparison of two machines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.nes.layout import Row, Snapshot

# A machine runs at most 60 frames ahead of the inputs that it has from the others (then it waits for them), and what
# it guessed for those frames it corrects when the inputs come. So what is older than that is final.
SETTLED_AFTER = 64


@dataclass
class History:
    """The settled rows of one machine by frame number, gathered from snapshots taken as often as one likes.

    ``newest`` is the highest frame of any snapshot: a machine that corrects its guesses plays older frames once more,
    and may be read while it does.
    """

    name: str
    rows: dict[int, Row] = field(default_factory=dict)
    rewritten: list[tuple[Row, Row]] = field(default_factory=list)
    newest: int = -1

    def add(self, snapshot: Snapshot) -> None:
        """Take over the settled rows; one that differs from what was settled before goes to ``rewritten`` too."""
        self.newest = max(self.newest, snapshot.frame)
        for row in snapshot.rows:
            if row.frame >= snapshot.frame - SETTLED_AFTER:
                break
            known = self.rows.setdefault(row.frame, row)
            if known != row:
                self.rewritten.append((known, row))


@dataclass(frozen=True)
class Comparison:
    """Two histories side by side: the frame numbers that both hold, and the pairs of rows that differ."""

    common: tuple[int, ...]
    differences: tuple[tuple[Row, Row], ...]

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    def __str__(self) -> str:
        """Return a sentence with the first difference."""
        if self.equal:
            return f"{len(self.common)} common frames, all equal"
        left, right = self.differences[0]
        return f"{len(self.differences)} of {len(self.common)} common frames differ, first {left} and {right}"


def compare(left: History, right: History) -> Comparison:
    """Compare two machines' histories at equal frame numbers."""
    common = tuple(sorted(left.rows.keys() & right.rows.keys()))
    pairs = ((left.rows[frame], right.rows[frame]) for frame in common)
    return Comparison(common, tuple(pair for pair in pairs if pair[0] != pair[1]))
