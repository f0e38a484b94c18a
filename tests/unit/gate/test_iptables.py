"""iptables: the text we give it and the listing it gives back."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

import pytest

from relay.gate.backends import ipset, iptables_text
from relay.gate.backends.base import FilterError, enforce
from relay.gate.backends.iptables import Iptables, variant
from relay.gate.coexist import raw_rules
from relay.gate.policy import plan, ruleset
from relay.gate.policy.friends import Friend
from relay.gate.programs import ProgramError
from tests.support.gate_memory import NOW, ScriptedPrograms

ANNA = Friend("anna", (ipaddress.ip_network("1.2.3.4/32"), ipaddress.ip_network("2001:db8:1:2::/64")), 1)
WALL = ruleset.build(plan.make([ANNA], {}, NOW), (55435,), 96)
SETS = "create netplay4 hash:net family inet\nadd netplay4 1.2.3.4 timeout 0 packets 3 bytes 180\n"
SETS6 = "create netplay6 hash:net family inet6\nadd netplay6 2001:db8:1:2::/64 timeout 59 packets 0 bytes 0\n"


def saved(version: int, *, ipset: bool, jumps: int = 1, count: int = 2, found: ruleset.Ruleset = WALL) -> str:
    """Return what iptables-save -c prints of a ruleset, that above."""
    rules = [f"[{count}:120] {rule}" for rule in iptables_text.frame(found, version, ipset=ipset)]
    jump = ["[9:9] -A INPUT -j NETPLAY"] * jumps
    chains = [f":{chain} - [0:0]" for chain in iptables_text.CHAINS]
    return "\n".join(["# Generated", "*filter", ":INPUT ACCEPT [5:5]", *chains, *jump, *rules, "COMMIT", ""])


def test_one_text_replaces_our_chains_and_touches_nothing_else() -> None:
    text = iptables_text.restore(iptables_text.frame(WALL, 4, ipset=True), jumps=0)
    assert text.splitlines()[:4] == ["*filter", *(f":{chain} - [0:0]" for chain in iptables_text.CHAINS)]
    assert text.splitlines()[-2:] == ["-I INPUT 1 -j NETPLAY", "COMMIT"]
    assert not [line for line in text.splitlines() if line.startswith(("-F", ":INPUT", ":FORWARD", ":OUTPUT"))]


def test_many_ports_are_several_rules() -> None:
    many = ruleset.build(plan.make([], {}, NOW), tuple(range(1, 33)), 9)
    rules = [rule for rule in iptables_text.frame(many, 4, ipset=True) if rule.startswith("-A NETPLAY ")]
    assert len(rules) == 6


def test_a_listing_is_read_with_entries_as_rules() -> None:
    standing = iptables_text.parse({4: saved(4, ipset=False), 6: saved(6, ipset=False)}, None)
    assert standing is not None
    assert standing.shape
    assert standing.sets["host4"] == {ipaddress.ip_network("1.2.3.4/32"): None}
    assert standing.sets["host6"] == {ipaddress.ip_network("2001:db8:1:2::/64"): None}
    assert standing.packets == {"established": 4, "friends": 4, "capped": 4, "refused": 4}
    assert standing.seen[ipaddress.ip_network("1.2.3.4/32")] == 2


# What a release may print beside the words we know: of a rule, and of an element of a set.
MORE = ["-c 12 720", "--novelty", "--novelty 5", '--novelty "a b" c', "-c 7 420 --novelty 12"]


@pytest.mark.parametrize("more", MORE)
@pytest.mark.parametrize("in_front", [True, False])
def test_what_another_release_prints_of_each_rule_changes_nothing(more: str, *, in_front: bool) -> None:
    def printed(line: str) -> str:
        if " -A " not in line or "NETPLAY" not in line:
            return line
        if in_front:
            start, chain, rest = re.split(r"(?<=-A )(\S+)", line, maxsplit=1)
            return f"{start}{chain} {more}{rest}"
        return f"{line} {more}"

    plain = {version: saved(version, ipset=False) for version in (4, 6)}
    before = iptables_text.parse(plain, None)
    changed = {version: "\n".join(map(printed, text.splitlines())) + "\n" for version, text in plain.items()}
    assert changed != plain
    assert iptables_text.parse(changed, None) == before


def test_the_order_in_which_states_are_printed_changes_nothing() -> None:
    plain = {version: saved(version, ipset=True) for version in (4, 6)}
    turned = {version: text.replace("RELATED,ESTABLISHED", "ESTABLISHED,RELATED") for version, text in plain.items()}
    assert iptables_text.parse(turned, SETS) == iptables_text.parse(plain, SETS)


@pytest.mark.parametrize(
    ("rule", "other"),
    [
        ("-A NETPLAY-GATE -j DROP", "-A NETPLAY-GATE -j ACCEPT"),
        ("-A NETPLAY-GATE -j DROP", "-A NETPLAY-GATE -d 9.9.9.9/32 -j DROP"),
        ("-A NETPLAY-GATE -j DROP", "-A NETPLAY-GATE -o eth9 -j DROP"),
        ("-A NETPLAY-GATE -j DROP", "-A NETPLAY-GATE -m time --timestart 12:00 -j DROP"),
        ("-A NETPLAY-GATE -i lo -j ACCEPT", "-A NETPLAY-GATE ! -i lo -j ACCEPT"),
        ("--dports 55435 ", "--dports 22 "),
        ("--connlimit-above 96", "--connlimit-above 960000"),
        ("RELATED,ESTABLISHED", "RELATED,ESTABLISHED,NEW"),
    ],
)
def test_what_somebody_changes_in_our_chains_is_seen(rule: str, other: str) -> None:
    plain = {version: saved(version, ipset=False) for version in (4, 6)}
    changed = {**plain, 4: plain[4].replace(rule, other)}
    before, after = iptables_text.parse(plain, None), iptables_text.parse(changed, None)
    assert changed != plain
    assert before
    assert after
    assert after.frame != before.frame


@pytest.mark.parametrize("more", ["", " novelty 5", ' comment "timeout 7 packets 9"', " skbmark 0x1/0xff"])
def test_what_another_release_prints_of_each_element_changes_nothing(more: str) -> None:
    (found,) = ipset.members(f"add netplay4 1.2.3.4{more} timeout 59 packets 3 bytes 180{more}\n")
    assert found == (ipaddress.ip_network("1.2.3.4/32"), 59.0, 3)
    text = f"add netplay4 1.2.3.4 packets 3 bytes 180{more} timeout 59\nadd netplay4 2.0.0.0/8{more} nomatch\n"
    assert list(ipset.members(text)) == [found]
    assert ipset.replay(text).splitlines()[-1] == "add netplay4 1.2.3.4 timeout 59"


def test_a_listing_is_read_with_entries_in_sets() -> None:
    standing = iptables_text.parse({4: saved(4, ipset=True), 6: saved(6, ipset=True)}, SETS + SETS6)
    assert standing is not None
    assert standing.sets["host4"] == {ipaddress.ip_network("1.2.3.4/32"): None}
    assert standing.sets["host6"] == {ipaddress.ip_network("2001:db8:1:2::/64"): 59.0}
    assert standing.seen[ipaddress.ip_network("1.2.3.4/32")] == 3


def test_counts_and_entries_are_no_change_of_the_rules_and_anything_else_is() -> None:
    def frame(text: str) -> str:
        standing = iptables_text.parse({4: text}, None)
        assert standing is not None
        return standing.frame

    plain = saved(4, ipset=False)
    assert frame(saved(4, ipset=False, count=99)) == frame(plain)
    assert frame(plain.replace("-s 1.2.3.4/32", "-s 1.2.3.5/32")) == frame(plain)
    assert frame(plain.replace("-A NETPLAY-GATE -j DROP", "-A NETPLAY-GATE -j ACCEPT")) != frame(plain)
    assert frame(plain.replace("55435", "22")) != frame(plain)
    assert frame(saved(4, ipset=False, jumps=2)) != frame(plain)


@pytest.mark.parametrize("jumps", [0, 2])
def test_a_jump_too_few_or_too_many_is_noticed(jumps: int) -> None:
    standing = iptables_text.parse({4: saved(4, ipset=False, jumps=jumps), 6: saved(6, ipset=False)}, None)
    assert standing is not None
    assert not standing.shape


TAILSCALE = ":ts-input - [0:0]\n[1:1] -A INPUT -j ts-input\n[1:1] -A ts-input -i tailscale0 -j ACCEPT\n"


def with_rules(rules: str, text: str) -> str:
    """Return a listing with rules of others before our jump."""
    jump = "[9:9] -A INPUT -j NETPLAY\n"
    assert jump in text
    return text.replace(jump, rules + jump)


@pytest.mark.parametrize(
    ("rules", "shape"),
    [
        ("[1:1] -A INPUT -p tcp -m tcp --dport 55435 -j ACCEPT\n", False),
        ("[1:1] -A INPUT -p tcp -m tcp --dport 55000:56000 -j RETURN\n", False),
        ("[1:1] -A INPUT -j ACCEPT\n", False),
        ("[1:1] -A INPUT -j theirs\n[1:1] -A theirs -p tcp -m multiport --dports 22,55435 -j ACCEPT\n", False),
        ("[1:1] -A INPUT -p udp -m udp --dport 55435 -j ACCEPT\n", False),
        ("[1:1] -A INPUT -p udp -m udp --dport 55436 -j ACCEPT\n", False),
        ("[1:1] -A INPUT -p tcp -m tcp --dport 55436 -j ACCEPT\n", True),
        ("[1:1] -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n", True),
        ("[1:1] -A INPUT -i lo -j ACCEPT\n", True),
        ("[1:1] -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n", True),
        ("[1:1] -A INPUT -s 5.6.7.8/32 -j ACCEPT\n", True),
        ("[1:1] -A INPUT -j DROP\n[1:1] -A INPUT -j ACCEPT\n", True),
        (TAILSCALE, True),
    ],
)
def test_a_rule_that_lets_strangers_in_before_us_is_a_wall_that_does_not_stand(rules: str, shape: bool) -> None:
    lan = ruleset.build(plan.make([ANNA], {}, NOW), (55435,), 96, (55436,))
    listing = with_rules(rules, saved(4, ipset=False, found=lan))
    standing = iptables_text.parse({4: listing, 6: saved(6, ipset=False)}, None)
    assert standing is not None
    assert standing.shape == shape


OURS = "-p tcp -m tcp --dport 55435"


@pytest.mark.parametrize(
    ("rules", "bypassed"),
    [
        (f"-A INPUT {OURS} -m comment --comment x -j ACCEPT", True),
        (f"-A INPUT {OURS} -m comment --comment '-j DROP' -j ACCEPT", True),
        (f"-A INPUT -d 198.51.100.1/32 {OURS} -j ACCEPT", True),
        (f"-A INPUT -i eth0 {OURS} -j ACCEPT", True),
        ("-A INPUT -i eth+ -j ACCEPT", True),
        ("-A INPUT ! -i docker0 -j ACCEPT", True),
        (f"-A INPUT {OURS} --tcp-flags FIN,SYN,RST,ACK SYN -j ACCEPT", True),
        (f"-A INPUT {OURS} --tcp-flags FIN,SYN,RST,ACK ACK -j ACCEPT", False),
        (f"-A INPUT ! -s 10.0.0.0/8 {OURS} -j ACCEPT", True),
        (f"-A INPUT {OURS} -m recent --rcheck --name knocked --rsource -j ACCEPT", True),
        (f"-A INPUT {OURS} -m limit --limit 5/sec -j theirs\n-A theirs -j ACCEPT", True),
        ("-A INPUT -m limit --limit 5/sec -j theirs\n-A theirs -p tcp -m tcp --dport 22 -j ACCEPT", False),
        ("-A INPUT -d 198.51.100.1/32 -j DROP\n-A INPUT -j ACCEPT", True),
        ("-A INPUT -j theirs\n-A theirs -d 198.51.100.1/32 -j RETURN\n-A theirs -j DROP\n-A INPUT -j ACCEPT", True),
        ("-A INPUT -j theirs\n-A theirs -j DROP\n-A INPUT -d 198.51.100.1/32 -j ACCEPT", False),
        (f"-A INPUT -g theirs\n-A INPUT -d 198.51.100.1/32 {OURS} -j ACCEPT", True),
        ("-A INPUT -m limit --limit 3/min -j LOG --log-prefix '-j ACCEPT '", False),
        ("-A INPUT -s 10.0.0.0/8 -j ACCEPT", False),
        ("-A INPUT -s 0.0.0.0/1 -j ACCEPT", True),
        ("-A INPUT -s 2000::/3 -j ACCEPT", True),
        ("-A INPUT -s 2001:db8::/32 -j ACCEPT", False),
        ("-A INPUT -s 2000::/3 -i tailscale0 -j ACCEPT", False),
        ("-A INPUT -s 1.0.0.0/255.0.255.0 -j ACCEPT", True),
        ("-A INPUT -d 198.51.100.1/32 -i tailscale0 -j ACCEPT", False),
        ("-A INPUT -i wg+ -j ACCEPT", False),
        ("-A INPUT -i lo -m comment --comment x -j ACCEPT", False),
        ("-A INPUT -m comment --comment x -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", False),
        ("-A INPUT -p udp -m udp --sport 67 --dport 68 -j ACCEPT", False),
    ],
)
def test_an_accept_before_us_that_may_be_for_strangers_is_a_way_past_us(rules: str, bypassed: bool) -> None:
    ours = iptables_text.frame(WALL, 4, ipset=True)
    listing = f"*filter\n:INPUT ACCEPT [0:0]\n{rules}\n-A INPUT -j NETPLAY\nCOMMIT\n"
    assert iptables_text.bypassed(listing, ours, ("eth0",)) == bypassed
    moved = listing.replace("-A INPUT -j NETPLAY\n", "").replace(rules, f"-A INPUT -j NETPLAY\n{rules}")
    assert not iptables_text.bypassed(moved, ours, ("eth0",)), "who is first has nothing left to do"


def test_what_somebody_put_into_our_chains_is_no_accident_of_ours() -> None:
    strange = "-A NETPLAY -p tcp -m multiport --dports 1000:2000 -j NETPLAY-GATE\n"
    listing = with_rules("[1:1] -A INPUT -p tcp -j ACCEPT\n", saved(4, ipset=False)).replace(
        "COMMIT", strange + "COMMIT"
    )
    assert iptables_text.bypassed(listing, iptables_text.rules(listing))
    broken = saved(4, ipset=False).replace("1.2.3.4/32", "1.2.3.4/255.0.255.0")
    scripted = ScriptedPrograms({"iptables-save": broken, "ip6tables-save": saved(6, ipset=False)})
    with pytest.raises(FilterError, match="cannot be read"):
        Iptables(scripted).standing()


def test_where_no_default_route_is_known_interfaces_are_trusted() -> None:
    listing = with_rules("[1:1] -A INPUT -i eth0 -j ACCEPT\n", saved(4, ipset=False))
    assert not iptables_text.bypassed(listing, iptables_text.rules(listing))


def test_what_ufw_and_tailscale_put_before_us_is_no_reason_to_fight_them() -> None:
    theirs = """\
