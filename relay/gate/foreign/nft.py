"""Rules of others as `nft -j list ruleset` prints them."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from relay.addresses import Network
from relay.gate.foreign.chain import UNREADABLE, Chain, Rule, both
from relay.gate.foreign.packet import FLAGS, Packet, span

_XT_DROPS = ("REJECT", "DROP", "TARPIT")
_XT_PASSES = (
    "LOG",
    "NFLOG",
    "MARK",
    "CONNMARK",
    "CT",
    "TCPMSS",
    "SET",
    "AUDIT",
    "TRACE",
    "CHECKSUM",
    "DSCP",
    "CLASSIFY",
)
# Statements that decide nothing.
_PASSES = ("counter", "log", "comment", "meta", "notrack", "mangle", "last", "continue", "ct helper", "secmark")
# Verdicts; a packet that is sent elsewhere does not reach the relay.
_VERDICTS = {
    "accept": "accept", "drop": "drop", "return": "return", "reject": "drop", "dnat": "elsewhere",
    "redirect": "elsewhere", "fwd": "elsewhere", "queue": "?", "synproxy": "?", "tproxy": "?",
}  # fmt: skip
# The hooks on the way of a packet to a program of the host.
HOOKS = ("ingress", "prerouting", "input")
_ADDRESSES = {"ip": 4, "ip6": 6}

Elements = list[Any]


def entries(text: str) -> list[dict[str, Any]]:
    """Return what `nft -j list ruleset` printed, one thing each; nothing for what is not that."""
    try:
        found = json.loads(text)["nftables"] if text else []
    except UNREADABLE:
        return []
    return [entry for entry in found if isinstance(entry, dict)]


class ForeignRuleset:
    """A ruleset of nftables (see `entries`), seen by a packet to one port; protocol: "tcp" or "udp".

    packet: all that is known of it, where that is more.
    """

    def __init__(
        self, entries: Sequence[dict[str, Any]], port: int, protocol: str = "tcp", packet: Packet | None = None
    ) -> None:
        self._packet = packet or Packet(port, protocol)
        self._chains = [entry["chain"] for entry in entries if "chain" in entry]
        self._held = {
            (one["family"], one["table"], one["name"]): _several(one.get("elem"))
            for entry in entries
            for kind, one in entry.items()
            if kind in ("set", "map") and {"family", "table", "name"} <= set(one)
        }
        tables = [entry["table"] for entry in entries if isinstance(entry.get("table"), dict)]
        self._asleep = {
            (one.get("family"), one.get("name")) for one in tables if "dormant" in _several(one.get("flags"))
        }
        self._rules: dict[tuple[str, str], dict[str, list[Rule]]] = {}
        self._by_nft: set[tuple[str, str]] = set()
        self._place = ("", "")
        self._undo = ""
        self.forwards = False
        for rule in (entry["rule"] for entry in entries if "rule" in entry):
            place = self._rules.setdefault((rule["family"], rule["table"]), {})
            place.setdefault(rule["chain"], []).append(self._read(rule))

    def inputs(self) -> list[Chain]:
        """Return every chain at the input hook of the inet, ip and ip6 families."""
        return [chain for chain in self.chains() if chain.hook == "input" and chain.family in ("inet", "ip", "ip6")]

    def chains(self) -> list[Chain]:
        """Return every chain on the packet's way that is awake, of families its address may be of."""
        other = {4: "ip6", 6: "ip"}.get(self._packet.version)
        return [
            Chain(
                chain["family"],
                chain["table"],
                chain["name"],
                chain.get("policy", "accept"),
                self._rules.get((chain["family"], chain["table"]), {}),
                (chain["family"], chain["table"]) in self._by_nft,
                chain["hook"],
                tuple(map(str, _several(chain.get("dev")))),
            )
            for chain in self._chains
            if chain.get("hook") in HOOKS
            and chain["family"] in {"inet", "ip", "ip6", "netdev", "bridge"} - {other}
            and (chain["family"], chain["table"]) not in self._asleep
        ]

    def _read(self, rule: dict[str, Any]) -> Rule:
        """Return what a rule does. One that cannot be read, by whichever nft it was printed, may do anything."""
        self._place = (rule["family"], rule["table"])
        where = f"{rule['family']} {rule['table']} {rule['chain']}"
        self._undo = f"nft delete rule {where} handle {rule['handle']}" if "handle" in rule else ""
        text = f"table {rule['family']} {rule['table']}, chain {rule['chain']}"
        try:
            match, verdict = self._rule(rule["expr"])
            self.forwards = self.forwards or self._forwards(rule["expr"])
            if _is_by_nft(rule["expr"]):
                self._by_nft.add(self._place)
        except UNREADABLE:
            return Rule(None, "?", "", f"{text}, a rule that cannot be read", self._undo)
        return Rule(match, verdict, str(rule.get("comment", "")), text, self._undo)

    def _rule(self, statements: Sequence[dict[str, Any]]) -> tuple[bool | None, str]:
        match: bool | None = True
        verdict = ""
        for statement in statements:
            kind, value = next(iter(statement.items()))
            if kind == "match":
                match = both(match, self._matches(value))
            elif kind == "vmap":
                match, verdict = self._mapped(value, match)
            elif kind == "xt":
                match, verdict = _extension(value, match, verdict)
            elif kind in ("jump", "goto"):
                verdict = f"{kind} {value['target']}"
            elif kind in _VERDICTS:
                verdict = _VERDICTS[kind]
            elif kind in ("set", "map") and not value.get("stmt"):
                continue  # it only writes down
            elif kind not in _PASSES:
                match = both(match, None)
        return match, verdict

    def _matches(self, match: dict[str, Any]) -> bool | None:
        known = self._value(match["left"])
        op = match["op"]
        if known is None:
            return None
        if op in ("<", ">", "<=", ">="):
            return _compares(op, known, match["right"])
        if op not in ("==", "in", "!="):
            return None
        found = self._holds(match["right"], known)
        return (not found if found is not None else None) if op == "!=" else found

    def _value(self, left: Any) -> Any:
        """Return what the packet has there; None when that is not known."""
        if not isinstance(left, dict):
            return None
        if "&" in left:
            return self._masked(*left["&"])
        if "concat" in left:
            return [self._value(one) for one in left["concat"]]
        if "fib" in left:
            return _route(left["fib"])
        payload, meta, state = left.get("payload", {}), left.get("meta", {}), left.get("ct", {})
        if "field" in payload:
            return self._field(payload.get("protocol"), payload["field"])
        if meta:
            return self._meta(meta.get("key"))
        return {"state": "new", "direction": "original"}.get(state.get("key"))

    def _field(self, protocol: Any, field: Any) -> Any:
        packet = self._packet
        if field == "dport":
            # A rule on another protocol's port does not match.
            return packet.port if protocol in (packet.protocol, "th") else -1
        if (protocol, field) in (("ip", "protocol"), ("ip6", "nexthdr")):
            return packet.protocol
        if protocol in _ADDRESSES and field in ("saddr", "daddr"):
            if packet.version not in (0, _ADDRESSES[protocol]):
                return _OTHER_FAMILY
            return _Address(packet, field)
        if (protocol, field) == ("tcp", "flags"):
            return FLAGS if packet.protocol == "tcp" else frozenset()
        return 0 if (protocol, field) == ("ip", "frag-off") else None

    def _meta(self, key: Any) -> Any:
        if key in ("iif", "iifname"):
            return _Interface(self._packet)
        families = {4: ("ipv4", "ip"), 6: ("ipv6", "ip6")}.get(self._packet.version, (None, None))
        known = {"l4proto": self._packet.protocol, "nfproto": families[0], "protocol": families[1], "pkttype": "host"}
        return known.get(key)

    def _masked(self, left: Any, mask: Any) -> Any:
        """Return what the packet has there under a mask."""
        known = self._value(left)
        if isinstance(known, frozenset):
            return known & frozenset(_words(mask))
        if known == 0:
            return 0
        if isinstance(known, _Address) and known.field == "saddr" and isinstance(mask, str) and known.packet.source:
            source = known.packet.source
            bits = int(ipaddress.ip_address(mask))
            if bits >> (source.max_prefixlen - source.prefixlen) << (source.max_prefixlen - source.prefixlen) != bits:
                return None  # it looks at more than is known
            value = type(source.network_address)(int(source.network_address) & bits)
            return _Address(Packet(0, source=ipaddress.ip_network(value)), "saddr")
        return None

    def _mapped(self, value: dict[str, Any], match: bool | None) -> tuple[bool | None, str]:
        known = self._value(value.get("key"))
        data = value.get("data")
        pairs = data.get("set") if isinstance(data, dict) else self._named(data)
        if known is None or not isinstance(pairs, list):
            return None, "?"
        doubt = False
        for key, verdict in pairs:
            found = self._holds(key, known)
            kind, target = next(iter(verdict.items()))
            if found:
                said = f"{kind} {target['target']}" if target else kind
                return (None, "?") if doubt else (match, said)
            doubt = doubt or found is None
        return (None, "?") if doubt else (False, "")

    def _named(self, name: Any) -> Elements | None:
        """Return what a set or map of the rule's table holds; None where there is none of that name."""
        if not isinstance(name, str) or not name.startswith("@"):
            return None
        return self._held.get((*self._place, name[1:]))

    def _holds(self, right: Any, known: Any) -> bool | None:
        """Tell whether a value, range or set of nft's JSON holds a value; None when that cannot be read off."""
        if known is _OTHER_FAMILY:
            return False
        if isinstance(right, str) and right.startswith("@"):
            return self._in_set(right, known)
        if isinstance(known, frozenset):
            return known == frozenset(_words(right))
        if isinstance(right, dict) and "elem" in right:
            return self._holds(right["elem"].get("val"), known)
        if isinstance(right, list):
            return _any(self._holds(item, known) for item in right)
        if isinstance(right, dict) and "set" in right:
            return _any(self._holds(item, known) for item in _several(right["set"]))
        if isinstance(known, list):
            return self._joined(right, known)
        return _is(right, known)

    def _in_set(self, name: str, known: Any) -> bool | None:
        held = self._named(name)
        if held is None:
            return None
        for element in held:
            # Of a map the key counts.
            found = self._holds(element[0] if isinstance(element, list) else element, known)
            if found and isinstance(known, _Address):
                value = _shown(element)
                self._undo = (
                    f"nft delete element {' '.join(self._place)} {name[1:]} {{ {value} }}" if value else self._undo
                )
            if found is not False:
                return found
        return False

    def _joined(self, right: Any, known: list[Any]) -> bool | None:
        """Compare several values at once: addresses and ports, for example."""
        parts = right.get("concat") if isinstance(right, dict) else None
        if not isinstance(parts, list) or len(parts) != len(known):
            return None
        answer: bool | None = True
        for part, one in zip(parts, known, strict=True):
            answer = both(answer, None if one is None else self._holds(part, one))
        return answer

    def _forwards(self, statements: list[dict[str, Any]]) -> bool:
        sends = any(
            "dnat" in part or "redirect" in part or part.get("xt", {}).get("name") in ("DNAT", "REDIRECT")
            for part in statements
        )
        return sends and any("match" in part and self._names_port(part["match"]) for part in statements)

    def _names_port(self, match: dict[str, Any]) -> bool:
        return self._value(match["left"]) == self._packet.port and self._matches(match) is True


