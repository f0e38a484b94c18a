"""Tables of iptables that iptables cannot print any more: one rule that somebody adds to them by nft is enough.

What is ours in there is seen by nft, and taken away by nft.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from relay.gate.foreign.nft import entries
from relay.gate.programs import Programs

Listed = list[dict[str, Any]]


def is_meant(saved: str) -> bool:
    """Tell whether iptables-save says that it has no words for a table."""
    return "is incompatible, use 'nft' tool" in saved


def listed(programs: Programs) -> Listed:
    """Return all that nft lists, with handles."""
    return entries(programs.answer(["nft", "-a", "-j", "list", "ruleset"]))


def chains(listed: Listed, family: str, names: Sequence[str]) -> list[str]:
    """Return which of these chains are in the table filter of a family."""
    there = {chain["name"] for chain in _of(listed, "chain", family)}
    return [name for name in names if name in there]


def rules(listed: Listed, family: str, chain: str) -> list[dict[str, Any]]:
    """Return the rules of a chain there."""
    return [rule for rule in _of(listed, "rule", family) if rule["chain"] == chain]


def take_away(programs: Programs, listed: Listed, family: str, names: Sequence[str]) -> None:
    """Take these chains away, with every jump to them from INPUT, in one transaction. Raises ProgramError."""
    jumps = [{"jump": {"target": name}} for name in names]
    lines = [
        f"delete rule {family} filter INPUT handle {rule['handle']}"
        for rule in rules(listed, family, "INPUT")
        if any(part in jumps for part in rule["expr"])
    ]
    there = chains(listed, family, names)
    # None can be deleted that another one jumps to.
    lines += [f"{verb} chain {family} filter {name}" for verb in ("flush", "delete") for name in there]
    if lines:
        programs.run(["nft", "-f", "-"], "".join(f"{line}\n" for line in lines))


def _of(listed: Listed, kind: str, family: str) -> Iterator[dict[str, Any]]:
    for entry in listed:
        one = entry.get(kind, {})
        if (one.get("family"), one.get("table")) == (family, "filter"):
            yield one
