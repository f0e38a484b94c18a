"""Which firewall stands in front of a port: evidence read from the host, nothing changed.

A table of ours can only take away: a packet that it accepts still meets every other filter. So the owner is told
which of them keeps the port shut, and the command that opens it there.
"""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Run = Callable[[list[str]], str]
    Rule = list[dict[str, Any]]

OUR_TABLE = ("inet", "netplay")
# ufw and firewalld are asked by their own names; their tables would only say the same again.
FRONT_ENDS = ("ufw", "firewalld")


def note(firewall: str, port: int, state: str, command: str) -> dict[str, object]:
    """Return one finding: whose filter, which port, a phrase for people, and the command that opens the port there."""
    return {"firewall": firewall, "port": port, "state": state, "command": command}


def ufw(ports: list[int], run: Run) -> list[dict[str, object]] | None:
    """Return the ports that ufw keeps shut, None when ufw is not active."""
    status = run(["ufw", "status"]) if shutil.which("ufw") else ""
    if not re.search(r"^Status: active$", status, re.MULTILINE):
        return None
    shut = [port for port in ports if not re.search(rf"^{port}(?:/tcp)?\s+(?:\(v6\)\s+)?ALLOW", status, re.MULTILINE)]
    return [note("ufw", port, "is active", f"ufw allow {port}/tcp comment netplay-relay") for port in shut]


def firewalld(ports: list[int], run: Run) -> list[dict[str, object]] | None:
    """Return the ports that firewalld keeps shut, None when firewalld does not run."""
    if not shutil.which("firewall-cmd") or run(["firewall-cmd", "--state"]).strip() != "running":
        return None
    shut = [port for port in ports if run(["firewall-cmd", f"--query-port={port}/tcp"]).strip() != "yes"]
    command = "firewall-cmd --permanent --add-port={0}/tcp && firewall-cmd --add-port={0}/tcp"
    return [note("firewalld", port, "is running", command.format(port)) for port in shut]


class Ruleset:
    """What `nft -j list ruleset` prints: chains and rules, iptables' own among them where iptables runs on nftables."""

    def __init__(self, text: str) -> None:
        entries = json.loads(text)["nftables"] if text else []
        self.chains: list[dict[str, Any]] = [entry["chain"] for entry in entries if "chain" in entry]
        self.rules: dict[tuple[str, str, str], list[Rule]] = {}
        self.comments: dict[tuple[str, str, str], str] = {}
        for rule in (entry["rule"] for entry in entries if "rule" in entry):
            place = (rule["family"], rule["table"], rule["chain"])
            self.rules.setdefault(place, []).append(rule["expr"])
            self.comments.setdefault(place, rule.get("comment", ""))

    def shut(self, ports: list[int]) -> list[dict[str, object]]:
        """Return the ports that an input chain of somebody else drops."""
        inputs = [chain for chain in self.chains if chain.get("hook") == "input"]
        foreign = [chain for chain in inputs if (chain["family"], chain["table"]) != OUR_TABLE]
        return [_shut_chain(chain, port) for chain in foreign for port in ports if self._keeps_shut(chain, port)]

    def wall(self) -> str:
        """Return the fingerprint of our own table, "" when the table is not there."""
        return self.comments.get((*OUR_TABLE, "input"), "")

    def forwarded(self, ports: list[int]) -> list[int]:
        """Return the ports whose packets a rule sends elsewhere, as Docker publishes a container's port."""
        return [port for port in ports if any(_forwards(rule, port) for rules in self.rules.values() for rule in rules)]

    def _reached(self, chain: dict[str, Any], seen: set[str]) -> Iterator[Rule]:
        """Yield the rules of a chain and of the chains it jumps to, each chain once."""
        if chain["name"] in seen:
            return
        seen.add(chain["name"])
        for rule in self.rules.get((chain["family"], chain["table"], chain["name"]), []):
            yield rule
            for statement in rule:
                jump = statement.get("jump") or statement.get("goto")
                if jump:
                    yield from self._reached({**chain, "name": jump["target"]}, seen)

    def _keeps_shut(self, chain: dict[str, Any], port: int) -> bool:
        rules = list(self._reached(chain, set()))
        # What a rule drops for one source or one state of a connection is no reason to warn.
        drops = [
            rule for rule in rules if _gives(rule, "drop", "reject") and (not _conditions(rule) or _is_on(rule, port))
        ]
        opens = [rule for rule in rules if _gives(rule, "accept") and _is_on(rule, port)]
        return (chain.get("policy") == "drop" or bool(drops)) and not opens


