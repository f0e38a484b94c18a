"""The gate against any list and any packet: who gets in is who the list names, and no other port is touched."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from relay import allowlist
from relay.addresses import Network
from relay.gate.backends import iptables_text, nftables_text
from relay.gate.backends.ipset import SET_NAMES
from relay.gate.foreign.iptables import iptables_input
from relay.gate.foreign.nft import ForeignRuleset, entries
from relay.gate.policy import plan, ruleset
from relay.gate.policy.friends import Friend, parse, pinned
from relay.tomlfile import ConfigError
from tests.support.packet_filters import NO_VERDICT, Address, IptablesInterpreter, NftInterpreter, Packet

FILE = Path("friends.toml")
NOW = 1_800_000_000
SSH = 22

# A small world, so that addresses meet: prefixes nest, friends share, packets hit.
LENGTHS = {4: (8, 15, 16, 23, 24, 25, 30, 31, 32), 6: (16, 32, 48, 63, 64, 65, 127, 128)}
V4 = st.sampled_from([0x0A000000, 0x0A000001, 0x0A000100, 0x0A010000, 0x0AFFFFFF, 0x0B000000, 0xC6336407, 0xFFFFFFFE])
V6 = st.sampled_from([0x2001 << 112, (0x2001 << 112) + 1, (0x2001 << 112) + (1 << 64), (0x2001 << 112) + (1 << 80)])
ADDRESSES = st.one_of(
    V4.map(ipaddress.IPv4Address), V6.map(ipaddress.IPv6Address), st.ip_addresses(v=4), st.ip_addresses(v=6)
)


@st.composite
def networks(draw: st.DrawFn) -> Network:
    address = draw(ADDRESSES)
    return ipaddress.ip_network((address, draw(st.sampled_from(LENGTHS[address.version]))), strict=False)


UNTIL = st.one_of(st.none(), st.integers(NOW - 100, NOW + 100))
FRIENDS = st.lists(st.tuples(st.lists(networks(), max_size=4), UNTIL), max_size=6).map(
    lambda people: [Friend(f"f{n}", tuple(found), n + 1, until=until) for n, (found, until) in enumerate(people)]
)
PORTS = st.lists(st.integers(1, 65535).filter(lambda port: port != SSH), min_size=1, max_size=40, unique=True).map(
    tuple
)
PACKETS = st.builds(
    Packet,
    ADDRESSES,
    st.one_of(st.just(SSH), st.integers(1, 65535)),
    st.sampled_from(["tcp", "udp", "icmp", "sctp"]),
    st.sampled_from(["new", "established", "related", "invalid", "untracked"]),
    st.sampled_from(["eth0", "lo"]),
)
SOMEBODY_TO_SSH = Packet(ipaddress.ip_address("10.0.0.1"), SSH)


def on_the_list(friends: list[Friend], address: Address, now: float) -> bool:
    return any(
        (friend.until is None or friend.until > now)
        and any(network.version == address.version and address in network for network in friend.addresses)
        for friend in friends
    )


def built(
    friends: list[Friend], ports: tuple[int, ...], now: float = NOW, datagrams: tuple[int, ...] = ()
) -> ruleset.Ruleset:
    return ruleset.build(plan.make(friends, {}, now), ports, 96, datagrams)


def nft_for(found: ruleset.Ruleset, now: float = NOW) -> NftInterpreter:
    interpreter = NftInterpreter()
    interpreter.now = now
    interpreter.load(nftables_text.frame(found) + nftables_text.elements(ruleset.differences(found, {}, now)))
    return interpreter


def iptables_for(found: ruleset.Ruleset, version: int, *, ipset: bool) -> IptablesInterpreter:
    members = [network for name in ruleset.SETS for network in found.sets[name]]
    interpreter = IptablesInterpreter(dict.fromkeys(SET_NAMES.values(), members))
    interpreter.load(iptables_text.restore(iptables_text.frame(found, version, ipset=ipset), 0))
    return interpreter


def verdicts(found: ruleset.Ruleset, packet: Packet) -> set[str]:
    """Ask every rendering of one wall about one packet."""
    version = packet.source.version
    return {
        nft_for(found).verdict(packet),
        iptables_for(found, version, ipset=True).verdict(packet),
        iptables_for(found, version, ipset=False).verdict(packet),
    }


@given(FRIENDS, PORTS, PACKETS)
@example(
    [Friend("all", (ipaddress.ip_network("0.0.0.0/0"),), 1)], (55435,), Packet(ipaddress.ip_address("10.0.0.1"), SSH)
)
@example([], (55435,), Packet(ipaddress.ip_address("10.0.0.1"), SSH))
def test_no_list_touches_any_port_but_the_relays_ssh_first(
    friends: list[Friend], ports: tuple[int, ...], packet: Packet
) -> None:
    if packet.port in ports and packet.protocol in ("tcp", "udp"):
        return
    assert verdicts(built(friends, ports), packet) == {NO_VERDICT}


@given(FRIENDS, PORTS, PACKETS)
@example([], (55440,), Packet(ipaddress.ip_address("10.0.0.1"), 55435))
@example([], (55440,), Packet(ipaddress.ip_address("10.0.0.1"), 55435, "udp"))
def test_a_port_for_datagrams_is_somebody_elses_where_it_is_of_tcp(
    friends: list[Friend], ports: tuple[int, ...], packet: Packet
) -> None:
    found = built(friends, ports, datagrams=(55435,))
    if packet.port != 55435 or packet.port in ports or packet.protocol == "udp":
        as_if = ports if packet.port != 55435 else (*ports, 55435)
        assert verdicts(found, packet) == verdicts(built(friends, as_if), packet)
    else:
        assert verdicts(found, packet) == {NO_VERDICT}


@given(FRIENDS, PORTS, ADDRESSES, st.sampled_from(["tcp", "udp"]), st.integers(0, 39))
def test_whoever_is_on_the_list_gets_in_and_nobody_else(
    friends: list[Friend], ports: tuple[int, ...], source: Address, protocol: str, which: int
) -> None:
    packet = Packet(source, ports[which % len(ports)], protocol)
    expected = "accept" if on_the_list(friends, source, NOW) else "drop"
    assert verdicts(built(friends, ports), packet) == {expected}


@given(FRIENDS, ADDRESSES, st.sampled_from(["established", "related"]))
def test_a_game_that_runs_goes_on_whatever_the_list_says(friends: list[Friend], source: Address, state: str) -> None:
    assert verdicts(built(friends, (55435,)), Packet(source, 55435, "tcp", state)) == {"accept"}


@given(FRIENDS, ADDRESSES, st.integers(0, 120))
def test_whoever_is_over_is_out_at_that_second(friends: list[Friend], source: Address, seconds: int) -> None:
    """Single addresses end by the filter's own clock; for the rest there is a new plan at each expiry."""
    made = plan.make(friends, {}, NOW)
    interpreter = nft_for(ruleset.build(made, (55435,), 96))
    while made.next_expiry is not None and made.next_expiry <= NOW + seconds:
        now = made.next_expiry
        before, made = made, plan.make(friends, {}, now)
        interpreter.now = now
        held = {name: dict(ruleset.build(before, (55435,), 96).sets[name]) for name in ruleset.SETS}
        left = {name: {net: None if end is None else end - now for net, end in held[name].items()} for name in held}
        standing = {name: {net: end for net, end in left[name].items() if end is None or end > 0} for name in left}
        interpreter.load(nftables_text.elements(ruleset.differences(ruleset.build(made, (55435,), 96), standing, now)))
    interpreter.now = NOW + seconds
    expected = "accept" if on_the_list(friends, source, NOW + seconds) else "drop"
    assert interpreter.verdict(Packet(source, 55435)) == expected


