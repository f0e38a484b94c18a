"""The findings for people: what is wrong first, each with its evidence and its cure; what is fine in short."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

from toolkit.console import as_typed, console
from toolkit.doctor.finding import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from toolkit.doctor.finding import Finding

MARKS = {Severity.FINE: "ok", Severity.NOTE: "note", Severity.WARNING: "WARN", Severity.TROUBLE: "BAD"}
STYLES = {Severity.FINE: "", Severity.NOTE: "", Severity.WARNING: "bold", Severity.TROUBLE: "bold"}
INDENT = 6
COMMAND = re.compile(r"\b(?:invoke [a-z]|ssh \S+ \S|nft |ufw |firewall-cmd |iptables|systemctl |journalctl )")
NARROWEST = 20


def draw(findings: Sequence[Finding]) -> None:
    """Print the findings and a verdict."""
    for finding in findings:
        for number, line in enumerate(lines(finding, console().width)):
            console().print(line, style=STYLES[finding.severity] if number == 0 else "")
    console().print()
    console().print(as_typed(verdict(findings)), style="bold")


def lines(finding: Finding, width: int) -> Iterator[str]:
    """Yield a finding's lines, as wide as the terminal; what is typed is never broken."""
    yield from _wrapped(f"{MARKS[finding.severity]:<{INDENT}}{finding.sentence}", width)
    if finding.evidence:
        for part in finding.evidence.splitlines():
            yield from _wrapped(f"{'':<{INDENT}}seen: {part}", width)
    if finding.follows:
        yield from _wrapped(f"{'':<{INDENT}}follows from what is said above of: {', '.join(finding.follows)}", width)
    for part in finding.cure.splitlines():
        shown = f"{'':<{INDENT}}-> {as_typed(part)}"
        # What is typed is copied: in one piece, however the terminal breaks it.
        yield from [shown] if COMMAND.search(part) else _wrapped(shown, width)


def verdict(findings: Sequence[Finding]) -> str:
    """Return the sum of it in a sentence."""
    counts = {severity: sum(one.severity is severity for one in findings) for severity in Severity}
    bad, warned = counts[Severity.TROUBLE], counts[Severity.WARNING]
    if bad:
        return f"{_count(bad, 'trouble')} and {_count(warned, 'warning')}: begin with the first BAD"
    if warned:
        return f"it works; {_count(warned, 'warning')}"
    return "all is well"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _wrapped(text: str, width: int) -> list[str]:
    # The room is what people read; a command or a path that is longer stays in one piece, to be copied.
    filler = textwrap.TextWrapper(
        max(width, NARROWEST), subsequent_indent=" " * INDENT, break_long_words=False, break_on_hyphens=False,
        replace_whitespace=False, drop_whitespace=True,
    )  # fmt: skip
    return filler.wrap(text) or [""]
