"""Where strangers come in, by the kernel's tables of routes: for IPv4 and IPv6 that may be two interfaces."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from relay.gate.backends import iptables_text
from relay.gate.backends.iptables import Iptables
from relay.gate.coexist.frontends import Firewalld
from relay.gate.foreign import uplinks
from relay.gate.policy import plan, ruleset
from tests.support.gate_memory import NOW, ScriptedPrograms

IPV4 = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
ens3\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
ens4\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""
NOWHERE = "0" * 32
IPV6 = f"""\
20010db8000000000000000000000000 40 {NOWHERE} 00 {NOWHERE} 00000100 00000001 00000000 00000001     ens3
{NOWHERE} 00 {NOWHERE} 00 fe800000000000000000000000000001 00000400 00000002 00000000 00000003     he-ipv6
{NOWHERE} 80 {NOWHERE} 00 {NOWHERE} 00000000 00000002 00000000 80200001     ens4
{NOWHERE} 00 {NOWHERE} 00 {NOWHERE} ffffffff 00000001 00000000 00200200       lo
"""


@pytest.fixture(autouse=True)
def _two_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a host have its IPv6 through a tunnel."""
    files = {4: tmp_path / "route", 6: tmp_path / "ipv6_route"}
    files[4].write_text(IPV4)
    files[6].write_text(IPV6)
    monkeypatch.setattr(uplinks, "ROUTES", files)


def test_each_family_has_the_interface_of_its_own_default_route() -> None:
    """A route that refuses everything is on lo, and nobody's way in."""
    assert uplinks.uplinks(4) == ["ens3"]
    assert uplinks.uplinks(6) == ["he-ipv6"]


def test_a_kernel_without_a_family_tells_of_no_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is not there then."""
    monkeypatch.setattr(uplinks, "ROUTES", {6: tmp_path / "none"})
    assert uplinks.uplinks(6) == []


@pytest.mark.parametrize(
    ("version", "interface", "stands"),
    [(4, "ens3", False), (4, "he-ipv6", True), (6, "he-ipv6", False), (6, "he+", False), (6, "ens3", True)],
)
def test_a_rule_for_an_interface_is_judged_by_where_strangers_of_its_family_come_in(
    version: int, interface: str, *, stands: bool
) -> None:
    """What is for another interface may stay in front of our jump."""
    made = ruleset.build(plan.make([], {}, NOW), (55435,), 96)
    listings = {}
    for family, program in ((4, "iptables-save"), (6, "ip6tables-save")):
        theirs = [f"-A INPUT -i {interface} -j ACCEPT"] if family == version else []
        chains = [f":{chain} - [0:0]" for chain in iptables_text.CHAINS]
        ours = [*chains, *theirs, "-A INPUT -j NETPLAY", *iptables_text.frame(made, family, ipset=False)]
        listings[program] = "\n".join(["*filter", ":INPUT ACCEPT [5:5]", *ours, "COMMIT", ""])
    standing = Iptables(ScriptedPrograms(dict(listings))).standing()
    assert standing is not None
    assert standing.shape == stands


def test_the_zones_are_those_of_the_ways_to_the_internet() -> None:
    """Friends with IPv6 alone come in by the tunnel."""
    zone = "firewall-cmd --get-zone-of-interface"
    answers = {"firewall-cmd --get-default-zone": "public", f"{zone}=ens3": "external\n", f"{zone}=he-ipv6": "tunnels"}
    assert Firewalld(ScriptedPrograms(dict(answers))).zones() == ["external", "tunnels"]


CARRIER = """\
Local:
  +-- 100.64.0.0/10 2 0 2
     |-- 100.101.102.103
        /32 host LOCAL
"""


@pytest.mark.parametrize(
    ("network", "near"),
    [
        ("192.168.0.20/32", True),
        ("192.168.0.0/24", True),
        ("192.168.0.0/16", False),
        ("192.168.1.20/32", False),
        ("10.0.0.5/32", False),
        ("100.64.3.4/32", True),
        ("2001:db8:0:1::/64", False),
        ("fd00:1:2:3::/64", False),
    ],
)
def test_a_private_network_that_the_host_has_a_way_to_is_near(network: str, *, near: bool, tmp_path: Path) -> None:
    """Everywhere, the default route, is no such way; a VPN whose routes are in another table is seen by its address."""
    own = tmp_path / "fib_trie"
    own.write_text(CARRIER)
    assert uplinks.Near(uplinks.ROUTES, own)(ipaddress.ip_network(network)) is near
    assert not uplinks.Near(uplinks.ROUTES, tmp_path / "none")(ipaddress.ip_network("100.64.3.4/32"))
    assert not uplinks.Near({4: tmp_path / "none", 6: tmp_path / "none"}, own)(ipaddress.ip_network("192.168.0.20/32"))


def test_a_way_that_refuses_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "route").write_text(f"{IPV4}*\t0000000A\t00000000\t0200\t0\t0\t0\t000000FF\t0\t0\t0\n")
    refuses = f"fd{'0' * 30} 08 {NOWHERE} 00 {NOWHERE} ffffffff 00000001 00000000 00200200       lo\n"
    (tmp_path / "ipv6_route").write_text(IPV6 + refuses)
    near = uplinks.Near({4: tmp_path / "route", 6: tmp_path / "ipv6_route"}, tmp_path / "none")
    assert not near(ipaddress.ip_network("10.0.0.5/32"))
    assert not near(ipaddress.ip_network("fd00::/64"))
    assert near(ipaddress.ip_network("192.168.0.20/32"))
