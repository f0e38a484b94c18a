"""Rules of others as iptables-save prints them."""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from relay.addresses import Network
from relay.gate.foreign.chain import UNREADABLE, Chain, Rule, both
from relay.gate.foreign.packet import FLAGS, Packet, span

# What splitting at blanks alone gets wrong.
_QUOTES = re.compile(r"""["'\\\0-\x08\x0b\x0c\x0e-\x1f\x7f]""")
_NUMBERS = {"tcp": "6", "udp": "17"}
# Built-in targets; what else is no chain may do anything.
_TARGETS = {
    "ACCEPT": "accept", "DROP": "drop", "REJECT": "drop", "TARPIT": "drop", "RETURN": "return", "DNAT": "elsewhere",
    "REDIRECT": "elsewhere", "NETMAP": "elsewhere",
}  # fmt: skip
# Targets that decide nothing.
_PASSES = frozenset(
    {
        "LOG", "NFLOG", "ULOG", "MARK", "CONNMARK", "CONNSECMARK", "SECMARK", "CT", "NOTRACK", "TCPMSS", "SET", "AUDIT",
        "TRACE", "CHECKSUM", "DSCP", "TOS", "TTL", "HL", "CLASSIFY", "HMARK", "IDLETIMER", "LED", "RATEEST", "TEE",
    }
)  # fmt: skip
# Matches that hold, or say more by their own options.
_MATCHES = frozenset(
    {"comment", "tcp", "udp", "multiport", "conntrack", "state", "set", "iprange", "addrtype", "pkttype"}
)
# The chains on the way of a packet to a program of the host, and the hooks they are at.
HOOKS = {"PREROUTING": "prerouting", "INPUT": "input"}
_MOST = 65535


@dataclass(frozen=True, slots=True)
class IpSet:
    """A set of ipset: whether it holds addresses, and these with the words of its listing; False: an exception."""

    plain: bool
    members: list[tuple[Network, str, bool]] = field(default_factory=list)


Sets = Mapping[str, IpSet]
_NONE: Sets = {}


def iptables_input(saved: str, family: str, port: int, protocol: str = "tcp") -> Chain | None:
    """Return the INPUT chain of what `iptables-save -t filter` printed; None when there is none.

    port, protocol ("tcp" or "udp"): of the packet that will walk it.
    """
    found = chains(saved, family, Packet(port, protocol))
    return next((chain for chain in found if (chain.table, chain.name) == ("filter", "INPUT")), None)


def chains(saved: str, family: str, packet: Packet, sets: Sets = _NONE, program: str = "iptables") -> Iterator[Chain]:
    """Yield the chains on a packet's way in what iptables-save printed of one table or of several.

    program: what prints and changes these rules, for the commands that undo them.
    """
    for table, text in tables(saved).items():
        policies = re.findall(r"^:(\S+) (ACCEPT|DROP|-) ", text, re.MULTILINE)
        known = frozenset([*(name for name, _ in policies), *re.findall(r"^-A (\S+) ", text, re.MULTILINE)])
        rules: dict[str, list[Rule]] = {}
        for line in text.splitlines():
            if line.startswith("-A "):
                chain, rule = _line(line, packet, sets, known, f"{program} -t {table}")
                rules.setdefault(chain, []).append(rule)
        for name, policy in policies:
            if name in HOOKS and policy != "-":
                yield Chain(family, table, name, policy.lower(), rules, hook=HOOKS[name])


def tables(saved: str) -> dict[str, str]:
    """Return what iptables-save printed by the names of the tables; without a name it is the filter's."""
    parts = re.split(r"^\*(\S+)$", saved, flags=re.MULTILINE)
    named = dict(zip(parts[1::2], parts[2::2], strict=True))
    return named or {"filter": saved}


def parse_sets(saved: str) -> dict[str, IpSet]:
    """Return the sets that `ipset save` printed."""
    found: dict[str, IpSet] = {}
    for line in saved.splitlines():
        words = line.split()
        if len(words) > 2 and words[0] == "create":
            found[words[1]] = IpSet(words[2] in ("hash:ip", "hash:net", "bitmap:ip"))
        elif len(words) > 2 and words[0] == "add" and words[1] in found and found[words[1]].plain:
            found[words[1]].members.extend((network, words[2], "nomatch" not in words) for network in _member(words[2]))
    return found


def _member(text: str) -> list[Network]:
    """Return the networks an address, prefix or range stands for; none for a mask with holes, or what is no address."""
    try:
        first, _, last = text.partition("-")
        return span(first, last) if last else [ipaddress.ip_network(text, strict=False)]
    except ValueError:
        return []


@lru_cache(maxsize=20_000)
def _words(line: str) -> tuple[str, ...]:
    # Most rules have no quotes, and there may be tens of thousands.
    return tuple(line.split() if line.isascii() and not _QUOTES.search(line) else shlex.split(line))


def _line(line: str, packet: Packet, sets: Sets, known: frozenset[str], program: str) -> tuple[str, Rule]:
    """Return the chain and what the rule does. One that cannot be read may do anything."""
    undo = f"{program} -D {line.removeprefix('-A ')}"
    chain = line.split()[1] if len(line.split()) > 1 else ""
    try:
        return chain, _Reader(packet, sets, known, list(_words(line)[2:])).rule(line, undo)
    except UNREADABLE:
        return chain, Rule(None, "?", "", line, undo)


