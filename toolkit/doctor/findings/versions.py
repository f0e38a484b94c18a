"""Which release runs, which is installed, and which one this checkout would install."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from relay import __version__
from toolkit.doctor.finding import Finding, fine, note, trouble, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.doctor.case import Case


# The folder of the program where a package has the relay: no link of that name leads to a release.
PACKAGED = "current"


def _package(case: Case, runs: str) -> Finding:
    """Judge the version of a package's relay: a deployment leaves it as it is, so it has no release to compare."""
    evidence = f"running {runs or 'unknown'}, from the host's package; here {__version__}"
    if not runs:
        return note("the relay is a package's, and its version could not be seen", evidence)
    if runs == __version__:
        return fine("the host has a package of this checkout's version", evidence)
    return note(
        "this checkout has another version of the relay than the host's package",
        evidence,
        f"invoke xbps.build{case.target.option}",
    )


def look(case: Case) -> Iterator[Finding]:
    """Compare the three."""
    relay, installed = case.told("relay"), (case.told("release") or {}).get("installed", "")
    if not case.host:
        return
    if installed == PACKAGED:
        yield _package(case, relay["program"].removeprefix("netplay-relay ") if relay else "")
        return
    deploy = f"invoke deploy{case.target.option}"
    match = re.search(r"\(([0-9a-f]+)\)", relay["program"]) if relay else None
    running = match[1] if match else ""
    evidence = f"running {running or 'unknown'}, installed {installed or 'none'}, here {case.release}"
    if not installed:
        judge = trouble if relay is None and (case.host or {}).get("uid") == 0 else warning
        yield replace(judge("the relay's program is not where a deployment puts it", evidence, deploy), key="program")
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
