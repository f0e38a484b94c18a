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
    """match: True, False, or None for "may be"; verdict: "accept", "drop", "jump X", "goto X", "return" or "".

    A verdict may be "elsewhere" too (the packet is sent to another port or host), and "?" for what is not known here.
    text: the rule, for people. undo: the command that takes it, or what it finds the packet in, away.
    """

    match: bool | None
    verdict: str
    comment: str = ""
    text: str = ""
    undo: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a chain does with a packet: lets it through (True), does not (False), or that is not known (None).

    rule: which rule decides, or cannot be judged; None for the chain's policy.
    """

    answer: bool | None
    rule: Rule | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain on the packet's way: where it is, its policy ("accept" or "drop"), and the rules of it and all others.

    by_nft: some rule in its table is of a kind that iptables does not make, and may print as what it is not. hook:
    where the packet meets it; devices: of a hook before all others (ingress), whose packets.
    """

    family: str
    table: str
    name: str
    policy: str
    rules: Mapping[str, list[Rule]]
    by_nft: bool = False
    hook: str = "input"
    devices: tuple[str, ...] = ()

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

    def judge(self) -> Judged:
        """Tell what happens to the packet, and by which rule; what cannot be judged is never taken for a yes."""
        ends = self._possible(self.name, {})
        if "" in ends:
            ends.setdefault(self.policy, None)
            del ends[""]
        if set(ends) == {"accept"}:
            return Judged(True, ends["accept"])
        bad = next(end for end in ("drop", "elsewhere", "?", "accept") if end in ends)
        return Judged(None if {"accept", "?"} & set(ends) else False, ends[bad])

    def _possible(self, name: str, known: dict[str, dict[str, Rule | None]]) -> dict[str, Rule | None]:
        """Return what a chain may decide, by which rule first: "accept", "drop", ..., "" for nothing."""
        if name in known:
            return dict(known[name])
        found: dict[str, Rule | None] = {}
        # The kernel has no circles; nor has what is not known.
        known[name] = {"?": None}
        for rule in self.rules.get(name, ()):
            kind, _, target = rule.verdict.partition(" ")
            if rule.match is False or not kind:
                continue
            if kind in ("jump", "goto"):
                ends = {end: inner or rule for end, inner in self._possible(target, known).items()}
            else:
                ends = {"" if kind == "return" else kind: rule}
            goes_on = rule.match is None or (kind == "jump" and "" in ends)
            for end, inner in ends.items():
                if end or kind != "jump":
                    found.setdefault(end, inner)
            if not goes_on:
                break
        else:
            found.setdefault("", None)
        known[name] = found
        return dict(found)

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
