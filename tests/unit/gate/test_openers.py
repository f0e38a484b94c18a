"""Closing what was opened in rules of others, when somebody has written into it meanwhile."""

from __future__ import annotations

import json
from typing import Any

import pytest

from relay.gate.coexist import raw_rules
from tests.support.gate_memory import ScriptedPrograms

SAVED = """*filter
:INPUT DROP [0:0]
:NETPLAY-OPEN - [0:0]
-A INPUT -j NETPLAY-OPEN
-A NETPLAY-OPEN -p tcp -m multiport --dports {ports} -j ACCEPT
COMMIT
"""


@pytest.mark.parametrize(("ports", "closed"), [("55435", False), ("55435,55440", True), ("55435:55440", True)])
def test_a_range_that_somebody_wrote_into_our_chain_is_closed_with_it(ports: str, closed: bool) -> None:
    programs = ScriptedPrograms({"iptables-nft-save": SAVED.format(ports=ports), "iptables-nft-restore": ""})
    assert raw_rules.close_iptables(programs, keep=[55435]) == (["iptables-nft"] if closed else [])


@pytest.mark.parametrize(
    ("right", "closed"),
    [
        (55435, False),
        ({"set": [55435]}, False),
        ({"range": [55435, 55440]}, True),
        ({"set": [55435, {"range": [1, 9]}]}, True),
        ("@games", True),
    ],
)
def test_a_rule_with_our_comment_that_is_for_more_than_our_ports_is_closed(right: Any, closed: bool) -> None:
    left = {"payload": {"protocol": "th", "field": "dport"}}
    rule = {
        "family": "inet", "table": "mine", "chain": "in", "handle": 7, "comment": "netplay-relay",
        "expr": [{"match": {"op": "==", "left": left, "right": right}}, {"accept": None}],
    }  # fmt: skip
    listed = json.dumps({"nftables": [{"rule": rule}]})
    programs = ScriptedPrograms({"nft -a -j list ruleset": listed, "nft delete rule": ""})
    assert list(raw_rules.close_chains(programs, keep=[55435])) == (["inet mine in"] if closed else [])
