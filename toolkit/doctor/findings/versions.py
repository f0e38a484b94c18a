"""Which release runs, which is installed, and which one this checkout would install."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from toolkit.doctor.finding import Finding, fine, note, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.doctor.case import Case


def look(case: Case) -> Iterator[Finding]:
    """Compare the three."""
    relay, installed = case.told("relay"), (case.told("release") or {}).get("installed", "")
    if not case.host:
        return
    deploy = f"invoke deploy{case.target.option}"
    match = re.search(r"\(([0-9a-f]+)\)", relay["program"]) if relay else None
    running = match[1] if match else ""
    evidence = f"running {running or 'unknown'}, installed {installed or 'none'}, here {case.release}"
    if not installed:
        yield warning("the relay's program is not where a deployment puts it", evidence, deploy)
    elif running and running != installed:
        yield warning(
            "the relay that runs is not the one that is installed: it waits for a game to end, or refused the new one",
            evidence,
            f"See why in its log: {case.log()}\nTo try again: {deploy}",
        )
    elif case.release and installed != case.release:
        yield note("this checkout has another release of the relay than the host", evidence, deploy)
    else:
        yield fine("the host has this checkout's release", evidence)
