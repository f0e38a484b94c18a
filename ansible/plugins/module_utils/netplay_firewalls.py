"""What the packet filters of a host do with a port before any rule of ours sees it. Only read, nothing changed.

What keeps a port shut in front of the relay is the gate's business (relay/gate/coexist/survey.py): it opens it there.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[[list[str]], str]
    Rule = list[dict[str, Any]]


class Ruleset:
    """What `nft -j list ruleset` prints, iptables' own rules among it where iptables runs on nftables."""

    def __init__(self, text: str) -> None:
        entries = json.loads(text)["nftables"] if text else []
        self.rules: list[Rule] = [entry["rule"]["expr"] for entry in entries if "rule" in entry]

    def forwarded(self, ports: list[int]) -> list[int]:
        """Return the ports whose packets a rule sends elsewhere, as Docker publishes a container's port."""
        return [port for port in ports if any(_forwards(rule, port) for rule in self.rules)]


def _target(statement: dict[str, Any]) -> str:
    """Return the target of iptables that nft has no statement of its own for (DNAT), "" otherwise."""
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
    return sends and any(_names(part, port) for part in rule)


def survey(ports: list[int], run: Run) -> dict[str, Any]:
    """Return what the host's filters do with the ports, and which of their programs there are.

    `forwarded`: ports that go elsewhere; `nft`, `iptables`: whether the program is there. `run` runs a program and
    returns what it printed, "" when it fails.
    """
    nft = shutil.which("nft")
    rules = Ruleset(run(["nft", "-j", "list", "ruleset"]) if nft and ports else "")
    iptables = shutil.which("iptables") is not None
    return {"forwarded": rules.forwarded(ports), "nft": nft is not None, "iptables": iptables}
