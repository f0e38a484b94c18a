"""Other people's rules, judged by the packet that matters: a stranger's first one to our port."""

from __future__ import annotations

import json

import pytest

from relay.gate.foreign.iptables import forwards, iptables_input
from relay.gate.foreign.nft import ForeignRuleset, entries

PORT = 55435
TCP_DPORT = {"payload": {"protocol": "tcp", "field": "dport"}}
STATE = {"ct": {"key": "state"}}
IIF = {"meta": {"key": "iifname"}}


def match(left: object, right: object, op: str = "==") -> dict[str, object]:
    return {"match": {"op": op, "left": left, "right": right}}


def lets_in(*rules: list[object], policy: str = "accept", others: dict[str, list[list[object]]] | None = None) -> bool:
    """Judge a chain at the input hook of nftables."""
    where = {"family": "inet", "table": "mine"}
    chains: list[object] = [{"chain": {**where, "name": "incoming", "hook": "input", "policy": policy}}]
    for name, found in {"incoming": list(rules), **(others or {})}.items():
        chains += [{"rule": {**where, "chain": name, "expr": rule}} for rule in found]
    (chain,) = ForeignRuleset(entries(json.dumps({"nftables": chains})), PORT).inputs()
    return chain.lets_in()


ACCEPT, DROP = {"accept": None}, {"drop": None}
REJECT = {"reject": {"type": "icmpx", "expr": "port-unreachable"}}


@pytest.mark.parametrize(
    ("rules", "policy", "answer"),
    [
        ([], "accept", True),
        ([], "drop", False),
        ([[DROP]], "accept", False),
        ([[REJECT]], "accept", False),
        ([[match(TCP_DPORT, 22), ACCEPT]], "drop", False),
        ([[match(TCP_DPORT, PORT), ACCEPT]], "drop", True),
        ([[match(TCP_DPORT, {"set": [22, PORT]}), ACCEPT]], "drop", True),
        ([[match(TCP_DPORT, {"range": [55000, 56000]}), ACCEPT]], "drop", True),
        ([[match(TCP_DPORT, {"set": [22, {"range": [1, 99]}]}), ACCEPT]], "drop", False),
        ([[match(TCP_DPORT, PORT, "!="), DROP]], "accept", True),
        ([[match(TCP_DPORT, "@mine"), ACCEPT]], "drop", False),
        ([[match(TCP_DPORT, PORT), DROP], [match(TCP_DPORT, PORT), ACCEPT]], "accept", False),
        ([[match({"payload": {"protocol": "udp", "field": "dport"}}, PORT), ACCEPT]], "drop", False),
        ([[match({"payload": {"protocol": "th", "field": "dport"}}, PORT), ACCEPT]], "drop", True),
        ([[match(STATE, ["established", "related"], "in"), ACCEPT]], "drop", False),
        ([[match(STATE, "invalid", "in"), DROP]], "accept", True),
        ([[match(STATE, ["new", "established"], "in"), ACCEPT]], "drop", True),
        ([[match(IIF, "lo"), ACCEPT]], "drop", False),
        ([[match(IIF, "lo", "!="), DROP]], "accept", False),
        ([[match(IIF, "eth0"), ACCEPT]], "drop", False),
        ([[match({"meta": {"key": "l4proto"}}, {"set": ["tcp", "udp"]}), ACCEPT]], "drop", True),
        ([[match({"payload": {"protocol": "ip", "field": "saddr"}}, "1.2.3.4"), DROP]], "accept", True),
        ([[match({"payload": {"protocol": "ip", "field": "saddr"}}, "1.2.3.4"), ACCEPT]], "drop", False),
        ([[{"counter": {"packets": 0, "bytes": 0}}, {"log": None}, ACCEPT]], "drop", True),
        ([[{"limit": {"rate": 5, "per": "second"}}, ACCEPT]], "drop", False),
        ([[{"vmap": {"key": STATE, "data": {"set": [["established", ACCEPT], ["new", DROP]]}}}]], "accept", False),
        ([[{"vmap": {"key": TCP_DPORT, "data": {"set": [[22, ACCEPT], [PORT, ACCEPT]]}}}]], "drop", True),
        ([[{"vmap": {"key": TCP_DPORT, "data": "@mine"}}]], "accept", True),
        ([[{"xt": {"type": "match", "name": "multiport"}}, ACCEPT]], "drop", False),
        ([[{"xt": {"type": "target", "name": "REJECT"}}]], "accept", False),
        ([[{"xt": {"type": "target", "name": "LOG"}}]], "accept", True),
        ([[{"return": None}], [DROP]], "accept", True),
    ],
)
def test_a_chain_of_nftables(rules: list[list[object]], policy: str, answer: bool) -> None:
    assert lets_in(*rules, policy=policy) == answer


