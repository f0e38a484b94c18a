"""Whether a host's packet filter takes rules like ours: each feature that may be missing is tried. Nothing is changed.

The rules are those of the gate (relay/gate/backends/nftables_text.py, relay/gate/backends/iptables_text.py), as
roles/preflight/files/rules.json has them: whole, and with one optional feature each left in.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    # Runs a program with a text for it; returns how it ended and what it said.
    Run = Callable[[list[str], str], tuple[int, str]]
    Find = Callable[[str], "str | None"]
    # By program (nft, iptables, ip6tables) and feature, "" for none of them: the text.
    Rules = dict[str, dict[str, str]]

_VARIANTS = ("", "-nft", "-legacy")
_WHERE = re.compile(r"(?:^|\s)(?:[^:\s]+:(\d+):\d+|line:? (\d+)\b)", re.MULTILINE)


class Tried(NamedTuple):
    """What was found: the filter ("" where there is no program yet), what it lacks, its refusal and the rule meant."""

    backend: str
    lacks: list[str]
    said: str = ""
    rule: str = ""


def tried(setting: str, rules: Rules, find: Find, run: Run, *, ipv6: bool) -> Tried:
    """Try the filter that the gate would use. setting: `[gate] backend` of relay.toml."""
    has_nft = setting != "iptables" and find("nft") is not None
    if has_nft and (setting == "nftables" or run(["nft", "-j", "list", "tables"], "")[0] == 0):
        return _judged("nftables", [(["nft", "-c", "-f", "-"], rules["nft"])], run)
    kind = next((name for name in _VARIANTS if find(f"iptables{name}-restore")), None)
    if setting == "nftables" or kind is None:
        return Tried("", [])
    families = ["iptables", "ip6tables"] if ipv6 else ["iptables"]
    programs = [([f"{family}{kind}-restore", "--noflush", "--test"], rules[family]) for family in families]
    return _judged("iptables", programs, run)


def _judged(backend: str, programs: list[tuple[list[str], dict[str, str]]], run: Run) -> Tried:
    lacks = []
    for argv, texts in programs:
        status, said = run(argv, texts[""])
        if status:
            return Tried(backend, [], said.strip(), _line(said, texts[""]))
        lacks += [feature for feature in texts if feature and run(argv, texts[feature])[0]]
    return Tried(backend, list(dict.fromkeys(lacks)))


def _line(said: str, text: str) -> str:
    """Return the line of the text that a program names, "" where it names none."""
    lines, where = text.splitlines(), _WHERE.search(said)
    number = int(where[1] or where[2]) if where else 0
    return lines[number - 1].strip() if 0 < number <= len(lines) else ""
