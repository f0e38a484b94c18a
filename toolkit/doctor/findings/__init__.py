"""The findings, in the order in which they are told: first what keeps everybody out, then what bothers some.

Each module has `look(case) -> Iterator[Finding]`: it takes what it needs of the Case, says nothing where that is not
there, and asks nobody anything itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from toolkit.doctor.finding import note, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.doctor.case import Case
    from toolkit.doctor.finding import Finding

ORDER = (
    "login", "name", "reach", "ipv6", "protocol", "mtu", "latency", "nat", "service", "listening", "wall", "allowlist",
    "firewalls",
    "clock", "disk", "files", "settings", "versions", "players", "oldclients", "outcomes", "log",
)  # fmt: skip


def every(case: Case) -> Iterator[Finding]:
    """Yield what every module finds, each finding with its module's name."""
    from dataclasses import replace

    for name in ORDER:
        for finding in _of(name, case):
            # What was seen is in the words of others.
            sentence, evidence = printable(finding.sentence), printable(finding.evidence)
            yield replace(finding, name=name, sentence=sentence, evidence=evidence)


def _of(name: str, case: Case) -> list[Finding]:
    try:
        return list(import_module(f"{__name__}.{name}").look(case))
    except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
        # A host with another release answers in another shape; the other findings are worth having all the same.
        return [note(f"{name} could not be judged", f"{type(error).__name__}: {error}")]