@given(FRIENDS, FRIENDS, ADDRESSES)
def test_changing_a_wall_in_place_comes_to_the_same_as_building_it(
    before: list[Friend], after: list[Friend], source: Address
) -> None:
    old, new = built(before, (55435,)), built(after, (55436,))
    interpreter = nft_for(old)
    standing = {
        name: {network: None if end is None else end - NOW for network, end in old.sets[name].items()}
        for name in ruleset.SETS
    }
    interpreter.load(nftables_text.frame(new) + nftables_text.elements(ruleset.differences(new, standing, NOW)))
    whole = nft_for(new)
    assert {name: one.elements for name, one in interpreter.sets.items()} == {
        name: one.elements for name, one in whole.sets.items()
    }
    for port in (55435, 55436, SSH):
        assert interpreter.verdict(Packet(source, port)) == whole.verdict(Packet(source, port))


@given(FRIENDS, ADDRESSES, st.integers(-1, 120))
def test_the_relays_own_allowlist_says_the_same_at_any_later_second(
    friends: list[Friend], source: Address, seconds: int
) -> None:
    text = plan.make(friends, {}, NOW).allowlist()
    until = allowlist.parse(text).until(source)
    moment = NOW + max(seconds, 0)
    assert (until is not None and until > moment) == on_the_list(friends, source, moment)


@given(FRIENDS)
def test_a_wall_that_stands_needs_nothing(friends: list[Friend]) -> None:
    found = built(friends, (55435,))
    standing = {
        name: {network: None if end is None else end - NOW for network, end in found.sets[name].items()}
        for name in ruleset.SETS
    }
    assert not any(ruleset.differences(found, standing, NOW).values())


