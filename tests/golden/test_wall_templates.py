"""The wall: its text, and that nft and the kernel take whatever list of friends there is."""

from __future__ import annotations

import ipaddress
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.templates import apart, assert_golden, need_root, nft, program, render

if TYPE_CHECKING:
    from pathlib import Path

FRIENDS = [
    {"name": "anna", "addresses": ["203.0.113.7/32", "2001:db8:1:2::/64"]},
    {"name": "bob and his brother", "addresses": ["198.51.100.0/24", "198.51.100.64/26", "198.51.100.9/32"]},
    {"name": "cleo", "addresses": ["203.0.113.7/32", "2001:db8::5/128", "2001:db8:1::/48"]},
]
PORTS = [55435]
TWICE = 'nft -f "$1" && nft -f "$1" && nft -j list ruleset'


def rules(friends: list[dict[str, Any]], ports: list[int]) -> str:
    return render(
        "nftables/netplay.nft.j2",
        firewall_friends=friends,
        firewall_ports=ports,
        firewall_config_dir="/etc/netplay-relay",
    )


def accepted(text: str, folder: Path) -> str:
    """Return nft's complaint of a file, "" when it has none."""
    file = folder / "netplay.nft"
    file.write_text(text)
    checked = nft("-c", "-f", str(file))
    return checked.stdout + checked.stderr if checked.returncode else ""


def loaded_twice(text: str, folder: Path) -> list[dict[str, Any]]:
    """Load the file two times and return the ruleset that the kernel has then."""
    file = folder / "netplay.nft"
    file.write_text(text)
    program("nft")
    done = apart(["sh", "-c", TWICE, "sh", str(file)])
    assert done.returncode == 0, done.stderr
    ruleset: list[dict[str, Any]] = json.loads(done.stdout)["nftables"]
    return ruleset


def test_the_wall_is_the_text_that_was_agreed_on() -> None:
    assert_golden("netplay.nft", rules(FRIENDS, PORTS))


def test_the_allowlist_is_the_text_that_was_agreed_on() -> None:
    assert_golden("allowlist", render("nftables/allowlist.j2", firewall_friends=FRIENDS))


def test_a_wall_for_nobody_is_a_wall(tmp_path: Path) -> None:
    assert accepted(rules([], PORTS), tmp_path) == ""
    assert "elements" not in rules([], PORTS)


def test_loading_the_wall_again_leaves_one_wall(tmp_path: Path) -> None:
    ruleset = loaded_twice(rules(FRIENDS, PORTS), tmp_path)
    assert [entry["table"]["name"] for entry in ruleset if "table" in entry] == ["netplay"]
    sets = {entry["set"]["name"]: entry["set"].get("elem", []) for entry in ruleset if "set" in entry}
    assert sets["host4"] == ["198.51.100.9", "203.0.113.7"]
    assert sets["net4"] == [{"prefix": {"addr": "198.51.100.0", "len": 24}}]


def test_nothing_but_the_relays_ports_comes_to_our_rules(tmp_path: Path) -> None:
    """One base chain that lets everything through but for one jump, and that jump is on the destination port."""
    ruleset = loaded_twice(rules(FRIENDS, [55435, 55440]), tmp_path)
    (base,) = [entry["chain"] for entry in ruleset if "hook" in entry.get("chain", {})]
    assert (base["hook"], base["prio"], base["policy"]) == ("input", -10, "accept")
    (rule,) = [entry["rule"]["expr"] for entry in ruleset if entry.get("rule", {}).get("chain") == base["name"]]
    matches = {json.dumps(part["match"]["left"]): part["match"]["right"] for part in rule if "match" in part}
    assert matches == {
        '{"meta": {"key": "l4proto"}}': {"set": ["tcp", "udp"]},
        '{"payload": {"protocol": "th", "field": "dport"}}': {"set": [55435, 55440]},
    }
    assert rule[-1] == {"jump": {"target": "gate"}}


def test_another_list_has_another_fingerprint() -> None:
    def fingerprint(friends: list[dict[str, Any]], ports: list[int]) -> str:
        (found,) = re.findall(r'comment "([0-9a-f]{40})"', rules(friends, ports))
        return str(found)

    assert len({fingerprint(FRIENDS, PORTS), fingerprint(FRIENDS[:2], PORTS), fingerprint(FRIENDS, [55436])}) == 3
    assert fingerprint(FRIENDS, PORTS) == fingerprint(FRIENDS, PORTS)


def test_nft_takes_ten_thousand_friends(tmp_path: Path) -> None:
    need_root()
    first = int(ipaddress.IPv4Address("203.0.0.0"))
    many = [{"name": f"friend {n}", "addresses": [str(ipaddress.IPv4Address(first + 3 * n))]} for n in range(5000)]
    many += [{"name": f"house {n}", "addresses": [f"10.{n // 200}.{n % 200}.0/24"]} for n in range(2500)]
    many += [{"name": f"home {n}", "addresses": [f"2001:db8:{n:x}::/64"]} for n in range(2500)]
    assert accepted(rules(many, PORTS), tmp_path) == ""


@pytest.mark.parametrize("name", ['evil"; }', "two\nlines 1.2.3.4", "# } drop", "\N{SNOWMAN}", "-f", "\u2028x"])
def test_a_name_stays_a_comment(name: str, tmp_path: Path) -> None:
    friends = [{"name": name, "addresses": ["203.0.113.7/32"]}]
    named = [entry["set"].get("elem", []) for entry in loaded_twice(rules(friends, PORTS), tmp_path) if "set" in entry]
    assert named == [["203.0.113.7"], [], [], []]


NETWORKS = st.one_of(
    st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)).map(lambda p: ipaddress.IPv4Network(p, strict=False)),
    st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 128)).map(lambda p: ipaddress.IPv6Network(p, strict=False)),
    # Close together, so that they overlap.
    st.tuples(st.integers(0, 255), st.integers(24, 32)).map(
        lambda p: ipaddress.IPv4Network((0xCB007100 + p[0], p[1]), strict=False)
    ),
)
LISTS = st.lists(
    st.fixed_dictionaries({"name": st.text(), "addresses": st.lists(NETWORKS.map(str), max_size=6)}), max_size=8
)


@given(LISTS, st.lists(st.integers(1, 65535), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nft_takes_any_list_of_friends(tmp_path: Path, friends: list[dict[str, Any]], ports: list[int]) -> None:
    assert accepted(rules(friends, ports), tmp_path) == ""
