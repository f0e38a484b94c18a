"""Rules of others as `nft -j list ruleset` prints them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from relay.gate.foreign.chain import UNREADABLE, Chain, Rule, both

_XT_DROPS = ("REJECT", "DROP")


def entries(text: str) -> list[dict[str, Any]]:
    """Return what `nft -j list ruleset` printed, one thing each; nothing for what is not that."""
    try:
        found = json.loads(text)["nftables"] if text else []
    except UNREADABLE:
        return []
    return [entry for entry in found if isinstance(entry, dict)]


class Ruleset:
    """A ruleset of nftables (see `entries`), seen by a packet to one port; protocol: "tcp" or "udp"."""

    def __init__(self, entries: Sequence[dict[str, Any]], port: int, protocol: str = "tcp") -> None:
        self._port = port
        self._protocol = protocol
        self._chains = [entry["chain"] for entry in entries if "chain" in entry]
        self._rules: dict[tuple[str, str], dict[str, list[Rule]]] = {}
        self._by_nft: set[tuple[str, str]] = set()
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
                (chain["family"], chain["table"]) in self._by_nft,
            )
            for chain in self._chains
            if chain.get("hook") == "input" and chain["family"] in ("inet", "ip", "ip6")
        ]

    def _read(self, rule: dict[str, Any]) -> Rule:
        """Return what a rule does. One that cannot be read, by whichever nft it was printed, decides nothing."""
        try:
            found = self._rule(rule)
            self.forwards = self.forwards or self._forwards(rule["expr"])
            if _is_by_nft(rule["expr"]):
                self._by_nft.add((rule["family"], rule["table"]))
        except UNREADABLE:
            return Rule(None, "")
        return found

    def _rule(self, rule: dict[str, Any]) -> Rule:
        match: bool | None = True
        verdict = ""
        for statement in rule["expr"]:
            kind, value = next(iter(statement.items()))
            if kind == "match":
                match = both(match, self._matches(value))
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
                match = both(match, None)
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


def _is_by_nft(statements: list[dict[str, Any]]) -> bool:
    """Tell whether a rule is none of iptables': that counts always, and matches no set of nft's."""
    counts = any("counter" in part for part in statements)
    return not counts or any("vmap" in part or _is_set(part.get("match", {}).get("right")) for part in statements)


def _is_set(right: Any) -> bool:
    return (isinstance(right, dict) and "set" in right) or (isinstance(right, str) and right.startswith("@"))


def _extension(value: Any, match: bool | None, verdict: str) -> tuple[bool | None, str]:
    """Judge a part that iptables has and nft has no words for: a target is known by name, a match may match."""
    if not isinstance(value, dict) or value.get("type") != "target":
        return both(match, None), verdict
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
