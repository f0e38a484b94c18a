"""Living with other firewalls: what they do with our ports, opening the ports there, and undoing that.

Our ruleset decides who gets in and runs first; what it lets through must then pass everybody else. So a port that
another filter shuts is opened there for all, in that tool's own terms and under our name. Rules of others are never
changed, and a firewall is never switched off.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from relay.gate.coexist import frontends, raw_rules
from relay.gate.coexist.raw_rules import IPTABLES, LEGACY, OUR_TABLE, lists
from relay.gate.foreign.chain import Chain
from relay.gate.foreign.iptables import forwards, iptables_input
from relay.gate.foreign.nft import ForeignRuleset, entries
from relay.gate.programs import Programs


@dataclass(frozen=True, slots=True)
class Finding:
    """One other firewall: whose, a sentence for the owner, which ports it shuts, and what opens the first of them.

    evidence: where that was read. forwarded: ports whose packets go elsewhere and never meet any input filter.
    """

    tool: str
    sentence: str
    evidence: str
    shut: list[int] = field(default_factory=list)
    forwarded: list[int] = field(default_factory=list)
    command: str = ""
    where: tuple[str, ...] = ()

    def after(self, records: Sequence[dict[str, Any]]) -> str:
        """Return the sentence that holds with these openings of ours, of now and of before."""
        place = (self.tool, list(self.where))
        ours = {port for record in records if (record["tool"], record["where"]) == place for port in record["ports"]}
        if not ours or set(self.shut) - ours:
            return self.sentence
        return f"{self.tool} kept port {listed(sorted(ours))} shut; it is open there now."

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as JSON can hold it."""
        return {**asdict(self), "where": list(self.where)}


