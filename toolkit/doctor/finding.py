"""What the doctor says: how bad, a sentence, what it was seen by, and what to do."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class Severity(IntEnum):
    """How bad a finding is; the worst of all decides the exit code."""

    FINE = 0
    """It was looked at and is as it should be."""
    NOTE = 1
    """Worth knowing, or it could not be looked at."""
    WARNING = 2
    """It works now, and may not tomorrow or for everybody."""
    TROUBLE = 3
    """Somebody cannot play because of it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. evidence is what was seen, in the words of the program that said it; cure may be several lines.

    name is that of the module it comes from; whoever runs the modules fills it in. key: which of a module's findings
    it is, where some have causes or effects of their own. follows: names of the findings that explain this one.
    """

    severity: Severity
    sentence: str
    evidence: str = ""
    cure: str = ""
    name: str = ""
    key: str = ""
    follows: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it for a program; severity is a word."""
        return {**dataclasses.asdict(self), "severity": self.severity.name.lower()}


def fine(sentence: str, evidence: str = "") -> Finding:
    """Return a finding that nothing is wrong."""
    return Finding(Severity.FINE, sentence, evidence)


def note(sentence: str, evidence: str = "", cure: str = "") -> Finding:
    """Return a finding that is worth knowing."""
    return Finding(Severity.NOTE, sentence, evidence, cure)


def warning(sentence: str, evidence: str = "", cure: str = "") -> Finding:
    """Return a finding that may stop somebody from playing."""
    return Finding(Severity.WARNING, sentence, evidence, cure)


def trouble(sentence: str, evidence: str = "", cure: str = "") -> Finding:
    """Return a finding that stops somebody from playing."""
    return Finding(Severity.TROUBLE, sentence, evidence, cure)
