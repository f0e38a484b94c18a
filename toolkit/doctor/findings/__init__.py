"""The findings, in the order in which they are told: first what keeps everybody out, then what bothers some.

Each module has `look(case) -> Iterator[Finding]`: it takes what it needs of the Case, says nothing where that is not
there, and asks nobody anything itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from toolkit import printable
from toolkit.doctor.finding import Severity, note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.doctor.case import Case
    from toolkit.doctor.finding import Finding

ORDER = (
    "login", "name", "reach", "ipv6", "protocol", "mtu", "latency", "nat", "access",
    "service", "listening", "ruleset", "allowlist", "firewalls",
    "clock", "disk", "files", "settings", "versions", "players", "oldclients", "outcomes", "log",
)  # fmt: skip


# What each trouble brings about, by name or key: it is told after its cause, and says so.
_RELAY = ("answer", "listening", "reach", "protocol", "allowlist", "log", "files")
EFFECTS = {
    "login": ("reach", "protocol"),
    "account": ("settings", "service", *_RELAY),
    "access": ("settings", "service", "gate", *_RELAY),
    "agent": ("gate", "ruleset", "log"),
    "disk": ("agent", "program", "settings", "service", "ruleset", "gate", "versions", *_RELAY),
    "program": ("settings", "service", "ruleset", "gate", "firewalls", "versions", *_RELAY),
    "settings": ("service", "ruleset", "gate", "firewalls", *_RELAY),
    "list": ("gate", "reach", "protocol", "allowlist", "log"),
    "port": ("service", *_RELAY),
    "service": _RELAY,
    "answer": ("reach", "protocol", "log"),
    "ruleset": ("gate", "reach", "protocol", "log"),
    "allowlist": ("protocol", "log"),
    "firewalls": ("reach", "protocol"),
    "listening": ("reach", "protocol"),
}


# Those of them that explain others also where nobody is kept out yet.
SOON = ("access", "agent", "list")


def every(case: Case) -> Iterator[Finding]:
    """Yield what every module finds, each finding with its module's name: troubles first, causes before effects."""
    from dataclasses import replace

    found = []
    for name in ORDER:
        for finding in _of(name, case):
            # What was seen is in the words of others.
            texts = (finding.sentence, finding.evidence, finding.cure)
            sentence, evidence, cure = map(printable.lines, texts)
            shown = replace(finding, sentence=sentence, evidence=evidence, cure=cure)
            found.append(replace(shown, name=name, key=finding.key or name))
    bad = {one.key: one.severity for one in sorted(found, key=lambda one: one.severity) if _explains(one)}
    causes = {
        one: tuple(
            cause
            for cause in EFFECTS
            if bad.get(cause, Severity.FINE) >= one.severity and cause != one.key and one.key in EFFECTS[cause]
        )
        for one in found
        if one.severity >= Severity.WARNING
    }
    # Of two that have the same cause, the one with fewer causes is nearer to it.
    told = sorted(found, key=lambda one: (-one.severity, len(causes.get(one, ()))))
    yield from (replace(one, follows=causes.get(one, ())) for one in told)


def _explains(one: Finding) -> bool:
    return one.severity is Severity.TROUBLE or (one.severity is Severity.WARNING and one.key in SOON)


def _of(name: str, case: Case) -> list[Finding]:
    try:
        return list(import_module(f"{__name__}.{name}").look(case))
    except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
        # A host with another release answers in another shape; the other findings are worth having all the same.
        return [note(f"{name} could not be judged", f"{type(error).__name__}: {error}")]
