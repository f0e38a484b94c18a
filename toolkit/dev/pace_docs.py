"""Writes the table of docs/troubleshooting.md that says why a game stutters, from relay/pace.py."""

from __future__ import annotations

import re
from pathlib import Path

from relay.pace import Cause, Leg, Verdict

PAGE = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
BEGIN, END = "<!-- cases: python -m toolkit.dev.pace_docs -->\n", "<!-- end of cases -->\n"
HEAD = "| case | seen by | what is said, for example | what helps |\n| --- | --- | --- | --- |\n"
# What a case is shown with.
EXAMPLES = {
    Cause.PAUSED: Verdict(Cause.PAUSED, "anna"),
    Cause.STATE: Verdict(Cause.STATE, "bob", bytes=3_100_000),
    Cause.DEAD_LINE: Verdict(Cause.DEAD_LINE, "bob", leg=Leg(silent=4.0)),
    Cause.SLOW_LINE: Verdict(Cause.SLOW_LINE, "bob", rate=45, behind=61, leg=Leg(jitter=0.03, retransmits=24)),
    Cause.SLOW_BOTH: Verdict(Cause.SLOW_BOTH, "bob", rate=29, behind=60, leg=Leg(jitter=0.02, retransmits=14)),
    Cause.LOSSY: Verdict(Cause.LOSSY, "bob", leg=Leg(retransmits=40)),
    Cause.UNEVEN: Verdict(Cause.UNEVEN, "bob", leg=Leg(jitter=0.02)),
    Cause.FAR: Verdict(Cause.FAR, "bob", "anna", leg=Leg(rtt=0.23)),
}


def table() -> str:
    """Return the table."""
    rows = [_row(cause, EXAMPLES.get(cause, Verdict(cause, "bob", "anna", rate=23, behind=58))) for cause in Cause]
    return HEAD + "".join(rows)


def page(text: str) -> str:
    """Return a page with the table of today in it. Raises ValueError where it has no place for one."""
    new, count = re.subn(f"{BEGIN}.*?{END}", lambda _: f"{BEGIN}\n{table()}\n{END}", text, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"the page has {count} places for the table")
    return new


def _row(cause: Cause, example: Verdict) -> str:
    return f"| `{cause.value}` | {cause.doc} | {example.sentence} | {cause.cure} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
