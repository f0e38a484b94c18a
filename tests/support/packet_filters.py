"""Tiny packet filters that run what the gate renders and judge packets by it: nft's words, and those of iptables.

They know the words our renderers use and no others: whatever is new there fails here until it has been thought about.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
import shlex
from dataclasses import dataclass, field

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
NO_VERDICT = "no verdict of ours"


@dataclass(frozen=True)
class Packet:
    """A packet that comes in; state as conntrack calls it."""

    source: Address
    port: int
    protocol: str = "tcp"
    state: str = "new"
    interface: str = "eth0"


@dataclass
class NftSet:
    """A set of nft: elements and when they end, by the interpreter's clock."""

    kind: str
    flags: str = ""
    elements: dict[str, float | None] = field(default_factory=dict)


class NftInterpreter:
    """Runs scripts for `nft -f` and judges packets."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sets: dict[str, NftSet] = {}
        self.chains: dict[str, list[str]] = {}
        self.hooked: list[str] = []

    def load(self, script: str) -> None:
        """Run a script."""
        block, name = "", ""
        for raw in script.splitlines():
            line = raw.strip()
            if not line or line == "table inet netplay {":
                continue
            if line == "}":
                block, name = "", ""
            elif line == "delete table inet netplay":
                self.sets, self.chains, self.hooked = {}, {}, []
            elif match := re.fullmatch(r"(set|chain|counter) (\w+) \{", line):
                block, name = match[1], match[2]
                self._declare(block, name)
            elif match := re.fullmatch(r"flush chain inet netplay (\w+)", line):
                self.chains[match[1]] = []
            elif match := re.fullmatch(r"(add|delete) element inet netplay (\w+) \{ (.*) \}", line):
                self._elements(match[1], self.sets[match[2]], match[3])
            elif block == "set":
                self._attribute(name, line)
            elif block == "chain" and line.startswith("type "):
                assert line == "type filter hook input priority filter - 10; policy accept;", line
                self.hooked.append(name)
            elif block == "chain":
                self.chains[name].append(line)
            else:
                raise AssertionError(f"the interpreter does not know: {line}")

    def _declare(self, block: str, name: str) -> None:
        if block == "set":
            self.sets.setdefault(name, NftSet(""))
        if block == "chain":
            self.chains.setdefault(name, [])

    def _attribute(self, name: str, line: str) -> None:
        word, _, value = line.partition(" ")
        assert word in ("type", "flags", "counter", "size"), line
        if word == "type":
            self.sets[name].kind = value
        if word == "flags":
            self.sets[name].flags = value

    def _elements(self, verb: str, target: NftSet, text: str) -> None:
        for part in text.split(", "):
            value, _, time = part.partition(" timeout ")
            if verb == "delete":
                assert value in target.elements, f"nft refuses to delete {value}, which is not there"
                del target.elements[value]
            else:
                assert not time or "timeout" in target.flags, f"a timeout in a set without: {part}"
                # To add what is there changes nothing.
                target.elements.setdefault(value, self.now + _seconds(time) if time else None)
        if "interval" in target.flags:
            _refuse_overlaps(target)

    def verdict(self, packet: Packet) -> str:
        """Return "accept", "drop", or NO_VERDICT."""
        verdicts = {self._walk(chain, packet) for chain in self.hooked}
        assert len(verdicts) == 1
        return verdicts.pop() or NO_VERDICT

    def _walk(self, chain: str, packet: Packet) -> str:
        for rule in self.chains[chain]:
            verdict = self._rule(rule, packet)
            kind, _, target = verdict.partition(" ")
            if kind in ("accept", "drop"):
                return kind
            if kind in ("jump", "goto"):
                found = self._walk(target, packet)
                if found or kind == "goto":
                    return found
        return ""

    def _rule(self, rule: str, packet: Packet) -> str:
        """Return the verdict of one rule, "" when it does not match or has none."""
        rest = rule
        while rest:
            for pattern, judge in _NFT_WORDS:
                if match := re.match(pattern, rest):
                    if not judge(self, match, packet):
                        return ""
                    rest = rest[match.end() :].lstrip()
                    break
            else:
                if re.fullmatch(r"accept|drop|(?:jump|goto) \w+", rest):
                    return rest
                raise AssertionError(f"the interpreter does not know: {rest}")
        return ""

    def holds(self, name: str, version: int, value: Address | None) -> bool:
        """Tell whether a set holds an address at this time."""
        target = self.sets[name]
        if value is None or value.version != version:
            return False
        assert target.kind == f"ipv{version}_addr"
        current = [key for key, end in target.elements.items() if end is None or end > self.now]
        return any(value in ipaddress.ip_network(key) for key in current)


def _masked(packet: Packet) -> Address | None:
    if packet.source.version != 6:
        return None
    return ipaddress.ip_network((packet.source, 64), strict=False).network_address


_NFT_WORDS = [
    (r"meta l4proto \{ tcp, udp \}", lambda _f, _m, p: p.protocol in ("tcp", "udp")),
    (r"udp dport \{ ([\d, ]+) \}", lambda _f, m, p: p.protocol == "udp" and p.port in map(int, m[1].split(", "))),
    (r"th dport \{ ([\d, ]+) \}", lambda _f, m, p: p.port in map(int, m[1].split(", "))),
    (r"ct state established,related", lambda _f, _m, p: p.state in ("established", "related")),
    (r'iifname "lo"', lambda _f, _m, p: p.interface == "lo"),
    (r"ip saddr @(\w+)", lambda f, m, p: f.holds(m[1], 4, p.source)),
    (r"ip6 saddr @(\w+)", lambda f, m, p: f.holds(m[1], 6, p.source)),
    (r"ip6 saddr & ffff:ffff:ffff:ffff:: @(\w+)", lambda f, m, p: f.holds(m[1], 6, _masked(p))),
    # The cap is not reached here.
    (r"add @many[46] \{ ip6? saddr(?: & ffff:ffff:ffff:ffff::)? ct count over \d+ \}", lambda *_: False),
    (r"counter name \w+", lambda *_: True),
    (r"limit rate 6/minute burst 10 packets", lambda *_: True),
    (r'log prefix "[^"]*"', lambda *_: True),
]


def _seconds(text: str) -> float:
    units = {"d": 86400, "h": 3600, "m": 60, "s": 1, "ms": 0.001}
    parts = re.findall(r"(\d+)(ms|[dhms])", text)
    assert "".join(number + unit for number, unit in parts) == text, text
    return sum(int(number) * units[unit] for number, unit in parts)


def _refuse_overlaps(target: NftSet) -> None:
    networks = sorted(ipaddress.ip_network(key) for key in target.elements)  # type: ignore[type-var]
    for one, other in itertools.pairwise(networks):
        assert not one.overlaps(other), f"nft refuses {one} and {other} in one set"


class IptablesInterpreter:
    """Runs texts for `iptables-restore --noflush` and judges packets; sets: what ipset holds, by name."""

    def __init__(self, sets: dict[str, list[Network]] | None = None) -> None:
        self.sets = sets or {}
        self.chains: dict[str, list[list[str]]] = {"INPUT": []}

    def load(self, text: str) -> None:
        """Run a text."""
        lines = text.splitlines()
        assert (lines[0], lines[-1]) == ("*filter", "COMMIT")
        for line in lines[1:-1]:
            if match := re.fullmatch(r":(NETPLAY[A-Z-]*) - \[0:0\]", line):
                self.chains[match[1]] = []
                continue
            verb, chain, *words = shlex.split(line)
            if verb == "-A":
                assert chain.startswith("NETPLAY"), line
                self.chains[chain].append(words)
            elif verb == "-I" and words[0] == "1":
                self.chains[chain].insert(0, words[1:])
            elif verb == "-D":
                self.chains[chain].remove(words)
            elif verb == "-X":
                assert not self.chains.pop(chain)
                assert not any(chain in rule for rules in self.chains.values() for rule in rules)
            else:
                raise AssertionError(f"the interpreter does not know: {line}")

    def verdict(self, packet: Packet) -> str:
        """Return "accept", "drop", or NO_VERDICT."""
        return self._walk("INPUT", packet) or NO_VERDICT

    def _walk(self, chain: str, packet: Packet) -> str:
        for words in self.chains[chain]:
            target = self._target(words, packet)
            if target in ("ACCEPT", "DROP"):
                return {"ACCEPT": "accept", "DROP": "drop"}[target]
            if target in self.chains and (found := self._walk(target, packet)):
                return found
        return ""

    def _target(self, words: list[str], packet: Packet) -> str:
        """Return a rule's target, "" when it does not match."""
        left = list(words)
        while left:
            word = left.pop(0)
            if word == "-j":
                assert left[0] in ("ACCEPT", "DROP", "LOG") or left[0] in self.chains
                return left[0]
            if not self._matches(word, left, packet):
                return ""
        raise AssertionError(f"a rule without a target: {words}")

    def _matches(self, word: str, left: list[str], packet: Packet) -> bool:
        value = left.pop(0)
        if word == "-p":
            return packet.protocol == value
        if word == "-i":
            return packet.interface == value
        if word == "-s":
            network = ipaddress.ip_network(value)
            return network.version == packet.source.version and packet.source in network
        assert word == "-m", f"the interpreter does not know: {word}"
        return self._extension(value, left, packet)

    def _extension(self, name: str, left: list[str], packet: Packet) -> bool:
        options = {"multiport": 2, "conntrack": 2, "set": 3, "limit": 4, "connlimit": 5}[name]
        words, left[:options] = left[:options], []
        if name == "multiport":
            assert len(words[1].split(",")) <= 15, "multiport takes 15 ports"
            return packet.port in map(int, words[1].split(","))
        if name == "conntrack":
            return packet.state.upper() in words[1].split(",")
        if name == "set":
            held = self.sets[words[1]]
            return any(packet.source in network for network in held if network.version == packet.source.version)
        # The cap is not reached here, the limit of the log is.
        return name == "limit"
