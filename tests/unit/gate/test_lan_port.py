"""The port where RetroArch asks for rooms in its LAN: ours for datagrams alone, where the relay has another one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from relay import config
from relay.gate import apply, state
from relay.gate.apply import Push
from relay.gate.backends import iptables_text
from relay.gate.coexist.survey import Coexistence
from relay.gate.foreign.iptables import iptables_input
from relay.gate.foreign.nft import ForeignRuleset
from tests.support.gate_memory import MemoryGate, ScriptedPrograms, friend
from toolkit.deploy import run, zipapp

ANNA = friend("anna", 'ip = "5.6.7.8"')
UFW = "Status: active\n\n55440                      ALLOW       Anywhere                   # netplay-relay\n"


def applied(gate: MemoryGate, settings: str) -> dict[str, Any]:
    """Apply a list with settings; return the answer."""
    gate.places.settings.write_text(settings)
    return apply.push(gate, Push(ANNA, survey=True))


@pytest.mark.parametrize(
    ("settings", "ports", "datagrams"),
    [
        ("[listen]\nport = 55440\n[lan]\nanswer = true\n", (55440,), (55435,)),
        ("[lan]\nanswer = true\n", (55435,), ()),
        ("[listen]\nport = 55440\n", (55440,), ()),
    ],
)
def test_tcp_at_the_lans_port_is_nobodys_business_unless_it_is_the_relays(
    tmp_path: Path, settings: str, ports: tuple[int, ...], datagrams: tuple[int, ...]
) -> None:
    gate = MemoryGate(tmp_path)
    assert tuple(applied(gate, settings)["ports"]) == ports
    wanted = gate.wanted()
    made = gate.wall(wanted, gate.plan(wanted, state.load(gate.places.state)), state.load(gate.places.state))
    assert (made.ports, made.datagrams) == (ports, datagrams)
    assert iptables_text.without_times(made).datagrams == datagrams


@pytest.mark.parametrize(("settings", "asked"), [("port = 55440", [55435]), ("", [])])
def test_a_deployment_looks_whether_somebody_has_the_lans_port(settings: str, asked: list[int]) -> None:
    path = Path("relay.toml")
    parsed = config.parse(f"[listen]\n{settings}\n[lan]\nanswer = true\n", path)
    plan = run.Plan(parsed, [], zipapp.Release(path, "", 1))
    assert plan.variables(path, become=False)["preflight_datagrams"] == asked


@pytest.mark.parametrize(
    ("rule", "shut"), [("", True), ("55435/udp ALLOW Anywhere\n", False), ("55435/tcp ALLOW Anywhere\n", True)]
)
def test_what_another_firewall_does_with_the_lans_port_is_said_and_left_to_the_owner(
    tmp_path: Path, rule: str, shut: bool
) -> None:
    programs = ScriptedPrograms({"ufw status": UFW + rule})
    answer = applied(MemoryGate(tmp_path, programs), "[listen]\nport = 55440\n[lan]\nanswer = true\n")
    said = [sentence for sentence in answer["others"] if "UDP port 55435" in sentence]
    assert [sentence.startswith("ufw keeps UDP port 55435 shut") for sentence in said] == [True] * shut
    assert not [typed for typed in programs.ran if typed.startswith("ufw allow")]


def test_what_an_older_release_opened_for_it_is_closed(tmp_path: Path) -> None:
    programs = ScriptedPrograms({"ufw status": UFW, "ufw show added": "ufw allow 55435 comment 'netplay-relay'\n"})
    programs.answers["ufw --force delete allow 55435"] = ""
    gate = MemoryGate(tmp_path, programs)
    state.save(gate.places.state, state.State(opened=[{"tool": "ufw", "ports": [55435, 55440], "where": []}]))
    applied(gate, "[listen]\nport = 55440\n[lan]\nanswer = true\n")
    assert "ufw --force delete allow 55435" in programs.ran


def test_an_opening_is_remembered_whatever_becomes_of_the_look_at_udp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> list[str]:
        raise ValueError("what no release has seen")

    monkeypatch.setattr(Coexistence, "datagrams", fail)
    programs = ScriptedPrograms({"ufw status": "Status: active\n", "ufw allow": "", "ufw show added": ""})
    gate = MemoryGate(tmp_path, programs)
    applied(gate, "[listen]\nport = 55440\n[lan]\nanswer = true\n")
    known = state.load(gate.places.state)
    assert known.opened == [{"tool": "ufw", "ports": [55440], "where": []}]
    assert "ufw kept port 55440 shut; it is open there now." in known.others


DROPPING = ":INPUT DROP [0:0]\n-A INPUT -p udp -m udp --dport 55435 -j ACCEPT\n-A INPUT -p 6 --dport 55440 -j ACCEPT\n"


@pytest.mark.parametrize(
    ("port", "protocol", "through"),
    [(55435, "udp", True), (55435, "tcp", False), (55440, "tcp", True), (55440, "udp", False)],
)
def test_rules_of_others_are_walked_by_tcp_or_by_udp(port: int, protocol: str, through: bool) -> None:
    chain = iptables_input(DROPPING, "ip", port, protocol)
    assert chain is not None
    assert chain.lets_in() == through
    matched = {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": 55435}
    where = {"family": "inet", "table": "t", "name": "in"}
    entries = [
        {"chain": {**where, "hook": "input", "policy": "drop"}},
        {"rule": {**where, "chain": "in", "expr": [{"match": matched}, {"accept": None}]}},
    ]
    (nft,) = ForeignRuleset(entries, port, protocol).inputs()
    assert nft.lets_in() == ((port, protocol) == (55435, "udp"))