class _Address:
    """The address a packet comes from, or is for."""

    def __init__(self, packet: Packet, field: str) -> None:
        self.packet = packet
        self.field = field

    def is_in(self, networks: Iterable[Network]) -> bool | None:
        judge = self.packet.comes_from if self.field == "saddr" else self.packet.is_for
        return _any(judge(network) for network in networks)


class _Interface:
    """The interface a packet comes in by."""

    def __init__(self, packet: Packet) -> None:
        self.packet = packet


_OTHER_FAMILY = object()


def _is(right: Any, known: Any) -> bool | None:
    """Tell whether one value of nft's JSON is, or holds, what the packet has."""
    if isinstance(known, _Interface):
        return known.packet.comes_by(right, "*") if isinstance(right, str) else None
    if isinstance(known, _Address):
        return known.is_in(_networks(right))
    if isinstance(right, dict) and "range" in right:
        first, last = right["range"]
        return isinstance(known, int) and int(first) <= known <= int(last)
    if isinstance(right, dict):
        return None
    return bool(right == known)


def _networks(right: Any) -> list[Network]:
    """Return the networks that an address, prefix or range stands for. Raises ValueError, KeyError."""
    if isinstance(right, dict) and "prefix" in right:
        return [ipaddress.ip_network((right["prefix"]["addr"], right["prefix"]["len"]), strict=False)]
    if isinstance(right, dict) and "range" in right:
        return span(*right["range"])
    return [_network(right)]


