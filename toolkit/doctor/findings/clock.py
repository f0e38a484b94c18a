"""The host's clock: by it entries of friends end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.monitoring import report
from toolkit.doctor.finding import Finding, fine, note, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.doctor.case import Case

# Seconds by which the two clocks may differ.
NEAR = 30.0


def look(case: Case) -> Iterator[Finding]:
    """Compare the host's clock with this machine's, and say whether anybody keeps it."""
    if not case.host:
        return
    before, after = case.asked
    there = float(case.host["time"])
    # It was read at some moment in between; whatever lies in there is no difference.
    apart = there - after if there > after else before - there if there < before else 0.0
    which = "ahead of" if there > after else "behind"
    kept = (case.told("clock") or {}).get("synchronized")
    keep = "timedatectl set-ntp true (or install chrony)." if case.init == "systemd" else "install chrony and start it."
    if apart > NEAR:
        yield warning(
            f"the host's clock is {report.age(apart)} {which} this machine's: friends' times end that much "
            + ("early" if there > after else "late"),
            f"kept by a time service: {'yes' if kept else 'no' if kept is False else 'nobody knows'}",
            f"Which one is right? On the host: {keep}",
        )
    elif kept is False:
        yield note(
            "the host's clock is right now, and no time service keeps it so",
            "timedatectl: NTPSynchronized=no",
            "On the host: install systemd-timesyncd, or chrony. In a container the outer host keeps it.",
        )
    else:
        yield fine("the host's clock is right")