def _gives(rule: Rule, *verdicts: str) -> bool:
    return any(verdict in part or _target(part).lower() == verdict for part in rule for verdict in verdicts)


def _conditions(rule: Rule) -> Rule:
    return [part for part in rule if "match" in part or part.get("xt", {}).get("type") == "match"]


def _is_on(rule: Rule, port: int) -> bool:
    return any(_names(part, port) for part in _conditions(rule))


def _target(statement: dict[str, Any]) -> str:
    """Return the target of iptables that nft has no statement of its own for (REJECT, DNAT), "" otherwise."""
    target = statement.get("xt", {})
    return str(target["name"]) if target.get("type") == "target" else ""


def _names(statement: dict[str, Any], port: int) -> bool:
    """Whether a match is on the destination port and holds this one."""
    match = statement.get("match", {"op": "", "left": {}, "right": []})
    left, operator = match["left"], match["op"]
    if not isinstance(left, dict) or left.get("payload", {}).get("field") != "dport" or operator not in ("==", "in"):
        return False
    right = match["right"]
    values = right["set"] if isinstance(right, dict) and "set" in right else [right]
    return any(_holds(value, port) for value in values)


def _holds(value: Any, port: int) -> bool:
    if isinstance(value, dict) and "range" in value:
        first, last = value["range"]
        return bool(first <= port <= last)
    return bool(value == port)


def _forwards(rule: Rule, port: int) -> bool:
    sends = any("dnat" in part or "redirect" in part or _target(part) in ("DNAT", "REDIRECT") for part in rule)
    return sends and _is_on(rule, port)


def _shut_chain(chain: dict[str, Any], port: int) -> dict[str, object]:
    family, table, name = chain["family"], chain["table"], chain["name"]
    if table == "filter" and name == "INPUT":
        return _shut_iptables("iptables" if family == "ip" else "ip6tables", port)
    command = f"nft insert rule {family} {table} {name} tcp dport {port} accept"
    return note(f"nftables (table {family} {table}, chain {name})", port, "drops what it does not know", command)


def _shut_iptables(program: str, port: int) -> dict[str, object]:
    return note(program, port, "drops what it does not know", f"{program} -I INPUT -p tcp --dport {port} -j ACCEPT")


def iptables(program: str, ports: list[int], run: Run) -> list[dict[str, object]]:
    """Return the ports that rules of iptables keep shut, for rules that nft cannot list."""
    rules = run([program, "-S", "INPUT"]) if shutil.which(program) else ""
    found = []
    for port in ports:
        on_port = rf"-p tcp -m tcp --dport {port}"
        drops = re.search(rf"^(-P INPUT DROP|-A INPUT ({on_port} )?-j (DROP|REJECT)\b)", rules, re.MULTILINE)
        opens = re.search(rf"^-A INPUT .*--dport {port} .*-j ACCEPT$", rules, re.MULTILINE)
        if drops and not opens:
            found.append(_shut_iptables(program, port))
    return found


def wall_state(in_force: str, rules_file: Path) -> str:
    """Return "current" when the table in force is that of the file, else "outdated" or "absent"."""
    if not in_force:
        return "absent"
    text = rules_file.read_text() if rules_file.exists() else ""
    return "current" if f'comment "{in_force}"' in text else "outdated"


def survey(ports: list[int], run: Run, rules_file: Path) -> dict[str, Any]:
    """Return what the host's filters do with the ports.

    `shut`: notes on every filter that keeps a port shut; `forwarded`: ports that go elsewhere; `nft`: whether the
    program is there; `wall`: how our own table compares with the file of rules. `run` runs a program
    and returns what it printed, "" when it fails.
    """
    nft = shutil.which("nft")
    rules = Ruleset(run(["nft", "-j", "list", "ruleset"]) if nft else "")
    fronts = [found for found in (ufw(ports, run), firewalld(ports, run)) if found is not None]
    if fronts:
        shut = [finding for found in fronts for finding in found]
    else:
        legacy = ["iptables-legacy", "ip6tables-legacy"] if nft else ["iptables", "ip6tables"]
        shut = rules.shut(ports) + [finding for program in legacy for finding in iptables(program, ports, run)]
    wall = wall_state(rules.wall(), rules_file)
    return {"shut": shut, "forwarded": rules.forwarded(ports), "nft": nft is not None, "wall": wall}