@lru_cache(maxsize=65536)
def _network(right: Any) -> Network:
    """Return what an address stands for: the same ones are compared with every friend. Raises ValueError."""
    return ipaddress.ip_network(right)


def _shown(element: Any) -> str:
    """Return an element as nft reads it, "" for what is none of ours to write."""
    value = element[0] if isinstance(element, list) else element
    value = value["elem"].get("val") if isinstance(value, dict) and "elem" in value else value
    if isinstance(value, dict) and "prefix" in value:
        return f"{value['prefix']['addr']}/{value['prefix']['len']}"
    if isinstance(value, dict) and "range" in value:
        return f"{value['range'][0]}-{value['range'][1]}"
    return value if isinstance(value, str) else ""


def _words(value: Any) -> Iterable[str]:
    """Yield the flags that a value names: one, several, or several joined by "|"."""
    if isinstance(value, dict):
        value = value.get("|", value.get("set", []))
    for one in _several(value):
        if isinstance(one, str):
            yield one
        elif one:
            yield from _words(one)


def _route(fib: dict[str, Any]) -> Any:
    """Return what the host's routes say of the packet: it is for the host, and the way back is the way it came."""
    flags = _several(fib.get("flags"))
    if fib.get("result") == "type" and "daddr" in flags:
        return "local"
    if fib.get("result") in ("oif", "oifname") and "saddr" in flags and "iif" in flags:
        return True
    return None


def _compares(op: str, known: Any, right: Any) -> bool | None:
    if not isinstance(known, int) or not isinstance(right, int) or isinstance(known, bool):
        return None
    return {"<": known < right, ">": known > right, "<=": known <= right, ">=": known >= right}[op]


def _several(value: Any) -> list[Any]:
    """Return a list of what some releases print alone where there is one."""
    return value if isinstance(value, list) else [] if value is None else [value]


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
    name = value.get("name")
    if name in _XT_DROPS:
        return match, "drop"
    if name in ("DNAT", "REDIRECT"):
        return match, "elsewhere"
    return match, verdict if name in _XT_PASSES else "?"


def _any(answers: Iterable[bool | None]) -> bool | None:
    found = list(answers)
    return True if True in found else (None if None in found else False)