class _Reader:
    """Reads one rule."""

    def __init__(self, packet: Packet, sets: Sets, known: frozenset[str], words: list[str]) -> None:
        self._packet = packet
        self._sets = sets
        self._known = known
        self._rest = words
        self._undo = ""

    def rule(self, text: str, undo: str) -> Rule:
        """Return what it does."""
        match: bool | None = True
        negated = False
        while self._rest:
            word = self._rest.pop(0)
            if word == "!":
                negated = True
                continue
            values = self._values()
            if word in ("-j", "-g"):
                # What follows are the target's own options.
                return Rule(match, self._verdict(word, values[0]), "", text, self._undo or undo)
            found = self._matches(word, values)
            match = both(match, (not found if found is not None else None) if negated else found)
            negated = False
        return Rule(match, "", "", text, undo)

    def _values(self) -> list[str]:
        """Take the values of an option: some have none, some have two."""
        end = next((at for at, word in enumerate(self._rest) if word.startswith("-") or word == "!"), len(self._rest))
        found, self._rest = self._rest[:end], self._rest[end:]
        return found

    def _verdict(self, word: str, target: str) -> str:
        if target in _TARGETS:
            return _TARGETS[target]
        if target in _PASSES:
            return ""
        # What is neither a chain there nor written like an extension is a chain without a rule.
        is_chain = target in self._known or not target.isupper()
        return f"{'goto' if word == '-g' else 'jump'} {target}" if is_chain else "?"

    def _matches(self, word: str, values: list[str]) -> bool | None:
        judge = _OPTIONS.get(word)
        if judge is not None:
            return judge(self, *values)
        # An option of no module that is known here.
        return None

    def by_protocol(self, value: str) -> bool:
        return value in (self._packet.protocol, "all", _NUMBERS[self._packet.protocol])

    def by_module(self, name: str) -> bool | None:
        if name == "rpfilter":
            # The way back is the way it came.
            inverted = "--invert" in self._rest
            self._rest = [word for word in self._rest if word not in ("--invert", "--validmark", "--loose")]
            return not inverted
        return True if name in _MATCHES else None

    def by_comment(self, *_: str) -> bool:
        return True

    def by_port(self, value: str) -> bool:
        spans = [part.split(":") for part in value.split(",")]
        return any(int(span[0] or 0) <= self._packet.port <= int(span[-1] or _MOST) for span in spans)

    def by_state(self, value: str) -> bool:
        return "NEW" in value.split(",")

    def by_interface(self, value: str) -> bool | None:
        return self._packet.comes_by(value, "+")

    def by_source(self, value: str) -> bool | None:
        return _any(self._packet.comes_from(network) for network in _member(value)) if _member(value) else None

    def by_destination(self, value: str) -> bool | None:
        return _any(self._packet.is_for(network) for network in _member(value)) if _member(value) else None

    def by_source_range(self, value: str) -> bool | None:
        return _any(self._packet.comes_from(network) for network in _member(value))

    def by_destination_range(self, value: str) -> bool | None:
        return _any(self._packet.is_for(network) for network in _member(value))

    def by_flags(self, looked_at: str, set_there: str) -> bool:
        """Tell whether the first packet of a connection has these TCP flags set, of those that are looked at."""
        there = {flag.upper() for flag in FLAGS} & (
            set(looked_at.split(",")) | ({"SYN"} if looked_at == "ALL" else set())
        )
        return there == set(set_there.split(",")) - {"NONE"}

    def by_syn(self) -> bool:
        return True

    def by_fragment(self) -> bool:
        return False

    def by_kind(self, value: str) -> bool | None:
        return "LOCAL" in value.split(",") or (None if "UNICAST" in value.split(",") else False)

    def by_cast(self, value: str) -> bool:
        return value == "unicast"

    def of_set(self, name: str, by: str) -> bool | None:
        found = self._sets.get(name)
        if found is None or not found.plain or by not in ("src", "dst") or self._packet.source is None:
            return None
        judge = self._packet.comes_from if by == "src" else self._packet.is_for
        if any(judge(network) is not False for network, _, good in found.members if not good):
            return None
        for network, text, _ in found.members:
            if (answer := judge(network)) is not False:
                self._undo = f"ipset del {name} {text}" if by == "src" and answer else ""
                return answer
        return False


def _any(answers: Iterator[bool | None]) -> bool | None:
    found = list(answers)
    return True if True in found else (None if None in found else False)


_OPTIONS: dict[str, Callable[..., bool | None]] = {
    "-p": _Reader.by_protocol,
    "-m": _Reader.by_module,
    "--comment": _Reader.by_comment,
    "--dport": _Reader.by_port,
    "--dports": _Reader.by_port,
    "--ctstate": _Reader.by_state,
    "--state": _Reader.by_state,
    "-i": _Reader.by_interface,
    "-s": _Reader.by_source,
    "-d": _Reader.by_destination,
    "--src-range": _Reader.by_source_range,
    "--dst-range": _Reader.by_destination_range,
    "--tcp-flags": _Reader.by_flags,
    "--syn": _Reader.by_syn,
    "-f": _Reader.by_fragment,
    "--dst-type": _Reader.by_kind,
    "--pkt-type": _Reader.by_cast,
    "--match-set": _Reader.of_set,
}


def forwards(saved: str, port: int) -> bool:
    """Tell whether rules that `iptables-save -t nat` printed send the port elsewhere, as Docker's do."""
    rule = re.compile(rf"^-A \S+ .*--dport {port} .*-j (DNAT|REDIRECT)", re.MULTILINE)
    return bool(rule.search(saved))
