"""The way of one friend's packet through this host: every hook that others filter at, for this very address.

The packet passes all of them: raw, mangle, nat and filter of both families, what is before them on the device, whoever
wrote it and by which program. What is ours is judged elsewhere. A rule that cannot be judged is called unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from relay.addresses import Network
from relay.gate.coexist.raw_rules import LEGACY, OUR_TABLE, insertions, lists
from relay.gate.foreign import iptables, uplinks
from relay.gate.foreign.chain import Chain, Rule
from relay.gate.foreign.nft import ForeignRuleset, entries
from relay.gate.foreign.packet import Packet
from relay.gate.programs import ProgramError, Programs

NETWORKS = Path("/sys/class/net")
# Tables of iptables on the way in.
TABLES = ("raw", "mangle", "nat", "filter", "security")
_WORDS = {4: "iptables", 6: "ip6tables"}
_FAMILIES = {4: "ip", 6: "ip6"}
# A jump of ours: what it lets in has passed the rest of that chain, too.
_OURS = re.compile(r"^-A INPUT -j NETPLAY$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Barrier:
    """What others do to a friend's packet: drop it (ok False), or that is not known (None).

    where: the chain, for people; rule: the rule; command: what opens that. tool: whose rule it is.
    """

    ok: bool | None
    where: str
    rule: str = ""
    command: str = ""
    tool: str = "firewall"

    def sentence(self, network: Network, port: int) -> str:
        """Return it for the owner."""
        by = f", by {self.rule}" if self.rule and self.rule != self.where else ""
        if self.ok is False:
            return f"{self.where} drops what {network} sends to port {port}{by}."
        return f"whether {self.where} lets {network} in to port {port} is unknown{by}."


@dataclass
class Way:
    """The filters of others on this host, listed once; backend: the one that holds our own rules."""

    programs: Programs
    backend: str = "nftables"
    _problems: list[str] = field(default_factory=list)

    def barriers(self, network: Network, port: int, protocol: str = "tcp") -> list[Barrier]:
        """Return what does not let a friend's first packet through for certain, drops first."""
        packet = _packet(network, port, protocol)
        found = [*self._judged(packet)]
        found += [Barrier(None, problem) for problem in self._problems]
        unique = dict.fromkeys(found)
        return sorted(unique, key=lambda barrier: barrier.ok is None)

    @property
    def sees(self) -> bool:
        """Whether any program of this host lists what filters there are."""
        return bool(self._listed) or any(any(printed.values()) for printed in self._printed.values())

    def _judged(self, packet: Packet) -> Iterator[Barrier]:
        devices = _devices(packet.interface)
        for tool, chain in self._chains(packet):
            if chain.is_bare():
                continue
            on_its_way = not chain.devices or not devices or set(chain.devices) & devices
            judged = chain.judge()
            if judged.answer is True or not on_its_way:
                continue
            certain = judged.answer is False and (not chain.devices or bool(devices))
            yield _barrier(tool, chain, judged.rule, packet, ok=False if certain else None)

    def _chains(self, packet: Packet) -> Iterator[tuple[str, Chain]]:
        """Yield every chain of others on a packet's way, and the program whose it is."""
        version = packet.version
        printed = self._printed[version]
        ruleset = ForeignRuleset(self._listed, packet.port, packet.protocol, packet)
        found = list(ruleset.chains())
        by_nft = {(chain.family, chain.table) for chain in found if chain.by_nft}
        program = f"{_WORDS[version]}-nft"
        shown = {
            table
            for table in iptables.tables(printed.get(program, ""))
            if printed.get(program)
            if (_FAMILIES[version], table) not in by_nft
        }
        for chain in found:
            family, table = chain.family, chain.table
            if (family, table) == OUR_TABLE or (family == _FAMILIES[version] and table in shown):
                continue
            if family == "bridge" and not _bridged(packet.interface):
                continue
            yield "nftables", chain
        for name, saved in printed.items():
            # What our own rules let in has passed that chain.
            text = _OURS.sub("-A INPUT -j ACCEPT", saved) if self.backend == "iptables" else saved
            for chain in iptables.chains(text, _FAMILIES[version], packet, self._sets, name):
                if name != program or chain.table in shown:
                    yield name, chain

    @cached_property
    def _listed(self) -> list[dict[str, Any]]:
        if not self.programs.find("nft"):
            return []
        try:
            text = self.programs.run(["nft", "-a", "-j", "list", "ruleset"])
        except ProgramError as error:
            self._problems.append(f"nft, which does not list the rules of others ({error.output.splitlines()[:1]}),")
            return []
        if not (found := entries(text)) and text.strip():
            self._problems.append("nft, whose listing cannot be read,")
        return found

    @cached_property
    def _printed(self) -> dict[int, dict[str, str]]:
        """What iptables prints of each family, by the program: that on nft, and the legacy one where it is in use."""
        return {version: dict(self._saved(version)) for version in (4, 6)}

    def _saved(self, version: int) -> Iterator[tuple[str, str]]:
        word = _WORDS[version]
        program = f"{word}-nft"
        has_legacy = [table for table in TABLES if lists(LEGACY[f"{word}-legacy"], table)]
        if self.programs.find(f"{program}-save"):
            saved = self.programs.answer([f"{program}-save"])
            yield program, _printable(saved)
        elif not self.programs.find("nft") and not has_legacy and self.programs.find(f"{word}-save"):
            yield word, _printable(self.programs.answer([f"{word}-save"]))
        if has_legacy:
            legacy = next((one for one in (f"{word}-legacy", word) if self.programs.find(f"{one}-save")), "")
            if not legacy:
                tables = ", ".join(has_legacy)
                self._problems.append(f"legacy {word} ({tables}), which no program of this host prints,")
                return
            # Only those that are in use: to ask for another loads it.
            yield legacy, "".join(self.programs.answer([f"{legacy}-save", "-t", table]) for table in has_legacy)

    @cached_property
    def _sets(self) -> dict[str, iptables.IpSet]:
        return iptables.parse_sets(self.programs.answer(["ipset", "save"])) if self.programs.find("ipset") else {}


