"""A chain of others, and walking it: it does not matter any more which program printed it.

A rule may match the packet certainly, certainly not, or under conditions (a source, an interface, a rate); what only
may match decides nothing, unless it is asked whether anybody may get in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DEEPEST = 16
# What reading a rule may raise that no release of ours has seen.
UNREADABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, StopIteration)


@dataclass(frozen=True, slots=True)
class Rule:
    """match: True, False, or None for "may be"; verdict: "accept", "drop", "jump X", "goto X", "return" or ""."""

    match: bool | None
    verdict: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain at the input hook: where it is, its policy ("accept" or "drop"), and the rules of it and all others.

    by_nft: some rule in its table is of a kind that iptables does not make, and may print as what it is not.
    """

    family: str
    table: str
    name: str
    policy: str
    rules: Mapping[str, list[Rule]]
    by_nft: bool = False

    def is_bare(self) -> bool:
        """Tell whether it does nothing at all, as chains that are there since somebody has looked."""
        return self.policy == "accept" and not self.rules.get(self.name)

    def lets_in(self) -> bool:
        """Tell whether the packet gets through."""
        verdict = self._walk(self.name, 0)
        return (verdict or self.policy) == "accept"

    def may_let_in(self) -> bool:
        """Tell whether some such packet gets through: what only may match may do so, and may not."""
        return "accept" in {end or self.policy for end in self._ends(self.name, {})}

    def _ends(self, name: str, known: dict[str, set[str]]) -> set[str]:
        """Return what a chain may decide: "accept", "drop", "" for nothing; known: what was found out of others."""
        if name in known:
            return known[name]
        known[name] = {""}
        found: set[str] = set()
        for rule in self.rules.get(name, ()):
            if rule.match is False:
                continue
            kind, _, target = rule.verdict.partition(" ")
            ends = self._ends(target, known) if kind in ("jump", "goto") else {"" if kind == "return" else kind}
            goes_on = rule.match is None or not kind or (kind == "jump" and "" in ends)
            found |= ends if kind in ("return", "goto") else ends - {""}
            if not goes_on:
                break
        else:
            found.add("")
        known[name] = found
        return found

    def _walk(self, name: str, depth: int) -> str:
        """Return "accept" or "drop" as the chain decides, "" when it decides nothing."""
        for rule in self.rules.get(name, ()) if depth < DEEPEST else ():
            kind, _, target = rule.verdict.partition(" ")
            if not rule.match:
                continue
            if kind in ("accept", "drop"):
                return kind
            if kind == "return":
                return ""
            if kind in ("jump", "goto") and ((verdict := self._walk(target, depth + 1)) or kind == "goto"):
                return verdict
        return ""


def both(one: bool | None, other: bool | None) -> bool | None:
    """Return whether two conditions hold, each of which may, may not, or perhaps does (None)."""
    if one is False or other is False:
        return False
    return None if one is None or other is None else True
