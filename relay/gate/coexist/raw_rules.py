"""Opening our ports in rules that no front end looks after: chains of nftables, and iptables. Tagged, and undone.

In a chain of nftables it is a rule with our comment; in iptables a chain of ours, NETPLAY-OPEN. Both may go when
their owner loads his rules again; the agent notices and opens again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from relay.gate import incompatible
from relay.gate.coexist.frontends import TAG
from relay.gate.foreign.nft import entries
from relay.gate.programs import ProgramError, Programs

OUR_TABLE = ("inet", "netplay")
OPENER = "NETPLAY-OPEN"
# Tables of nft that iptables keeps there, and whose rules are iptables' to change.
IPTABLES = {("ip", "filter"): "iptables", ("ip6", "filter"): "ip6tables"}
# Where the kernel tells which tables of legacy iptables are in use; to ask iptables-legacy would load them.
LEGACY = {"iptables-legacy": Path("/proc/net/ip_tables_names"), "ip6tables-legacy": Path("/proc/net/ip6_tables_names")}
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]{0,200}")


def insertions(place: Sequence[str], ports: Sequence[int]) -> list[list[str]]:
    """Return what opens ports in a chain of nftables; place: family, table, chain."""
    listed = ", ".join(str(port) for port in ports)
    tag, matches = TAG, [f"meta l4proto {{ tcp, udp }} th dport {{ {listed} }}"]
    if tuple(place[:2]) in IPTABLES:
        # Of any other rule iptables makes what it is not, or stops in the middle of its listing; and who saves that
        # listing finds what is ours by one word.
        tag = OPENER
        matches = [f"{protocol} dport {port} counter" for port in ports for protocol in ("tcp", "udp")]
    return [["nft", "insert", "rule", *place, match, "accept", "comment", f'"{tag}"'] for match in matches]


def open_chain(programs: Programs, place: Sequence[str], ports: Sequence[int]) -> None:
    """Open ports in a chain of nftables. Raises ProgramError."""
    # The kernel takes any name; nft reads these alone as names.
    if not all(_IDENTIFIER.fullmatch(word) for word in place):
        raise ProgramError(["nft"], None, f"it has no way to name the chain {' '.join(place)!r}")
    for command in insertions(place, ports):
        programs.run(command)


def close_chains(programs: Programs, keep: Sequence[int] = ()) -> Iterator[str]:
    """Take away our rules in chains of others but those for ports to keep; yield their chains. Raises ProgramError."""
    for entry in entries(programs.answer(["nft", "-a", "-j", "list", "ruleset"])):
        rule = entry.get("rule", {})
        table = (rule.get("family"), rule.get("table"))
        if rule.get("comment") in (TAG, OPENER) and table != OUR_TABLE and not _covers(keep, set(_ports(rule))):
            place = [*table, rule["chain"]]
            programs.run(["nft", "delete", "rule", *place, "handle", str(rule["handle"])])
            yield " ".join(place)


def open_iptables(programs: Programs, program: str, ports: Sequence[int]) -> None:
    """Open ports in iptables; program: iptables-nft, ip6tables-legacy... Raises ProgramError."""
    saved = programs.answer([f"{program}-save", "-t", "filter"])
    programs.run([f"{program}-restore", "--noflush", "--wait", "5"], opening(ports, saved))


def opening(ports: Sequence[int], saved: str) -> str:
    """Return the text for iptables-restore that opens ports in a chain of ours, jumped to once."""
    listed = ",".join(str(port) for port in ports)
    rules = [f"-A {OPENER} -p {protocol} -m multiport --dports {listed} -j ACCEPT" for protocol in ("tcp", "udp")]
    jump = [] if f"-A INPUT -j {OPENER}\n" in saved else [f"-I INPUT 1 -j {OPENER}"]
    return "\n".join(["*filter", f":{OPENER} - [0:0]", *rules, *jump, "COMMIT", ""])


def close_iptables(programs: Programs, keep: Sequence[int] = ()) -> list[str]:
    """Take away our chain wherever it is, unless it is for ports to keep; return the programs. Raises ProgramError."""
    known = [f"{word}-{kind}" for word in ("iptables", "ip6tables") for kind in ("nft", "legacy")]
    return [program for program in known if programs.find(f"{program}-restore") and _close(programs, program, keep)]


def _close(programs: Programs, program: str, keep: Sequence[int]) -> bool:
    names = LEGACY.get(program)
    if names and not lists(names, "filter"):
        return False
    saved = programs.answer([f"{program}-save", "-t", "filter"])
    named = re.findall(rf"-A {OPENER} .*--dports (\S+)", saved)
    words = [word for ports in named for word in ports.split(",")]
    # Somebody may have written a range in there: that is not for the ports to keep alone.
    kept = all(word.isdecimal() for word in words) and _covers(keep, {int(word) for word in words})
    if f":{OPENER} " not in saved or kept:
        return False
    jumps = [f"-D INPUT -j {OPENER}"] * saved.count(f"-A INPUT -j {OPENER}\n")
    lines = ["*filter", f":{OPENER} - [0:0]", *jumps, f"-X {OPENER}", "COMMIT", ""]
    programs.run([f"{program}-restore", "--noflush", "--wait", "5"], "\n".join(lines))
    return True


def close_unprinted(programs: Programs, keep: Sequence[int] = ()) -> Iterator[str]:
    """Take away our chain where iptables cannot print its table; yield where. Raises ProgramError."""
    listed = incompatible.listed(programs)
    for family, program in (("ip", "iptables-nft"), ("ip6", "ip6tables-nft")):
        if not incompatible.chains(listed, family, [OPENER]):
            continue
        ports = {port for rule in incompatible.rules(listed, family, OPENER) for port in _ports(rule)}
        if _covers(keep, ports) or f":{OPENER} " in programs.answer([f"{program}-save", "-t", "filter"]):
            continue
        incompatible.take_away(programs, listed, family, [OPENER])
        yield f"{family} filter {OPENER}"


def _covers(keep: Sequence[int], ports: set[int]) -> bool:
    """Tell whether all these ports, and there are some, are to be kept."""
    return bool(ports) and ports <= set(keep)


def _ports(rule: dict[str, Any]) -> Iterator[int]:
    """Yield the ports a rule of ours names."""
    for part in rule["expr"]:
        match = part.get("match", {})
        if isinstance(match.get("left"), dict) and match["left"].get("payload", {}).get("field") == "dport":
            right = match["right"]
            values = right.get("set", [right]) if isinstance(right, dict) else [right]
            # Of a range, or a named set, no port is one of ours.
            yield from (value if isinstance(value, int) else 0 for value in values)


def lists(names: Path, table: str) -> bool:
    """Tell whether the kernel names a table of legacy iptables there."""
    try:
        return table in names.read_text(encoding="utf-8").split()
    except OSError:
        return False