def _printable(saved: str) -> str:
    """Return what iptables-save printed without the tables that it has no words for."""
    unsaid = re.findall(r"^# Table `(\S+)' is incompatible", saved, re.MULTILINE)
    parts = iptables.tables(saved) if "*" in saved else {}
    return "".join(f"*{table}{text}" for table, text in parts.items() if table not in unsaid)


def _packet(network: Network, port: int, protocol: str) -> Packet:
    return Packet(port, protocol, network, uplinks.interface(network), tuple(uplinks.own(network.version)))


def _devices(interface: str) -> set[str]:
    """Return an interface and those below it: the ports of a bridge, what a VLAN is on. None where it is not known."""
    found: set[str] = set()
    left = [interface] if interface else []
    while left:
        name = left.pop()
        if name in found:
            continue
        found.add(name)
        try:
            links = (NETWORKS / name).iterdir()
            below = [one.name.removeprefix("lower_") for one in links if one.name.startswith("lower_")]
        except OSError:
            below = []
        left += below
    return found


def _bridged(interface: str) -> bool:
    """Tell whether packets come in by a bridge, or that is not known."""
    return not interface or (NETWORKS / interface / "bridge").exists()


def _barrier(tool: str, chain: Chain, rule: Rule | None, packet: Packet, *, ok: bool | None) -> Barrier:
    place = (chain.family, chain.table, chain.name)
    if tool == "nftables":
        where = f"nftables' table {chain.family} {chain.table}, chain {chain.name},"
        opens = " ".join(insertions(place, [packet.port])[0])
    else:
        where = f"{tool}'s table {chain.table}, chain {chain.name},"
        opens = f"{tool} -t {chain.table} -I {chain.name} -p tcp --dport {packet.port} -j ACCEPT"
    if rule is None:
        return Barrier(ok, where, "its policy", opens, tool)
    return Barrier(ok, where, rule.text, rule.undo or opens, tool)


# So many entries are walked for all of them at once.
MOST = 50


def barriers(way: Way, networks: Sequence[Network], ports: Sequence[int]) -> list[dict[str, Any]]:
    """Return what stops friends, or may, as JSON can hold it: each barrier once, with those it is about."""
    found: dict[tuple[Barrier, int], list[Network]] = {}
    for network in networks[:MOST]:
        for port in ports:
            for barrier in way.barriers(network, port):
                found.setdefault((barrier, port), []).append(network)
    return [
        {
            "networks": [str(network) for network in about],
            "ok": barrier.ok,
            "tool": barrier.tool,
            "sentence": barrier.sentence(about[0], port),
            "rule": barrier.rule,
            "command": barrier.command,
        }
        for (barrier, port), about in found.items()
    ]