@given(FRIENDS, PORTS, st.integers(0, 3), st.booleans())
def test_iptables_jumps_to_us_once_and_removal_leaves_nothing(
    friends: list[Friend], ports: tuple[int, ...], jumps: int, bypassed: bool
) -> None:
    found = built(friends, ports)
    interpreter = IptablesInterpreter()
    for chain in iptables_text.CHAINS:
        interpreter.chains[chain] = []
    foreign = ["-p", "tcp", "-j", "ACCEPT"]
    interpreter.chains["INPUT"] = [foreign, *([["-j", "NETPLAY"]] * jumps)]
    interpreter.load(iptables_text.restore(iptables_text.frame(found, 4, ipset=False), jumps, bypassed=bypassed))
    assert interpreter.chains["INPUT"].count(["-j", "NETPLAY"]) == 1
    assert (interpreter.chains["INPUT"][0] == foreign) == (jumps == 1 and not bypassed)
    interpreter.load(iptables_text.removal(list(iptables_text.CHAINS), 1))
    assert interpreter.chains == {"INPUT": [foreign]}


@given(FRIENDS)
def test_a_plan_keeps_every_narrower_entry_with_its_own_time(friends: list[Friend]) -> None:
    made = plan.make(friends, {}, NOW)
    for friend in friends:
        for network in friend.addresses:
            entry = next((entry for entry in made.entries if entry.network == network), None)
            if friend.until is not None and friend.until <= NOW:
                assert entry is None or friend.name not in entry.friends
            else:
                assert entry is not None
                assert friend.name in entry.friends
                assert entry.until is None or (friend.until is not None and entry.until >= friend.until)


WORDS = st.one_of(st.text(max_size=12), st.sampled_from(["203.0.113.7", "anna.example.org", "12h", "2026-12-24 23:00"]))
KEYS = ["match", "left", "right", "op", "set", "range", "vmap", "key", "data", "xt", "jump", "payload"]
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), WORDS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(KEYS), inner),
    ),
    max_leaves=12,
)


@given(WORDS, WORDS, WORDS, WORDS)
def test_a_friend_is_understood_or_refused_with_a_sentence_whatever_is_typed(
    name: str, address: str, dns: str, until: str
) -> None:
    lines = {"name": name, "ip": address, "dns": dns, "until": until}
    text = "[[friend]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in lines.items())
    found, told = read(text)
    assert (told is None) != (found is None)
    if told:
        assert told.line is not None
        assert told.message.endswith(".")
    if found:
        assert [friend.until for friend in parse(pinned(text, FILE), FILE)] == [friend.until for friend in found]


def read(text: str) -> tuple[list[Friend] | None, ConfigError | None]:
    try:
        return parse(text, FILE), None
    except ConfigError as error:
        return None, error


@given(st.lists(JSON, max_size=5), st.lists(st.text(max_size=30), max_size=5))
def test_rules_that_nobody_can_read_decide_nothing(statements: list[object], words: list[str]) -> None:
    where = {"family": "inet", "table": "mine"}
    rules = [{"rule": {**where, "chain": "in", "expr": statement}} for statement in (statements, *statements)]
    chain = {"chain": {**where, "name": "in", "hook": "input", "policy": "accept"}}
    listed = entries(json.dumps({"nftables": [chain, *rules]}))
    assert isinstance(ForeignRuleset(listed, 55435).inputs()[0].lets_in(), bool)
    saved = "\n".join([":INPUT ACCEPT [0:0]", *(f"-A INPUT {word}" for word in words)])
    found = iptables_input(saved, "ip", 55435)
    assert found is not None
    assert isinstance(found.lets_in(), bool)
    assert entries(saved) == []


def test_the_interpreters_do_not_take_everything_for_granted() -> None:
    """Mutants of the rendering must be seen: this keeps the tests above able to fail."""
    anna = [Friend("anna", (ipaddress.ip_network("10.0.0.1/32"),), 1)]
    found = built(anna, (55435,))
    stranger = Packet(ipaddress.ip_address("10.9.9.9"), SSH)
    text = nftables_text.frame(found)
    for mutant in (
        text.replace("meta l4proto { tcp, udp } th dport { 55435 } jump gate", "jump gate"),
        text.replace("th dport { 55435 } ", ""),
        text.replace("{ 55435 }", "{ 22, 55435 }"),
    ):
        interpreter = NftInterpreter()
        interpreter.load(mutant)
        assert interpreter.verdict(stranger) == "drop"
    rules = [rule.replace(" -m multiport --dports 55435", "") for rule in iptables_text.frame(found, 4, ipset=False)]
    other = IptablesInterpreter()
    other.load(iptables_text.restore(rules, 0))
    assert other.verdict(stranger) == "drop"
