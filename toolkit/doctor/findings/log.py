"""Errors in the relay's log."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from toolkit.doctor.finding import Finding, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.doctor.case import Case

BAD = re.compile(r"\b(ERROR|CRITICAL|Traceback)\b")
SHOWN = 3


def look(case: Case) -> Iterator[Finding]:
    """Say that there are some, and show the newest."""
    bad = [line for line in case.told("log") or [] if BAD.search(line)]
    if bad:
        yield warning(
            f"the relay's log has {len(bad)} error{'s' if len(bad) > 1 else ''} among its last lines",
            "\n".join(bad[-SHOWN:]),
            case.log(),
        )
