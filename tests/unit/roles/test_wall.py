"""The filter `wall`: the four sets let in whom the list of friends lets in, and nobody else."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.templates import plugin

WALL = plugin("filter/wall.py")

V4 = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)).map(lambda p: ipaddress.IPv4Network(p, strict=False))
V6 = st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 128)).map(lambda p: ipaddress.IPv6Network(p, strict=False))
NEAR = st.tuples(st.integers(0, 255), st.integers(22, 32)).map(
    lambda p: ipaddress.IPv4Network((0xCB007100 + p[0], p[1]), strict=False)
)
NETWORKS = st.lists(st.one_of(V4, V6, NEAR), max_size=12)


def elements(sets: dict[str, list[dict[str, str]]], name: str) -> list[Any]:
    return [ipaddress.ip_network(element["value"]) for element in sets[name]]


@given(NETWORKS, st.one_of(st.integers(0, 2**32 - 1), st.integers(0xCB007100, 0xCB0071FF)))
def test_an_address_is_in_the_sets_exactly_when_a_friend_has_it(networks: list[Any], number: int) -> None:
    sets = WALL.wall([{"name": "anna", "addresses": [str(network) for network in networks]}])
    let_in = [network for name in WALL.SETS for network in elements(sets, name)]
    for address in (ipaddress.IPv4Address(number), ipaddress.IPv6Address(number << 96)):
        assert any(address in network for network in let_in) == any(address in network for network in networks)


@given(NETWORKS)
def test_each_set_holds_its_kind_and_no_prefix_lies_in_another(networks: list[Any]) -> None:
    sets = WALL.wall([{"name": "anna", "addresses": [str(network) for network in networks]}])
    for name in WALL.SETS:
        found = elements(sets, name)
        assert {network.version for network in found} <= {int(name[-1])}
        assert all((network.prefixlen == network.max_prefixlen) == name.startswith("host") for network in found)
        assert found == sorted(set(found))
    for name in ("net4", "net6"):
        found = elements(sets, name)
        assert not any(one != other and one.subnet_of(other) for one in found for other in found)


def test_who_shares_an_address_is_named_once_each() -> None:
    friends = [{"name": name, "addresses": ["203.0.113.7", "203.0.113.7/32"]} for name in ("anna", "bob", "anna")]
    assert WALL.wall(friends)["host4"] == [{"value": "203.0.113.7", "names": "anna, bob"}]


def test_a_prefix_speaks_for_those_whose_prefix_lies_in_it() -> None:
    friends = [{"name": "anna", "addresses": ["198.51.100.64/26"]}, {"name": "bob", "addresses": ["198.51.100.0/24"]}]
    assert WALL.wall(friends)["net4"] == [{"value": "198.51.100.0/24", "names": "bob, anna"}]


def test_a_single_address_in_a_prefix_keeps_its_own_entry() -> None:
    friends = [{"name": "anna", "addresses": ["198.51.100.64"]}, {"name": "bob", "addresses": ["198.51.100.0/24"]}]
    sets = WALL.wall(friends)
    assert [element["names"] for element in (*sets["host4"], *sets["net4"])] == ["anna", "bob"]


@pytest.mark.parametrize("text", ["nobody", "203.0.113.7/33", "203.0.113.7/24", ""])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"IPv4|host bits"):
        WALL.wall([{"name": "anna", "addresses": [text]}])
