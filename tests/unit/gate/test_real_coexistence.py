"""Other people's rules on the host: found, opened in their own terms, undone; and ending what runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.gate_host import ANNA4, ANNA6, BEN4, MULTI, OTHER, PORT, STRANGER4, STRANGER6, GateHost
from tests.support.waiting import wait_for

pytestmark = pytest.mark.lab

ANNA = f'[[friend]]\nname = "anna"\nip = ["{ANNA4}", "{ANNA6}"]\n'
BEN = f'[[friend]]\nname = "ben"\nip = "{BEN4}"\n'
CLOSED_TABLE = """
table inet mine {
	chain incoming {
		type filter hook input priority filter; policy drop;
		ct state established,related accept
		meta l4proto ipv6-icmp accept
		tcp dport 2222 accept
	}
}
"""
CLOSED_INPUT = "*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -m tcp --dport 2222 -j ACCEPT\nCOMMIT\n"


def test_a_table_of_somebody_else_that_drops_is_opened_for_friends_alone(nft_host: GateHost) -> None:
    nft_host.run(["nft", "-f", "-"], CLOSED_TABLE)
    before = nft_host.rulesets()
    (found,) = nft_host.gate("survey")["firewalls"]
    assert found["shut"] == [PORT]
    assert found["sentence"] == f"nftables' table inet mine, chain incoming, drops what comes to port {PORT}."
    answer = nft_host.apply(ANNA)
    assert answer["opened"] == [{"tool": "nftables", "ports": [PORT], "where": ["inet", "mine", "incoming"]}]
    assert answer["others"] == [f"nftables kept port {PORT} shut; it is open there now."]
    for friend in (ANNA4, ANNA6):
        assert nft_host.gets_in(friend)
    for stranger in (STRANGER4, STRANGER6):
        assert not nft_host.gets_in(stranger)
        assert nft_host.gets_in(stranger, OTHER)
    assert nft_host.gate("survey")["firewalls"][0]["shut"] == []
    assert not nft_host.apply(ANNA, "--survey")["changed"]
    nft_host.gate("remove")
    assert nft_host.rulesets() == before


@pytest.mark.parametrize(
    ("chain", "rule"),
    [
        ("INPUT", "tcp dport { 22, 2222 } accept"),
        ("input", "tcp dport 2222 accept"),
        ("INPUT", "tcp dport 2222 accept"),
    ],
)
def test_a_table_with_a_name_of_iptables_that_somebody_wrote_for_nft_is_opened_and_closed(
    nft_host: GateHost, chain: str, rule: str
) -> None:
    """As iptables-restore-translate makes them; iptables may have no words for what is in there."""
    table = f"table ip filter {{\n\tchain {chain} {{\n\t\ttype filter hook input priority filter; policy drop;\n"
    nft_host.run(["nft", "-f", "-"], f"{table}\t\t{rule}\n\t}}\n}}\n")
    before = nft_host.rulesets()
    nft_host.apply(ANNA)
    assert nft_host.gets_in(ANNA4)
    assert not nft_host.gets_in(STRANGER4)
    assert nft_host.gets_in(STRANGER4, OTHER)
    assert not nft_host.apply(ANNA, "--survey")["changed"]
    saved = nft_host.run([MULTI["nft"], "iptables-save"])
    assert chain == "input" or f"--dport {PORT} " in saved, "what others save must stay what they have"
    assert nft_host.gate("remove")["closed"] == [f"nftables: ip filter {chain}"]
    assert nft_host.rulesets() == before


def test_an_opening_in_iptables_is_closed_although_iptables_cannot_print_it_any_more(nft_host: GateHost) -> None:
    """Its owner has begun to write for nft, in the same table."""
    for family in ("", "6"):
        nft_host.run([MULTI["nft"], f"ip{family}tables-restore"], CLOSED_INPUT)
    nft_host.apply(ANNA)
    for family in ("ip", "ip6"):
        theirs = f"add rule {family} filter INPUT ct state established,related accept\n"
        nft_host.run(["nft", "-f", "-"], theirs)
    assert nft_host.gets_in(ANNA4)
    assert "is incompatible" in nft_host.run([MULTI["nft"], "iptables-save"])
    nft_host.gate("remove")
    left = nft_host.run(["nft", "list", "ruleset"])
    assert "NETPLAY" not in left
    assert "netplay" not in left
    assert left.count("established") == 2
    assert left.count("dport 2222") == 2


def test_an_opening_that_its_owner_swept_away_is_made_again(nft_host: GateHost) -> None:
    nft_host.run(["nft", "-f", "-"], CLOSED_TABLE)
    nft_host.apply(ANNA)
    nft_host.run(["nft", "-f", "-"], f"delete table inet mine\n{CLOSED_TABLE}")
    assert not nft_host.gets_in(ANNA4)
    nft_host.agent()
    wait_for(lambda: nft_host.gets_in(ANNA4), 15, "the agent to open it")


def test_an_opening_is_undone_with_the_push_that_made_it(nft_host: GateHost) -> None:
    nft_host.run(["nft", "-f", "-"], CLOSED_TABLE)
    nft_host.apply(ANNA, "--rollback-after", "60")
    assert nft_host.gets_in(ANNA4)
    nft_host.gate("rollback")
    assert "netplay-relay" not in nft_host.run(["nft", "list", "table", "inet", "mine"])


@pytest.mark.parametrize("kind", ["nft", "legacy"])
def test_iptables_that_drop_are_opened_in_a_chain_of_ours(nft_host: GateHost, kind: str) -> None:
    for family in ("iptables", "ip6tables"):
        nft_host.run([MULTI[kind], f"{family}-restore", "--noflush"], CLOSED_INPUT)
    nft_host.run([MULTI[kind], "ip6tables", "-A", "INPUT", "-p", "icmpv6", "-j", "ACCEPT"])
    before = nft_host.rulesets()
    answer = nft_host.apply(ANNA)
    assert [record["tool"] for record in answer["opened"]] == [f"iptables-{kind}", f"ip6tables-{kind}"]
    for friend in (ANNA4, ANNA6):
        assert nft_host.gets_in(friend)
        assert nft_host.gets_in(friend, protocol="udp")
    for stranger in (STRANGER4, STRANGER6):
        assert not nft_host.gets_in(stranger)
    assert nft_host.gate("check", "anna", code=0)["verdict"] == "in"
    nft_host.gate("remove")
    assert nft_host.rulesets() == before


def test_another_packet_filter_takes_over_and_the_former_is_gone(nft_host: GateHost) -> None:
    before = nft_host.rulesets()
    for backend in ("iptables", "nftables", "iptables", "nftables"):
        nft_host.settings(f'[gate]\nbackend = "{backend}"\n')
        answer = nft_host.apply(ANNA)
        assert answer["backend"] == backend
        assert answer["others"] == [], "what only we have made is nobody else's firewall"
        assert nft_host.gets_in(ANNA4)
        assert not nft_host.gets_in(STRANGER6)
    assert "table ip filter" not in nft_host.run(["nft", "list", "tables"])
    nft_host.gate("remove")
    assert nft_host.rulesets() == before


def test_a_forwarded_port_is_reported_and_nothing_else(nft_host: GateHost) -> None:
    rule = f"*nat\n-A PREROUTING -p tcp -m tcp --dport {PORT} -j DNAT --to-destination 10.8.0.2\nCOMMIT\n"
    nft_host.run([MULTI["nft"], "iptables-restore", "--noflush"], rule)
    (found,) = nft_host.gate("survey")["firewalls"]
    assert found["forwarded"] == [PORT]
    assert "never pass this host's input filters" in found["sentence"]


def test_why_somebody_is_refused_is_said_by_every_layer(nft_host: GateHost) -> None:
    nft_host.settings(f'[gate]\nallowlist = "{nft_host.config_dir}/allowlist"\n')
    nft_host.apply(ANNA)
    inside = nft_host.gate("check", ANNA4)
    assert inside["verdict"] == "in"
    assert [step["layer"] for step in inside["steps"]] == [
        "friends",
        "time",
        "filter",
        "firewalls",
        "allowlist",
        "relay",
    ]
    outside = nft_host.gate("check", STRANGER4, code=5)
    assert outside["verdict"] == "out"
    assert "10.9.0.9 is not an address of any friend" in outside["because"]
    assert "anna has 10.9.0.2/32" in outside["because"]
    assert {step["layer"]: step["ok"] for step in outside["steps"]} == {
        "friends": False,
        "filter": False,
        "firewalls": True,
        "allowlist": False,
        "relay": None,
    }
    told = nft_host.gate("check", "bob", code=2)["error"]["message"]
    assert told == "'bob' is neither a friend's name nor an address. Friends are: anna."


def test_a_kick_ends_a_game_and_a_plain_removal_does_not(nft_host: GateHost) -> None:
    nft_host.settings(
        f'[listen]\nport = 55436\n[gate]\nallowlist = "{nft_host.config_dir}/allowlist"\n'
        f'[control]\nsocket = "{nft_host.socket}"\n'
    )
    nft_host.apply(ANNA)
    nft_host.start("serve", "--config", str(nft_host.config_dir / "relay.toml"))
    relay = ("--socket", str(nft_host.socket))
    wait_for(lambda: nft_host.gate("status", *relay)["relay"] == "running", 20, "the relay")
    assert nft_host.ask(f"open game {ANNA4} 10.9.0.1 55436") == "in"
    wait_for(lambda: "55436" in nft_host.run(["conntrack", "-L", "-s", ANNA4]), 5, "the connection")
    answer = nft_host.gate("kick", "anna", *relay)
    assert answer["kicked"] == 1
    assert answer["conntrack"] >= 1
    assert nft_host.ask("say game") == "dead"
    assert nft_host.gets_in(ANNA4, 55436), "a kick is not a ban"


def test_a_kick_without_a_relay_says_so(nft_host: GateHost) -> None:
    nft_host.apply(ANNA)
    answer = nft_host.gate("kick", "anna", "--socket", str(nft_host.socket), code=1)
    assert answer["kicked"] is None
    assert "does not run" in answer["problem"]


def test_two_gates_at_once_do_not_meet(nft_host: GateHost) -> None:
    texts = [ANNA + f'[[friend]]\nname = "f{number}"\nip = "10.7.0.{number + 1}"\n' for number in range(6)]
    running = [
        subprocess.Popen(
            nft_host.gate_argv("apply", "--friends", "-", "--json"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in texts
    ]
    for process, text in zip(running, texts, strict=True):
        process.communicate(text, timeout=60)
    assert [process.returncode for process in running] == [0] * len(texts)
    assert (nft_host.config_dir / "friends.toml").read_text() in texts
    status = nft_host.gate("status")
    assert status["complete"]
    assert len(status["entries"]) == 3


def test_the_gate_stays_while_its_agent_runs(nft_host: GateHost) -> None:
    nft_host.apply(ANNA)
    agent = nft_host.agent()
    wait_for(lambda: nft_host.gate("status")["agent"], 20, "the agent")
    told = nft_host.gate("remove", code=3)["error"]["message"]
    assert "would put everything back. Stop its service" in told
    assert nft_host.gate("agent", code=3)["error"], "there is one agent"
    assert agent.stop(terminate=True) == 0
    assert not nft_host.gets_in(STRANGER4), "the wall stands without it"
    assert nft_host.gate("remove")["rules"] == ["nftables"]


def test_rules_of_the_filter_used_before_keep_nobody_out_for_longer_than_its_program_is_missing(
    nft_host: GateHost, tmp_path: Path
) -> None:
    programs = [path for path in (tmp_path / "bin").iterdir() if "tables" in path.name]
    nft_host.settings('[gate]\nbackend = "iptables"\n')
    nft_host.apply(ANNA)
    for path in programs:
        path.rename(tmp_path / path.name)
    nft_host.settings('[gate]\nbackend = "nftables"\n')
    (warning,) = nft_host.apply(ANNA + BEN)["warnings"]
    assert warning.startswith(
        "what iptables held of netplay-relay could not be removed: iptables is not on this host any"
    )
    assert nft_host.gets_in(ANNA4)
    assert not nft_host.gets_in(BEN4)
    assert nft_host.gate("status")["warnings"] == [warning]
    for path in programs:
        (tmp_path / path.name).rename(path)
    because = nft_host.gate("check", "ben", code=5)["because"]
    assert because.startswith(f"The rules of before still stand in iptables, which refuses {BEN4}/32: ")
    nft_host.agent()
    wait_for(lambda: nft_host.gets_in(BEN4), 20, "the agent to take them away")
    wait_for(lambda: not nft_host.gate("status")["warnings"], 10, "it to be known")
    assert nft_host.gate("check", "ben")["verdict"] == "in"


def test_a_wall_in_a_table_that_iptables_cannot_print_any_more_is_left_alone_and_that_is_said(
    nft_host: GateHost,
) -> None:
    """What cannot be seen would be put there once more in each round, for ever."""
    nft_host.settings('[gate]\nbackend = "iptables"\n')
    nft_host.apply(ANNA)
    nft_host.run(["nft", "add", "rule", "ip", "filter", "INPUT", "ct", "state", "established", "accept"])
    for _ in range(2):
        message = nft_host.apply(ANNA + BEN, code=1)["error"]["message"]
        assert 'Set backend = "nftables"' in message
    assert nft_host.run(["nft", "list", "chain", "ip", "filter", "INPUT"]).count("jump NETPLAY") == 1
    assert nft_host.gets_in(ANNA4)
    assert not nft_host.gets_in(STRANGER4)
    assert 'Set backend = "nftables"' in nft_host.gate("status")["problem"]
    nft_host.settings("")
    assert nft_host.apply(ANNA + BEN)["warnings"] == []
    assert nft_host.gets_in(BEN4)
    assert not nft_host.gets_in(STRANGER4)
    assert "NETPLAY" not in nft_host.run(["nft", "list", "ruleset"])


def test_a_removal_takes_a_wall_away_that_iptables_cannot_print_any_more(nft_host: GateHost) -> None:
    nft_host.settings('[gate]\nbackend = "iptables"\n')
    nft_host.apply(ANNA)
    nft_host.run(["nft", "add", "rule", "ip", "filter", "INPUT", "ct", "state", "established", "accept"])
    nft_host.gate("remove")
    left = nft_host.run(["nft", "list", "ruleset"])
    assert "NETPLAY" not in left
    assert "established" in left
