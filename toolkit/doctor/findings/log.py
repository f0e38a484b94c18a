"""Errors in the relay's log that are not over."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from toolkit.doctor.finding import Finding, note, warning

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from toolkit.doctor.case import Case

BAD = re.compile(r"\b(ERROR|CRITICAL|Traceback)\b")
# What ends an error, and which: the allowlist was read again; the firewall agent says which of its problems is over.
READ = re.compile(r"\ballowlist (\S+) read$")
OVER = re.compile(r"\bover: (.+)$")
# The firewall agent says this once it has looked around; what one before it complained of and it did not, is over.
AT_WORK = re.compile(r"netplay-relay-firewall\[(\d+)\]: .*the gate's agent is at work")
AGENT = re.compile(r"netplay-relay-firewall\[(\d+)\]: ")
SHOWN = 3
# Seconds after which an error is no news any more.
OLD = 3600.0


def look(case: Case) -> Iterator[Finding]:
    """Say that there are some, and show the newest."""
    bad = standing(case.told("log") or [])
    if not bad:
        return
    recent = [line for line in bad if not _is_old(line, float((case.host or {}).get("time") or 0.0))]
    number = f"{len(recent or bad)} error{'s' if len(recent or bad) > 1 else ''}"
    if recent:
        yield warning(f"the relay's log has {number} among its last lines", "\n".join(recent[-SHOWN:]), case.log())
    else:
        yield note(f"the relay's log has {number}, none of the last hour", "\n".join(bad[-SHOWN:]), case.log())


def standing(lines: Sequence[str]) -> list[str]:
    """Return the errors in a log that no later line ends."""
    bad: list[str] = []
    for line in lines:
        if read := READ.search(line):
            bad = [one for one in bad if f"allowlist {read[1]} cannot be used" not in one]
        elif over := OVER.search(line):
            bad = [one for one in bad if over[1] not in one]
        elif now := AT_WORK.search(line):
            bad = [one for one in bad if not (found := AGENT.search(one)) or found[1] == now[1]]
        elif BAD.search(line):
            bad.append(line)
    return bad


def _is_old(line: str, now: float) -> bool:
    """Tell whether a line was written long ago; one that does not say when counts as new."""
    try:
        return now - datetime.fromisoformat(line.split(maxsplit=1)[0]).timestamp() > OLD
    except (ValueError, IndexError, OverflowError):
        return False
