"""Would somebody else's rules let a stranger's first packet reach a port? Pure: read from what nft and iptables print.

A table of ours can only take away: what it accepts still meets every other filter. So each chain of others at the
input hook is walked with the packet that matters, the first of a TCP connection to the port (or a datagram) from an
address nobody has heard of, not on loopback. A rule may match it certainly, certainly not, or under conditions (a
source, an interface, a rate); what only may match decides nothing, unless it is asked whether anybody may get in.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DEEPEST = 16
_NUMBERS = {"tcp": "6", "udp": "17"}
_XT_DROPS = ("REJECT", "DROP")
_UNREADABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, StopIteration)


@dataclass(frozen=True, slots=True)
class Rule:
    """match: True, False, or None for "may be"; verdict: "accept", "drop", "jump X", "goto X", "return" or ""."""

    match: bool | None
    verdict: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain at the input hook: where it is, its policy ("accept" or "drop"), and the rules of it and all others."""

    family: str
    table: str
    name: str
    policy: str
    rules: Mapping[str, list[Rule]]

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


def entries(text: str) -> list[dict[str, Any]]:
    """Return what `nft -j list ruleset` printed, one thing each; nothing for what is not that."""
    try:
        found = json.loads(text)["nftables"] if text else []
    except _UNREADABLE:
        return []
    return [entry for entry in found if isinstance(entry, dict)]


class Ruleset:
    """A ruleset of nftables (see `entries`), seen by a packet to one port; protocol: "tcp" or "udp"."""

    def __init__(self, entries: Sequence[dict[str, Any]], port: int, protocol: str = "tcp") -> None:
        self._port = port
        self._protocol = protocol
        self._chains = [entry["chain"] for entry in entries if "chain" in entry]
        self._rules: dict[tuple[str, str], dict[str, list[Rule]]] = {}
        self.forwards = False
        for rule in (entry["rule"] for entry in entries if "rule" in entry):
            place = self._rules.setdefault((rule["family"], rule["table"]), {})
            place.setdefault(rule["chain"], []).append(self._read(rule))

    def inputs(self) -> list[Chain]:
        """Return every chain at the input hook of the inet, ip and ip6 families."""
        return [
            Chain(
                chain["family"],
                chain["table"],
                chain["name"],
                chain.get("policy", "accept"),
                self._rules.get((chain["family"], chain["table"]), {}),
            )
            for chain in self._chains
            if chain.get("hook") == "input" and chain["family"] in ("inet", "ip", "ip6")
        ]

    def _read(self, rule: dict[str, Any]) -> Rule:
        """Return what a rule does. One that cannot be read, by whichever nft it was printed, decides nothing."""
        try:
            found = self._rule(rule)
            self.forwards = self.forwards or self._forwards(rule["expr"])
        except _UNREADABLE:
            return Rule(None, "")
        return found

    def _rule(self, rule: dict[str, Any]) -> Rule:
        match: bool | None = True
        verdict = ""
        for statement in rule["expr"]:
            kind, value = next(iter(statement.items()))
            if kind == "match":
                match = _and(match, self._matches(value))
            elif kind == "vmap":
                match, verdict = self._mapped(value, match)
            elif kind == "xt":
                match, verdict = _extension(value, match, verdict)
            elif kind in ("jump", "goto"):
                verdict = f"{kind} {value['target']}"
            elif kind in ("accept", "drop", "return"):
                verdict = kind
            elif kind == "reject":
                verdict = "drop"
            elif kind not in ("counter", "log", "comment", "meta", "notrack"):
                match = _and(match, None)
        return Rule(match, verdict, str(rule.get("comment", "")))

    def _matches(self, match: dict[str, Any]) -> bool | None:
        known = self._value(match["left"])
        if known is None or match["op"] not in ("==", "in", "!="):
            return None
        found = _holds(match["right"], known)
        return (not found if found is not None else None) if match["op"] == "!=" else found

    def _value(self, left: Any) -> Any:
        """Return what the packet has there; None when that is not known."""
        if not isinstance(left, dict):
            return None
        payload, meta, state = left.get("payload", {}), left.get("meta", {}), left.get("ct", {})
        if payload.get("field") == "dport":
            # A rule on another protocol's port does not match.
            return self._port if payload.get("protocol") in (self._protocol, "th") else -1
        if meta.get("key") == "l4proto" or (payload.get("protocol"), payload.get("field")) == ("ip", "protocol"):
            return self._protocol
        if meta.get("key") in ("iif", "iifname"):
            return "an interface that is not lo"
        return "new" if state.get("key") == "state" else None

    def _mapped(self, value: dict[str, Any], match: bool | None) -> tuple[bool | None, str]:
        known = self._value(value.get("key"))
        data = value.get("data")
        pairs = data.get("set") if isinstance(data, dict) else None
        if known is None or not isinstance(pairs, list):
            return None, ""
        for key, verdict in pairs:
            if _holds(key, known):
                kind, target = next(iter(verdict.items()))
                return match, f"{kind} {target['target']}" if target else kind
        return False, ""

    def _forwards(self, statements: list[dict[str, Any]]) -> bool:
        sends = any(
            "dnat" in part or "redirect" in part or part.get("xt", {}).get("name") in ("DNAT", "REDIRECT")
            for part in statements
        )
        return sends and any("match" in part and self._names_port(part["match"]) for part in statements)

    def _names_port(self, match: dict[str, Any]) -> bool:
        return self._value(match["left"]) == self._port and self._matches(match) is True


