"""What others do to a friend's packet, on a real kernel: `check` says what the packet finds, or that it is unknown."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from relay.gate.foreign.nft import ForeignRuleset
from relay.gate.foreign.packet import Packet
from tests.support.gate_host import ANNA4, ANNA6, BEN4, BEN6, MULTI, OTHER, PORT, STRANGER4, GateHost

pytestmark = pytest.mark.lab

LIST = f'[[friend]]\nname = "anna"\nip = ["{ANNA4}", "{ANNA6}"]\n[[friend]]\nname = "ben"\nip = ["{BEN4}", "{BEN6}"]\n'
CODES = {"in": 0, "out": 5, "unknown": 6}
# Where a chain of somebody else stands.
INPUT = "type filter hook input priority 0; policy accept;"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GateHost]:
    folder = tmp_path_factory.mktemp("ways")
    with GateHost(folder, {"nft", "ipset", "iptables-nft", "iptables-legacy"}) as made:
        made.listen(PORT)
        made.listen(OTHER)
        made.settings('[gate]\nbackend = "nftables"\n')
        made.apply(LIST)
        yield made


@pytest.fixture(autouse=True)
def _clean(host: GateHost) -> Iterator[None]:
    yield
    for kind in MULTI.values():
        for family in ("iptables", "ip6tables"):
            for table in ("filter", "nat", "mangle", "raw"):
                for words in (["-F"], ["-X"], ["-P", "INPUT", "ACCEPT"] if table == "filter" else []):
                    if words and (kind == MULTI["nft"] or _legacy_has(host, family, table)):
                        host.run([kind, family, "-t", table, *words])
    for line in host.run(["nft", "list", "tables"]).splitlines():
        if line.removeprefix("table ") != "inet netplay":
            host.run(["nft", "delete", *line.split()])
    host.run(["ipset", "destroy"])


def _legacy_has(host: GateHost, family: str, table: str) -> bool:
    path = "/proc/net/ip_tables_names" if family == "iptables" else "/proc/net/ip6_tables_names"
    return table in host.run(["sh", "-c", f"cat {path} 2>/dev/null || true"]).split()


def nft(host: GateHost, text: str) -> None:
    host.run(["nft", "-f", "-"], text)


def office(*rules: str, hook: str = INPUT, more: str = "", family: str = "inet") -> str:
    """Return a table of somebody else with one chain at a hook."""
    lines = "\n".join(rules)
    return f"table {family} office {{\n{more}\nchain first {{\n{hook}\n{lines}\n}}\n}}\n"


def says(host: GateHost, address: str, verdict: str) -> str:
    """Ask about an address, compare with what its packet finds, and return the commands that open what is shut."""
    answer = host.gate("check", address, code=CODES[verdict])
    assert answer["verdict"] == verdict
    if verdict != "unknown":
        assert host.gets_in(address) == (verdict == "in"), answer
    steps = [step["sentence"] for step in answer["steps"] if step["ok"] is False]
    return "\n".join(step.partition(" To open it: ")[2] for step in steps)


def is_opened_by_what_is_said(host: GateHost, address: str) -> None:
    """Type what `check` prints, exactly so, until it lets in: each layer that refuses has a command of its own."""
    for _ in range(3):
        answer = host.gate("check", address, code=5)
        refused = next(step["sentence"] for step in answer["steps"] if step["ok"] is False)
        command = refused.partition(" To open it: ")[2]
        assert command, refused
        host.run(["sh", "-c", f"PATH=/usr/sbin:$PATH {command}"])
        if host.gets_in(address):
            break
    says(host, address, "in")


DEVICE = 'type filter hook ingress device "wire" priority 0;'
BANNED = f"set banned {{ type ipv4_addr; elements = {{ 10.1.1.1, {ANNA4} }}; }}"
RANGES = "set banned { type ipv4_addr; flags interval; elements = { 10.8.0.0/16, 10.9.0.2-10.9.0.4 }; }"
VERDICTS = f"map fates {{ type ipv4_addr : verdict; elements = {{ 10.1.1.1 : accept, {ANNA4} : drop }}; }}"
PAIRS = f"set pairs {{ type ipv4_addr . inet_service; elements = {{ {ANNA4} . {PORT} }}; }}"
JUMPED = f"chain third {{\ndrop\n}}\nchain second {{\nip saddr {ANNA4} goto third\naccept\n}}"


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (office(f"ip saddr {ANNA4} reject"), "out"),
        (office(f"ip saddr {ANNA4} counter log drop"), "out"),
        (office("ip saddr @banned drop", more=BANNED), "out"),
        (office("ip saddr @banned drop", more=RANGES), "out"),
        (office(f"ip saddr vmap {{ 10.1.1.1 : accept, {ANNA4} : drop }}"), "out"),
        (office("ip saddr vmap @fates", more=VERDICTS), "out"),
        (office(f"ip saddr . tcp dport {{ {ANNA4} . {PORT} }} drop"), "out"),
        (office("ip saddr . tcp dport @pairs drop", more=PAIRS), "out"),
        (office("ip saddr & 255.255.255.0 == 10.9.0.0 drop"), "out"),
        (office("ip saddr 10.9.0.0/24 tcp dport 55000-56000 drop"), "out"),
        (office("meta nfproto ipv4 meta l4proto tcp jump second", more=JUMPED), "out"),
        (office(f"ip saddr != {BEN4} drop"), "out"),
        (office('iifname "wire" tcp dport > 50000 drop'), "out"),
        (office('iifname "wi*" ct state new drop'), "out"),
        (office(f"ip saddr {ANNA4} drop", hook="type filter hook prerouting priority -300;"), "out"),
        (office(f"ip saddr {ANNA4} drop", hook="type filter hook prerouting priority -300;", family="ip"), "out"),
        (office(f"ip saddr {ANNA4} drop", hook=DEVICE, family="netdev"), "out"),
        (office(f"ip saddr {ANNA4} drop", hook=DEVICE), "out"),
        (office(f"tcp dport {PORT} redirect to :{OTHER + 7}", hook="type nat hook prerouting priority -100;"), "out"),
        (office(f"ip saddr {BEN4} accept", hook=INPUT.replace("accept", "drop")), "out"),
        (office(f"ip saddr {ANNA4} accept", hook=INPUT.replace("accept", "drop")), "in"),
        (office("ip saddr @banned accept", more=RANGES, hook=INPUT.replace("accept", "drop")), "in"),
        (office(f"ip saddr {{ {STRANGER4}, {BEN4} }} drop"), "in"),
        (office('iifname "eth9" drop', 'iifname "lo" drop', "iifname != { wire } drop"), "in"),
        (office("fib saddr . iif oif missing drop", "fib daddr type != local drop"), "in"),
        (office("tcp flags & (fin | syn | rst | ack) != syn ct state new drop", "ct state invalid drop"), "in"),
        (office("meta pkttype { broadcast, multicast } drop", "ip frag-off & 0x1fff != 0 drop"), "in"),
        (office(f"udp dport {PORT} drop", "tcp dport { 22, 25 } drop", "meta l4proto icmp drop"), "in"),
        (office(f"ip daddr 10.9.0.1 tcp dport {PORT} accept", "drop"), "in"),
        (office("ip6 saddr ::/0 drop", "meta nfproto ipv6 drop"), "in"),
        (office(f"ip saddr {ANNA4} drop", hook="type filter hook output priority 0;"), "in"),
        (office(f"ip saddr {ANNA4} limit rate over 1000/second drop"), "unknown"),
        (office(f"ip saddr {ANNA4} meta mark != 0 drop"), "unknown"),
        (office("limit rate 1000/second accept", "drop"), "unknown"),
        (office("ip ttl < 2 drop"), "unknown"),
        (office("tcp sport < 1024 drop"), "unknown"),
        (office(f"ip saddr {ANNA4} numgen random mod 1000 1 drop"), "unknown"),
    ],
)
def test_nftables(host: GateHost, text: str, verdict: str) -> None:
    nft(host, text)
    says(host, ANNA4, verdict)
    if verdict == "out" and "redirect" not in text:
        is_opened_by_what_is_said(host, ANNA4)


@pytest.mark.parametrize(
    ("rules", "verdict"),
    [
        ([f"-I INPUT -s {ANNA4} -j DROP"], "out"),
        ([f"-I INPUT -s {ANNA4} -p tcp --dport {PORT} -j REJECT"], "out"),
        ([f"-t raw -A PREROUTING -s {ANNA4} -j DROP"], "out"),
        ([f"-t mangle -A PREROUTING -s 10.9.0.0/24 -p tcp -m multiport --dports 22,{PORT} -j DROP"], "out"),
        (["-N bans", "-A bans -m iprange --src-range 10.9.0.1-10.9.0.2 -j DROP", "-I INPUT -j bans"], "out"),
        (["-A INPUT -m set --match-set banned src -j DROP"], "out"),
        ([f"-t nat -A PREROUTING -p tcp --dport {PORT} -j REDIRECT --to-ports {OTHER + 7}"], "out"),
        (["-P INPUT DROP"], "out"),
        (["-A INPUT -i wire ! -s 10.9.0.3 -j DROP"], "out"),
        (["-A INPUT -s 10.9.0.3 -j DROP", "-A INPUT -i eth9 -j DROP", "-A INPUT -p udp -j DROP"], "in"),
        (
            ["-t raw -A PREROUTING -m rpfilter --invert -j DROP", "-A INPUT -m conntrack --ctstate INVALID -j DROP"],
            "in",
        ),
        (["-A INPUT -m addrtype --dst-type LOCAL -j ACCEPT", "-A INPUT -j DROP"], "in"),
        (["-A INPUT -m comment --comment 'a -j DROP' -p tcp --syn -j ACCEPT", "-A INPUT -j DROP"], "in"),
        ([f"-A INPUT -s {ANNA4} -m limit --limit 1000/sec -j ACCEPT", "-A INPUT -j DROP"], "unknown"),
        ([f"-A INPUT -s {ANNA4} -m mac --mac-source 02:00:00:00:00:01 -j DROP"], "unknown"),
    ],
)
@pytest.mark.parametrize("kind", ["nft", "legacy"])
def test_iptables(host: GateHost, kind: str, rules: list[str], verdict: str) -> None:
    host.run(["ipset", "restore"], f"create banned hash:net\nadd banned 10.9.0.0/30\nadd banned {STRANGER4}\n")
    for rule in rules:
        host.run([MULTI[kind], "iptables", *shlex.split(rule)])
    says(host, ANNA4, verdict)
    if verdict == "out" and "nat" not in rules[0]:
        is_opened_by_what_is_said(host, ANNA4)


@pytest.mark.parametrize("kind", sorted(MULTI))
def test_ipv6_has_rules_of_its_own(host: GateHost, kind: str) -> None:
    host.run([MULTI[kind], "ip6tables", "-I", "INPUT", "-s", ANNA6, "-j", "DROP"])
    says(host, ANNA6, "out")
    says(host, ANNA4, "in")
    says(host, BEN6, "in")
    # A household's /64 of which one address is dropped.
    assert host.gate("check", "anna", code=CODES["unknown"])["verdict"] == "unknown"
    is_opened_by_what_is_said(host, ANNA6)


def test_the_survey_names_who_is_stopped_once_for_each_rule(host: GateHost) -> None:
    nft(host, office("ip saddr 10.9.0.0/24 drop", f"ip6 saddr {ANNA6} drop"))
    ours, theirs = host.gate("survey")["friends"]
    assert (ours["networks"], ours["ok"]) == ([f"{ANNA4}/32", f"{BEN4}/32"], False)
    assert ours["command"].startswith("nft delete rule inet office first handle ")
    assert (theirs["networks"], theirs["ok"]) == (["fd09:0:0:1::/64"], None)


NOVEL = [{"novelty": 1}, {"drop": None}]


@pytest.mark.parametrize("expression", [NOVEL, [{"match": {"x": 1}}, {"drop": None}], 7, [None]])
def test_a_rule_in_words_of_an_nft_to_come_is_unknown(expression: object) -> None:
    assert judged(expression) is None


def test_what_decides_nothing_and_what_sleeps_lets_through() -> None:
    assert judged([{"novelty": 1}]) is True
    assert judged([{"drop": None}]) is False
    assert judged([{"drop": None}], flags=["dormant"]) is True


def judged(expression: object, flags: list[str] | None = None) -> bool | None:
    """Judge a table of one rule that drops; a sleeping table is printed as such by nft 1.1 and newer."""
    where = {"family": "inet", "table": "office"}
    listed: list[dict[str, Any]] = [
        {"table": {"family": "inet", "name": "office", "flags": flags or []}},
        {"chain": {**where, "name": "first", "hook": "input", "policy": "accept"}},
        {"rule": {**where, "chain": "first", "handle": 3, "expr": expression}},
    ]
    found = [chain.judge().answer for chain in ForeignRuleset(listed, PORT, packet=Packet(PORT)).chains()]
    return found[0] if found else True
