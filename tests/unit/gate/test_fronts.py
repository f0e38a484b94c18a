"""ufw, firewalld and what is done there: found by what they print, opened in their terms, undone by our name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from relay.gate.coexist import survey
from relay.gate.coexist.frontends import Firewalld, Ufw
from relay.gate.coexist.survey import Coexistence
from relay.gate.foreign import uplinks
from relay.gate.programs import ProgramError
from tests.support.gate_memory import ScriptedPrograms

UFW = """Status: active

To                         Action      From
--                         ------      ----
22/tcp                     ALLOW       Anywhere
{}
22/tcp (v6)                ALLOW       Anywhere (v6)
"""


def ufw(*lines: str) -> ScriptedPrograms:
    return ScriptedPrograms({"ufw status": UFW.format("\n".join(lines)), "ufw allow": "Rule added", "ufw --force": ""})


@pytest.mark.parametrize(
    ("line", "shut"),
    [
        ("", [55435]),
        ("55435                      ALLOW       Anywhere                   # netplay-relay", []),
        ("55435/tcp                  ALLOW IN    Anywhere", []),
        ("55435/udp                  ALLOW       Anywhere", [55435]),
        ("55435                      DENY        Anywhere", [55435]),
        ("55435                      ALLOW       203.0.113.7", [55435]),
        ("554351                     ALLOW       Anywhere", [55435]),
    ],
)
def test_ufw_keeps_shut_what_it_does_not_allow_from_anywhere(line: str, shut: list[int]) -> None:
    assert Ufw(ufw(line)).shut([55435]) == shut


@pytest.mark.parametrize("programs", [ScriptedPrograms(), ScriptedPrograms({"ufw status": "Status: inactive\n"})])
def test_an_ufw_that_is_not_at_work_is_none(programs: ScriptedPrograms) -> None:
    assert Ufw(programs).shut([55435]) is None


def test_ufw_is_opened_under_our_name_and_only_that_is_undone() -> None:
    programs = ufw()
    programs.answers["ufw show added"] = (
        "Added user rules (see 'ufw status' for running firewall):\nufw allow 22/tcp\n"
        "ufw allow 55435 comment 'netplay-relay'\nufw allow 55440 comment 'netplay-relay'\n"
        "ufw allow 80 comment 'netplay-relay is not mine'\n"
    )
    front = Ufw(programs)
    front.open([55435, 55440])
    assert programs.ran[-2:] == ["ufw allow 55435 comment netplay-relay", "ufw allow 55440 comment netplay-relay"]
    assert front.close(keep=[55435]) == [55440]
    assert programs.ran[-1] == "ufw --force delete allow 55440"


class FakeFirewalld(ScriptedPrograms):
    """A firewall-cmd with a memory: one zone and the policies, for good and for now."""

    def __init__(self) -> None:
        super().__init__({"firewall-cmd": self._command})
        self.zone: dict[bool, set[str]] = {True: set(), False: set()}
        self.policies: dict[bool, dict[str, set[str]]] = {True: {}, False: {}}

    def reload(self) -> None:
        """Load what is for good, and forget the rest."""
        self.zone[False] = set(self.zone[True])
        self.policies[False] = {name: set(held) for name, held in self.policies[True].items()}

    def _command(self, argv: Sequence[str], _: str) -> str:
        options = [word for word in argv[1:] if word != "--quiet"]
        permanent = "--permanent" in options
        policies = self.policies[permanent]
        policy = next((word.partition("=")[2] for word in options if word.startswith(("--policy=", "--info-"))), "")
        if policy and policy not in policies:
            raise ProgramError(argv, 112, "INVALID_POLICY")
        held = policies[policy] if policy else self.zone[permanent]
        if sum(word.startswith(("--add-port", "--add-ingress", "--add-egress")) for word in options) > 1:
            assert all("port" in word for word in options if word.startswith("--add-")), "firewalld takes one kind"
        return "\n".join(filter(None, (self._one(*word.partition("=")[::2], held, policies) for word in options)))

    def _one(self, verb: str, value: str, held: set[str], policies: dict[str, set[str]]) -> str:
        if verb.startswith("--query-"):
            return "yes" if value in held else "no"
        if verb.startswith("--add-"):
            held.add(value)
        if verb.startswith("--remove-"):
            held.remove(value)
        if verb == "--new-policy":
            policies[value] = set()
        if verb == "--delete-policy":
            del policies[value]
        ports = " ".join(sorted(word for word in held if "/" in word))
        active = " (active)" if {"ANY", "HOST"} <= held else ""
        shown = {
            "--state": "running",
            "--get-default-zone": "public",
            "--get-policies": " ".join(policies),
            "--info-policy": f"{value}{active}\n  priority: -1\n  ports: {ports}\n",
            "--list-ports": ports,
            "--list-all-zones": f"drop\n  ports: \n\npublic (active)\n  target: default\n  ports: {ports}\n",
        }
        return shown.get(verb, "")


OPEN = {"55435/tcp", "55435/udp"}


@pytest.fixture
def firewalld(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeFirewalld:
    monkeypatch.setattr(uplinks, "ROUTES", dict.fromkeys((4, 6), tmp_path / "no routes"))
    return FakeFirewalld()


@pytest.mark.parametrize("reloaded", [False, True])
def test_firewalld_is_opened_for_good_and_for_now_and_all_of_it_is_undone(
    firewalld: FakeFirewalld, tmp_path: Path, *, reloaded: bool
) -> None:
    front = Firewalld(firewalld, tmp_path / "netplay-relay.xml")
    assert front.shut([55435]) == [55435]
    front.open([55435])
    assert front.shut([55435]) == []
    assert (firewalld.policies, firewalld.zone) == (
        {True: {"netplay-relay": {*OPEN, "ANY", "HOST"}}, False: {}},
        {True: set(), False: OPEN},
    )
    if reloaded:
        firewalld.reload()
        assert front.shut([55435]) == []
    (tmp_path / "netplay-relay.xml.old").touch()
    assert front.close() == [55435]
    assert (firewalld.policies[True], firewalld.zone) == ({}, {True: set(), False: set()})
    assert firewalld.policies[False] in ({}, {"netplay-relay": set()})
    assert not (tmp_path / "netplay-relay.xml.old").exists()
    assert front.close() == []


def test_of_two_ports_of_ours_one_can_stay_open(firewalld: FakeFirewalld) -> None:
    front = Firewalld(firewalld)
    front.open([55435, 55440])
    assert front.close(keep=[55440]) == [55435]
    assert front.shut([55435, 55440]) == [55435]
    firewalld.reload()
    assert front.shut([55435, 55440]) == [55435]


def test_a_port_the_owner_has_opened_for_good_stays_open(firewalld: FakeFirewalld) -> None:
    front = Firewalld(firewalld)
    firewalld.zone[True] |= OPEN
    front.open([55435])
    front.close()
    assert firewalld.zone[False] == OPEN


def test_what_a_firewalld_that_was_stopped_would_read_is_taken_away(tmp_path: Path) -> None:
    stopped = ScriptedPrograms({"firewall-cmd --state": ProgramError(["firewall-cmd"], 252, "not running")})
    policy = tmp_path / "netplay-relay.xml"
    policy.write_text('<policy target="CONTINUE">\n  <port port="55435" protocol="tcp"/>\n</policy>\n')
    assert Firewalld(stopped, policy).close(keep=[55435]) == []
    assert Firewalld(stopped, policy).close() == [55435]
    assert list(tmp_path.iterdir()) == []


def test_a_firewalld_that_does_not_run_is_none() -> None:
    stopped = ScriptedPrograms({"firewall-cmd --state": ProgramError(["firewall-cmd"], 252, "not running")})
    assert Firewalld(stopped).shut([55435]) is None


def test_each_other_firewall_is_one_sentence() -> None:
    rule = {"family": "ip", "table": "nat", "chain": "X", "expr": [
        {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 55435}},
        {"dnat": {"addr": "172.17.0.2"}},
    ]}  # fmt: skip
    programs = ufw()
    programs.answers["nft -j list ruleset"] = json.dumps({"nftables": [{"rule": rule}]})
    active, sent = Coexistence(programs, "nftables").survey([55435])
    assert active.sentence == "ufw is active and keeps port 55435 shut."
    assert active.command == "ufw allow 55435 comment netplay-relay"
    assert (sent.tool, sent.forwarded) == ("forwarding", [55435])
    assert json.dumps(active.as_dict())


def test_what_ufw_refuses_is_an_error() -> None:
    programs = ufw()
    programs.answers["ufw allow"] = ProgramError(["ufw"], 1, "ERROR: could not write")
    others = Coexistence(programs, "nftables")
    (shut,) = others.survey([55435])
    with pytest.raises(ProgramError, match="ufw: ERROR: could not write"):
        others.open(shut)


def test_a_chain_that_nft_cannot_name_is_an_error() -> None:
    evil = survey.Finding("nftables", "x", "x", [55435], where=("inet", "a; flush ruleset", "input"))
    programs = ScriptedPrograms({"nft": ""})
    with pytest.raises(ProgramError, match="no way to name the chain"):
        Coexistence(programs, "nftables").open(evil)
    assert not [line for line in programs.ran if "insert" in line]