def _and(one: bool | None, other: bool | None) -> bool | None:
    if one is False or other is False:
        return False
    return None if one is None or other is None else True


def _extension(value: Any, match: bool | None, verdict: str) -> tuple[bool | None, str]:
    """Judge a part that iptables has and nft has no words for: a target is known by name, a match may match."""
    if not isinstance(value, dict) or value.get("type") != "target":
        return _and(match, None), verdict
    return match, "drop" if value.get("name") in _XT_DROPS else verdict


def _holds(right: Any, known: Any) -> bool | None:
    """Tell whether a value, range or set of nft's JSON holds a value; None when that cannot be read off."""
    if isinstance(right, list):
        return _any(_holds(item, known) for item in right)
    if isinstance(right, dict) and "set" in right:
        return _any(_holds(item, known) for item in right["set"])
    if isinstance(right, dict) and "range" in right:
        first, last = right["range"]
        return isinstance(known, int) and int(first) <= known <= int(last)
    if isinstance(right, str) and right.startswith("@"):
        return None
    if isinstance(known, str) and known.startswith("an interface"):
        return False if right == "lo" else None
    return bool(right == known)


def _any(answers: Iterable[bool | None]) -> bool | None:
    found = list(answers)
    return True if True in found else (None if None in found else False)


def iptables_input(saved: str, family: str, port: int, protocol: str = "tcp") -> Chain | None:
    """Return the INPUT chain of what `iptables-save -t filter` printed; None when there is none.

    port, protocol ("tcp" or "udp"): of the packet that will walk it.
    """
    policy = re.search(r"^:INPUT (ACCEPT|DROP) ", saved, re.MULTILINE)
    rules: dict[str, list[Rule]] = {}
    for line in saved.splitlines():
        if line.startswith("-A "):
            chain, rule = _iptables_line(line, port, protocol)
            rules.setdefault(chain, []).append(rule)
    return Chain(family, "filter", "INPUT", policy[1].lower(), rules) if policy else None


def _iptables_line(line: str, port: int, protocol: str) -> tuple[str, Rule]:
    """Return the chain and what the rule does. One that cannot be read decides nothing."""
    try:
        _, chain, *words = shlex.split(line)
        return chain, _iptables_rule(words, port, protocol)
    except _UNREADABLE:
        return "", Rule(None, "")


def _iptables_rule(words: list[str], port: int, protocol: str) -> Rule:
    match: bool | None = True
    verdict, negated, place = "", False, 0
    while place < len(words):
        word, value = words[place], words[place + 1] if place + 1 < len(words) else ""
        place += 2
        if word == "!":
            negated, place = True, place - 1
            continue
        if word in ("-j", "-g"):
            verdict = {"ACCEPT": "accept", "DROP": "drop", "REJECT": "drop", "RETURN": "return"}.get(value, "")
            verdict = verdict or f"{'goto' if word == '-g' else 'jump'} {value}"
            break  # what follows are the target's own options
        found = _iptables_match(word, value, port, protocol)
        if found is None or word == "--tcp-flags":
            place, values = _values(words, place - 1)
            found = _is_syn(*values) if word == "--tcp-flags" else None
        match = _and(match, (not found if found is not None else None) if negated else found)
        negated = False
    return Rule(match, verdict)


def _values(words: list[str], place: int) -> tuple[int, list[str]]:
    """Return where the next option begins and the values before it: some options have none, some have two."""
    end = next((at for at in range(place, len(words)) if words[at].startswith(("-", "!"))), len(words))
    return end, words[place:end]


def _is_syn(looked_at: str, set_there: str) -> bool:
    """Tell whether the first packet of a connection has these TCP flags set, of those that are looked at."""
    return {"SYN"} & set(looked_at.split(",")) == set(set_there.split(",")) - {"NONE"}


def _iptables_match(word: str, value: str, port: int, protocol: str) -> bool | None:
    if word == "-p":
        return value in (protocol, "all", _NUMBERS[protocol])
    if word in ("-m", "--comment"):
        return True
    if word in ("--dport", "--dports"):
        spans = [part.split(":") for part in value.split(",")]
        return any(int(span[0] or 0) <= port <= int(span[-1] or 65535) for span in spans)
    if word in ("--ctstate", "--state"):
        return "NEW" in value.split(",")
    if word == "-i":
        return False if value == "lo" else None
    return None


def forwards(saved: str, port: int) -> bool:
    """Tell whether rules that `iptables-save -t nat` printed send the port elsewhere, as Docker's do."""
    rule = re.compile(rf"^-A \S+ .*--dport {port} .*-j (DNAT|REDIRECT)", re.MULTILINE)
    return bool(rule.search(saved))
