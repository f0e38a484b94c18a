"""The rules that the role preflight tries on a host are those that the gate loads."""

from __future__ import annotations

import json
import os

import pytest

from relay.gate.backends import iptables_text, nftables_text
from relay.gate.backends.lacking import OPTIONAL
from relay.gate.policy.ruleset import SETS, Ruleset
from tests.support.templates import ROOT

RULES = ROOT / "ansible" / "roles" / "preflight" / "files" / "rules.json"
WALL = Ruleset((55435,), 16, {name: {} for name in SETS}, (55436,))


def rendered() -> dict[str, dict[str, str]]:
    """Return the rules by program, each with none of what is optional and with one of that."""
    features = {"": OPTIONAL, **{one: [other for other in OPTIONAL if other != one] for one in OPTIONAL}}
    return {
        "nft": {
            name: nftables_text.removal() + nftables_text.frame(WALL, element_counters=False, without=without)
            for name, without in features.items()
        },
        **{
            program: {
                name: iptables_text.restore(iptables_text.frame(WALL, version, ipset=False, without=without), 1)
                for name, without in features.items()
            }
            for program, version in (("iptables", 4), ("ip6tables", 6))
        },
    }


def test_the_role_tries_what_the_gate_loads() -> None:
    if os.environ.get("NETPLAY_WRITE_GOLDEN"):
        RULES.write_text(json.dumps(rendered(), indent=1) + "\n", encoding="utf-8")
        pytest.fail(f"wrote {RULES}: look at the difference, then test without NETPLAY_WRITE_GOLDEN")
    assert json.loads(RULES.read_text(encoding="utf-8")) == rendered()