def test_chains_are_followed() -> None:
    jump, goto = [{"jump": {"target": "sub"}}], [{"goto": {"target": "sub"}}]
    opens = {"sub": [[match(TCP_DPORT, PORT), ACCEPT]]}
    assert lets_in(jump, [DROP], others=opens)
    assert not lets_in(jump, [DROP], others={"sub": [[{"return": None}], [ACCEPT]]})
    assert lets_in(goto, [DROP], others={"sub": []}), "a goto does not come back"
    assert not lets_in([{"vmap": {"key": STATE, "data": {"set": [["new", jump[0]]]}}}], others={"sub": [[DROP]]})
    assert lets_in(jump, others={"sub": [jump]}), "rules that jump in a circle end"


def test_what_is_forwarded_is_found() -> None:
    rule = {"family": "ip", "table": "nat", "chain": "DOCKER"}
    dnat = {"nftables": [{"rule": {**rule, "expr": [match(TCP_DPORT, PORT), {"dnat": {"addr": "172.17.0.2"}}]}}]}
    assert ForeignRuleset(entries(json.dumps(dnat)), PORT).forwards
    assert not ForeignRuleset(entries(json.dumps(dnat)), 1).forwards
    assert not ForeignRuleset(entries(""), PORT).forwards
    saved = f"*nat\n-A DOCKER ! -i docker0 -p tcp -m tcp --dport {PORT} -j DNAT --to-destination 172.17.0.2:1\n"
    assert forwards(saved, PORT)
    assert not forwards(saved, 5543)


@pytest.mark.parametrize(
    ("rules", "policy", "answer"),
    [
        ([], "ACCEPT", True),
        ([], "DROP", False),
        ([f"-p tcp -m tcp --dport {PORT} -j ACCEPT"], "DROP", True),
        (["-p tcp -m multiport --dports 22,55000:56000 -j ACCEPT"], "DROP", True),
        (["-p tcp -m tcp --dport 1024: -j ACCEPT"], "DROP", True),
        ([f"-p udp -m udp --dport {PORT} -j ACCEPT"], "DROP", False),
        (["-p tcp -m tcp ! --dport 22 -j DROP"], "ACCEPT", False),
        (["-i lo -j ACCEPT"], "DROP", False),
        (["! -i lo -j DROP"], "ACCEPT", False),
        (["-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"], "DROP", False),
        (["-m state --state NEW -p tcp -j ACCEPT"], "DROP", True),
        (["-s 1.2.3.4/32 -j ACCEPT"], "DROP", False),
        (["-s 1.2.3.4/32 -j DROP"], "ACCEPT", True),
        (["-j REJECT --reject-with icmp-host-prohibited"], "ACCEPT", False),
        (['-m comment --comment "let -j ACCEPT in" -j DROP'], "ACCEPT", False),
        (["-j mine", "-j DROP"], "ACCEPT", True),
        (["-g empty", "-j DROP"], "ACCEPT", True),
        (["-m limit --limit 3/min -j LOG", "-j DROP"], "ACCEPT", False),
    ],
)
def test_the_input_chain_of_iptables(rules: list[str], policy: str, answer: bool) -> None:
    lines = [f":INPUT {policy} [0:0]", ":mine - [0:0]", *(f"-A INPUT {rule}" for rule in rules)]
    lines.append(f"-A mine -p tcp -m tcp --dport {PORT} -j ACCEPT")
    chain = iptables_input("\n".join(lines), "ip", PORT)
    assert chain is not None
    assert chain.lets_in() == answer


def test_a_host_without_that_table_has_no_input_chain() -> None:
    assert iptables_input("", "ip", PORT) is None


@pytest.mark.parametrize(
    ("rule", "by_nft"),
    [
        ([match(TCP_DPORT, 22), {"counter": {"packets": 0, "bytes": 0}}, ACCEPT], False),
        ([{"xt": {"type": "match", "name": "limit"}}, {"counter": {"packets": 0, "bytes": 0}}, ACCEPT], False),
        ([match(TCP_DPORT, 22), ACCEPT], True),
        ([match(TCP_DPORT, {"set": [22, 80]}), {"counter": {"packets": 0, "bytes": 0}}, ACCEPT], True),
        ([match(TCP_DPORT, "@mine"), {"counter": {"packets": 0, "bytes": 0}}, ACCEPT], True),
    ],
)
def test_a_rule_without_a_count_or_with_a_set_was_written_for_nft(rule: list[object], *, by_nft: bool) -> None:
    """What iptables-save makes of such a rule may be another one."""
    where = {"family": "ip", "table": "filter"}
    chain = {"chain": {**where, "name": "INPUT", "hook": "input", "policy": "drop"}}
    listed = [chain, {"rule": {**where, "chain": "INPUT", "expr": rule}}]
    (found,) = ForeignRuleset(listed, PORT).inputs()
    assert found.by_nft == by_nft