class Coexistence:
    """Other firewalls of this host.

    backend: the one in use, whose own accept is enough in its own tables. protocol: the packet that a survey is about.
    """

    def __init__(self, programs: Programs, backend: str, protocol: str = "tcp") -> None:
        self._programs = programs
        self._backend = backend
        self._protocol = protocol
        self._fronts = frontends.fronts(programs)

    def survey(self, ports: Sequence[int]) -> list[Finding]:
        """Return what other firewalls do with the ports; nothing is changed."""
        found = [finding for front in self._fronts if (finding := self._front(front, ports))]
        active = {finding.tool for finding in found}
        listed = entries(self._programs.answer(["nft", "-j", "list", "ruleset"]))
        rulesets = {port: ForeignRuleset(listed, port, self._protocol) for port in ports}
        found += self._chains(rulesets, active)
        if "ufw" not in active:
            found += self._legacy(ports)
        if sent := [port for port in ports if rulesets[port].forwards or self._legacy_forwards(port)]:
            found.append(_forwarded(sent))
        return found

    def datagrams(self, ports: Sequence[int]) -> list[str]:
        """Return sentences on what keeps UDP ports shut; TCP there is somebody else's, and not ours to open."""
        findings = self.survey(ports) if ports else []
        return [
            f"{one.tool} keeps UDP port {listed(one.shut)} shut, where RetroArch asks for the rooms in its LAN. "
            "It is not opened by us; where rooms shall be listed, open it there by hand."
            for one in findings
            if one.shut
        ]

    def open(self, finding: Finding) -> None:
        """Open what a finding has shut. Raises ProgramError, OSError; then it may be open in part."""
        for front in self._fronts:
            if front.tool == finding.tool:
                front.open(finding.shut)
        if finding.tool == "nftables":
            raw_rules.open_chain(self._programs, finding.where, finding.shut)
        if finding.tool.startswith(("iptables", "ip6tables")):
            raw_rules.open_iptables(self._programs, finding.tool, finding.shut)

    def close(self, keep: Sequence[int] = ()) -> list[str]:
        """Undo every opening of ours, by our name on it, but those for ports to keep. Raises ProgramError, OSError."""
        undone = [f"{front.tool}: port {listed(gone)}" for front in self._fronts if (gone := front.close(keep))]
        undone += dict.fromkeys(f"nftables: {place}" for place in raw_rules.close_chains(self._programs, keep))
        undone += raw_rules.close_iptables(self._programs, keep)
        return undone + [f"nftables: {place}" for place in raw_rules.close_unprinted(self._programs, keep)]

    def _front(self, front: frontends.Front, ports: Sequence[int]) -> Finding | None:
        shut = front.shut(ports, self._protocol)
        if shut is None:
            return None
        state = f"keeps port {listed(shut)} shut" if shut else "lets the port through"
        verb = "is active" if front.tool == "ufw" else "is running"
        command = " ".join(front.command(shut[0])) if shut else ""
        evidence = "ufw status" if front.tool == "ufw" else "firewall-cmd --state"
        return Finding(front.tool, f"{front.tool} {verb} and {state}.", evidence, shut, command=command)

    def _chains(self, rulesets: dict[int, ForeignRuleset], active: set[str]) -> Iterator[Finding]:
        """Yield a finding for each foreign chain of nftables, those of the front ends left out."""
        chains: dict[tuple[str, str, str], list[int]] = {}
        printed: dict[tuple[str, str, str], str] = {}
        for port, ruleset in rulesets.items():
            for chain in ruleset.inputs():
                place = (chain.family, chain.table, chain.name)
                if chain.is_bare() or place[:2] == OUR_TABLE or (chain.table == "firewalld" and "firewalld" in active):
                    continue
                if _program(place) and ("ufw" in active or self._backend == "iptables"):
                    continue
                shut = chains.setdefault(place, [])
                if place not in printed:
                    printed[place] = self._saved(chain)
                # As the tool that wrote it prints it: nft has no words for much that iptables says.
                as_written = iptables_input(printed[place], chain.family, port, self._protocol) or chain
                if not as_written.lets_in():
                    shut.append(port)
        for place, shut in chains.items():
            yield self._found(place, shut, by_iptables=bool(printed[place]))

    def _saved(self, chain: Chain) -> str:
        """Return what iptables prints of its own chain, "" for one that was written by nft."""
        program = _program((chain.family, chain.table, chain.name))
        if not program or chain.by_nft:
            return ""
        saved = self._programs.answer([f"{program}-nft-save", "-t", "filter"])
        return saved if re.search(r"^:INPUT ", saved, re.MULTILINE) else ""

    def _found(self, place: tuple[str, str, str], shut: list[int], *, by_iptables: bool) -> Finding:
        program = _program(place)
        if by_iptables and self._programs.find(f"{program}-nft-restore"):
            return _iptables_finding(f"{program}-nft", shut)
        family, table, name = place
        what = f"table {family} {table}, chain {name}"
        state = f"drops what comes to port {listed(shut)}" if shut else "lets the port through"
        command = " ".join(raw_rules.insertions(place, shut)[0]) if shut else ""
        return Finding("nftables", f"nftables' {what}, {state}.", "nft -j list ruleset", shut, [], command, place)

    def _legacy(self, ports: Sequence[int]) -> Iterator[Finding]:
        """Yield a finding for legacy iptables, whose rules nft cannot see; looking must not load its modules."""
        for program, names in LEGACY.items():
            if lists(names, "filter") and self._programs.find(f"{program}-save"):
                saved = self._programs.answer([f"{program}-save", "-t", "filter"])
                own = self._backend == "iptables" and "-A INPUT -j NETPLAY\n" in saved
                chains = {port: iptables_input(saved, "", port, self._protocol) for port in ports}
                shut = [port for port, chain in chains.items() if chain and not chain.lets_in()]
                if not own and re.search(r"^(-A INPUT|:INPUT DROP)", saved, re.MULTILINE):
                    yield _iptables_finding(program, shut)

    def _legacy_forwards(self, port: int) -> bool:
        for program, names in LEGACY.items():
            if lists(names, "nat") and forwards(self._programs.answer([f"{program}-save", "-t", "nat"]), port):
                return True
        nat = (
            self._programs.answer(["iptables-nft-save", "-t", "nat"])
            if self._programs.find("iptables-nft-save")
            else ""
        )
        return forwards(nat, port)


def _program(place: tuple[str, str, str]) -> str:
    """Return the iptables whose chain that is, "" for one that somebody has made in its table by nft."""
    family, table, name = place
    return IPTABLES.get((family, table), "") if name == "INPUT" else ""


def _iptables_finding(program: str, shut: list[int]) -> Finding:
    state = f"drops what comes to port {listed(shut)}" if shut else "lets the port through"
    command = f"{program} -I INPUT -p tcp --dport {shut[0]} -j ACCEPT" if shut else ""
    word, _, kind = program.partition("-")
    return Finding(program, f"{word} ({kind}) has rules of its own and {state}.", f"{program}-save", shut, [], command)


def _forwarded(ports: list[int]) -> Finding:
    sentence = (
        f"Docker or another forwarder sends port {listed(ports)} elsewhere: its packets never pass this host's input "
        "filters: our firewall rules do not see them. Publish another port there, or give the relay another port."
    )
    return Finding("forwarding", sentence, "the nat tables", [], ports)


def listed(ports: Sequence[int]) -> str:
    """Return ports for people."""
    return ", ".join(str(port) for port in ports)