-A INPUT -j ts-input
-A INPUT -j ufw-before-input
-A ts-input -s 100.101.102.103/32 -i lo -j ACCEPT
-A ts-input -s 100.115.92.0/23 ! -i tailscale0 -j RETURN
-A ts-input -s 100.64.0.0/10 ! -i tailscale0 -j DROP
-A ts-input -i tailscale0 -j ACCEPT
-A ts-input -p udp -m udp --dport 41641 -j ACCEPT
-A ufw-before-input -i lo -j ACCEPT
-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw-before-input -m conntrack --ctstate INVALID -j DROP
-A ufw-before-input -p icmp -m icmp --icmp-type 8 -j ACCEPT
-A ufw-before-input -p udp -m udp --sport 67 --dport 68 -j ACCEPT
-A ufw-before-input -j ufw-not-local
-A ufw-before-input -d 224.0.0.251/32 -p udp -m udp --dport 5353 -j ACCEPT
-A ufw-before-input -j ufw-user-input
-A ufw-not-local -m addrtype --dst-type LOCAL -j RETURN
-A ufw-not-local -m limit --limit 3/min --limit-burst 10 -j ufw-logging-deny
-A ufw-not-local -j DROP
-A ufw-user-input -p tcp -m tcp --dport 22 -m comment --comment 'dapp_OpenSSH' -j ACCEPT
-A ufw-logging-deny -m limit --limit 3/min --limit-burst 10 -j LOG --log-prefix "[UFW BLOCK] "
"""
    listing = with_rules(theirs, saved(4, ipset=False))
    assert not iptables_text.bypassed(listing, iptables_text.rules(listing), ("eth0",))


def test_what_comes_after_our_jump_is_the_business_of_others() -> None:
    jump = "[9:9] -A INPUT -j NETPLAY\n"
    after = saved(4, ipset=False).replace(jump, jump + "[1:1] -A INPUT -j ACCEPT\n")
    standing = iptables_text.parse({4: after}, None)
    assert standing is not None
    assert standing.shape


def test_a_jump_that_others_bypass_is_made_the_first_rule_in_one_step() -> None:
    given: list[list[str]] = []
    rule = "[1:1] -A INPUT -p tcp -m tcp --dport 55435 -j ACCEPT\n"
    listing = {"iptables-save": saved(4, ipset=False), "ip6tables-save": saved(6, ipset=False)}
    scripted = ScriptedPrograms({program: lambda argv, _: listing[argv[0]] for program in listing})

    def load(argv: object, text: str) -> str:
        words = list(argv)  # type: ignore[call-overload]
        if "--test" not in words and words[0] == "iptables-restore":
            given.append([line for line in text.splitlines() if "INPUT" in line])
            listing["iptables-save"] = saved(4, ipset=False)
        return ""

    scripted.answers |= {"iptables-restore": load, "ip6tables-restore": load}
    _, applied = enforce(Iptables(scripted), WALL, None, lambda: NOW)
    given.clear()
    listing["iptables-save"] = with_rules(rule, listing["iptables-save"])
    done, applied = enforce(Iptables(scripted), WALL, applied, lambda: NOW)
    assert done.rules
    assert given == [["-D INPUT -j NETPLAY", "-I INPUT 1 -j NETPLAY"]]
    assert not enforce(Iptables(scripted), WALL, applied, lambda: NOW)[0].changed


def test_of_several_jumps_one_is_left_and_it_is_the_first_rule() -> None:
    text = iptables_text.restore([], jumps=2)
    assert text.splitlines()[4:] == ["-D INPUT -j NETPLAY"] * 2 + ["-I INPUT 1 -j NETPLAY", "COMMIT"]


def test_nothing_of_ours_is_nothing() -> None:
    assert iptables_text.parse({4: "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -j DROP\nCOMMIT\n"}, "") is None


def test_the_chain_that_opens_other_filters_is_not_taken_for_ours() -> None:
    other = "*filter\n:INPUT DROP [0:0]\n:NETPLAY-OPEN - [0:0]\n-A INPUT -j NETPLAY-OPEN\nCOMMIT\n"
    assert iptables_text.parse({4: other}, "") is None
    assert iptables_text.rules(other) == []


def test_sets_are_changed_element_by_element() -> None:
    network = ipaddress.ip_network("1.2.3.4/32")
    change = ruleset.Difference({network: 0.2}, {ipaddress.ip_network("1.2.3.5/32"): 5}, {})
    assert ipset.elements({"host4": change}).splitlines() == [
        "del netplay4 1.2.3.5/32",
        "add netplay4 1.2.3.4/32 timeout 1",
    ]
    forever = ruleset.Difference({network: None}, {}, {ipaddress.ip_network("10.0.0.0/8"): 1e12})
    assert ipset.elements({"net4": forever}).splitlines() == [
        "add netplay4 10.0.0.0/8 timeout 2147483",
        "add netplay4 1.2.3.4/32 timeout 0",
    ]


def test_a_snapshot_of_sets_brings_back_what_remained() -> None:
    assert ipset.replay(SETS + SETS6).splitlines()[2:] == [
        "flush netplay4",
        "flush netplay6",
        "add netplay4 1.2.3.4 timeout 0",
        "add netplay6 2001:db8:1:2::/64 timeout 59",
    ]


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\nCOMMIT\n", True),
        ("*filter\n:INPUT DROP [0:0]\nCOMMIT\n", False),
        ("# Table `filter' is incompatible, use 'nft' tool.\n", False),
        ("*filter\n:INPUT ACCEPT [0:0]\n:mine - [0:0]\nCOMMIT\n", False),
        ("*filter\n:INPUT ACCEPT [0:0]\n[0:0] -A INPUT -j LOG\nCOMMIT\n", False),
    ],
)
def test_a_table_that_somebody_uses_is_not_bare(text: str, bare: bool) -> None:
    assert iptables_text.is_bare(text) == bare


@pytest.mark.parametrize(
    ("has", "kind"), [("iptables-restore", ""), ("iptables-legacy-restore", "-legacy"), ("nft", None)]
)
def test_the_iptables_a_host_has(has: str, kind: str | None) -> None:
    assert variant(ScriptedPrograms({has: ""})) == kind


def test_an_ipset_the_kernel_does_not_know_is_done_without() -> None:
    state = {"v4": "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n", "v6": "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n"}

    def load(argv: object, _: str) -> str:
        words = list(argv)  # type: ignore[call-overload]
        if "--test" not in words:
            version = 6 if words[0].startswith("ip6") else 4
            state[f"v{version}"] = saved(version, ipset=False)
        return ""

    scripted = ScriptedPrograms(
        {
            "iptables-save": lambda *_: state["v4"],
            "ip6tables-save": lambda *_: state["v6"],
            "iptables-restore": load,
            "ip6tables-restore": load,
            "ipset": ProgramError(["ipset"], 1, "Kernel error received: set type not supported"),
        }
    )
    backend = Iptables(scripted)
    assert not backend.plain
    done, applied = enforce(backend, WALL, None, lambda: NOW)
    assert done.changed
    assert applied is not None
    assert applied.plain


def test_what_iptables_refuses_is_put_back_and_said() -> None:
    bare = "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n"
    refusal = ProgramError(["iptables-restore"], 2, "iptables-restore v1.8.9: Couldn't load match `connlimit'")
    scripted = ScriptedPrograms({"iptables-save": bare, "ip6tables-save": bare, "iptables-restore": refusal})
    with pytest.raises(FilterError, match=r"Couldn't load match `connlimit'\. Nothing has changed"):
        enforce(Iptables(scripted), WALL, None, lambda: NOW)


@pytest.mark.parametrize(("names", "asked"), [("nat\nfilter\n", True), ("nat\n", False), (None, False)])
def test_legacy_iptables_whose_tables_are_not_in_the_kernel_holds_nothing_to_take_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: str | None, *, asked: bool
) -> None:
    """To ask for them would load modules, and on a kernel that has none of these fail for ever."""
    path = tmp_path / "names"
    if names is not None:
        path.write_text(names)
    monkeypatch.setattr(raw_rules, "LEGACY", {"iptables-legacy": path})
    missing = ProgramError(["iptables-save"], 3, "Table does not exist")
    scripted = ScriptedPrograms({"iptables -V": "iptables v1.8.9 (legacy)", "iptables-save": missing})
    if asked:
        with pytest.raises(FilterError, match="Table does not exist"):
            Iptables(scripted).remove()
    else:
        Iptables(scripted).remove()
