"""The plan: who may connect until when, and what the owner should know."""

from __future__ import annotations

import ipaddress

import pytest

from relay import allowlist
from relay.gate.policy import plan, ruleset
from relay.gate.policy.friends import Friend
from tests.support.gate_memory import NOW


def person(name: str, *networks: str, until: int | None = None, names: tuple[str, ...] = ()) -> Friend:
    return Friend(name, tuple(ipaddress.ip_network(network) for network in networks), 1, names=names, until=until)


def shown(made: plan.Plan) -> dict[str, tuple[int | None, tuple[str, ...]]]:
    return {str(entry.network): (entry.until, entry.friends) for entry in made.entries}


def test_the_longer_time_of_two_friends_with_one_address_counts_and_both_are_named() -> None:
    soon, late = int(NOW) + 10, int(NOW) + 20
    made = plan.make([person("anna", "1.2.3.4/32", until=soon), person("ben", "1.2.3.4/32", until=late)], {}, NOW)
    assert shown(made) == {"1.2.3.4/32": (late, ("anna", "ben"))}
    forever = plan.make([person("anna", "1.2.3.4/32"), person("ben", "1.2.3.4/32", until=late)], {}, NOW)
    assert shown(forever) == {"1.2.3.4/32": (None, ("anna", "ben"))}


def test_who_is_over_is_reported_and_not_let_in() -> None:
    over = person("anna", "1.2.3.4/32", until=int(NOW))
    made = plan.make([over, person("ben", "1.2.3.5/32")], {}, NOW)
    assert list(shown(made)) == ["1.2.3.5/32"]
    assert made.expired == (over,)
    assert made.next_expiry is None


def test_a_new_plan_is_due_when_the_first_entry_ends() -> None:
    friends = [person("anna", "1.2.3.4/32", until=int(NOW) + 9), person("ben", "1.2.3.0/24", until=int(NOW) + 5)]
    assert plan.make(friends, {}, NOW).next_expiry == int(NOW) + 5


def test_names_bring_their_answers_and_those_without_are_reported() -> None:
    anna = person("anna", names=("anna.example.org", "old.example.org"))
    made = plan.make([anna], {"anna.example.org": [ipaddress.ip_network("5.6.7.8/32")]}, NOW)
    assert shown(made) == {"5.6.7.8/32": (None, ("anna",))}
    assert made.entries[0].names == ("anna.example.org",)
    assert made.unresolved == ((anna, "old.example.org"),)


def test_carrier_nat_and_shared_addresses_are_said() -> None:
    friends = [
        person("anna", "100.64.3.4/32"),
        person("ben", "5.6.7.8/32"),
        person("cleo", "5.6.7.8/32"),
        person("dora", "5.6.7.0/24", "9.9.9.0/24", "9.9.9.9/32"),
    ]
    same, within, carrier = plan.make(friends, {}, NOW).warnings
    assert same == f"5.6.7.8 is the address of ben and cleo. {plan.ADVICE}"
    assert within == f"5.6.7.8 (ben and cleo) lies in 5.6.7.0/24 (dora). {plan.ADVICE}"
    assert carrier.startswith("100.64.3.4 (anna) is behind carrier NAT (100.64.0.0/10)")
    assert "password" in plan.ADVICE


def test_a_thousand_addresses_of_two_friends_are_one_warning() -> None:
    many = [f"11.1.{number // 256}.{number % 256}/32" for number in range(900)]
    made = plan.make([person("anna", "11.1.0.0/23", "11.1.2.0/24", "11.1.3.0/25"), person("ben", *many)], {}, NOW)
    assert len(made.warnings) == 1


@pytest.mark.parametrize(
    ("networks", "words"),
    [
        (["11.1.0.0/22"], "1,024 IPv4 addresses"),
        (["11.16.0.0/13"], "524,288 IPv4 addresses"),
        (["11.1.0.0/23", "11.2.0.0/23"], "1,024 IPv4 addresses"),
        (["2001:db8::/48"], "65,536 IPv6 households"),
        (["2001:db8::/54", "11.1.0.7/32"], "1 IPv4 addresses and 1,024 IPv6 households"),
        (["11.1.0.0/23"], ""),
        (["2001:db8::/56", "2001:db8:1::1/128"], ""),
    ],
)
def test_who_has_thousands_of_addresses_is_told(networks: list[str], words: str) -> None:
    made = plan.make([person("anna", *networks), person("ben", "9.9.9.9/32")], {}, NOW)
    assert len(made.warnings) == bool(words)
    assert all(f"anna's entry lets in {words}, and most of them are strangers" in one for one in made.warnings)


@pytest.mark.parametrize("network", ["192.168.1.20/32", "10.0.0.0/24", "172.31.255.1/32", "fd00:1:2:3::/64"])
def test_an_address_of_a_private_network_is_told_unless_the_relay_is_in_it(network: str) -> None:
    (told,) = plan.make([person("dora", network)], {}, NOW).warnings
    assert "(dora) is an address inside a private network" in told
    assert "what-is-my-ip" in told
    assert plan.make([person("dora", network)], {}, NOW, near=lambda one: str(one) == network).warnings == ()


@pytest.mark.parametrize("network", ["172.32.0.1/32", "203.0.113.7/32", "2001:db8:1:2::/64", "100.63.0.1/32"])
def test_an_address_of_the_internet_is_not_told(network: str) -> None:
    assert plan.make([person("dora", network)], {}, NOW).warnings == ()


def test_the_allowlist_is_written_from_the_plan() -> None:
    made = plan.make([person("anna", "1.2.3.4/32", "2001:db8:1:2::/64", until=int(NOW) + 9)], {}, NOW)
    lines = made.allowlist().splitlines()
    assert lines[0].startswith("# ")
    assert lines[1:] == [f"1.2.3.4 until={int(NOW) + 9}  # anna", f"2001:db8:1:2::/64 until={int(NOW) + 9}  # anna"]
    allowlist.parse(made.allowlist())


def test_entries_go_to_the_set_of_their_kind_and_prefixes_inside_others_are_merged() -> None:
    made = plan.make(
        [person("anna", "1.2.3.4/32", "2001:db8:1:2::/64", "2001:db8::1/128", "10.0.0.0/8", "10.1.0.0/16")], {}, NOW
    )
    sets = ruleset.build(made, (7, 5, 7), 9).sets
    assert {name: [str(network) for network in sets[name]] for name in ruleset.SETS} == {
        "host4": ["1.2.3.4/32"],
        "host6": ["2001:db8:1:2::/64"],
        "net4": ["10.0.0.0/8"],
        "net6": ["2001:db8::1/128"],
    }
    assert ruleset.build(made, (7, 5, 7), 9).ports == (5, 7)


def test_a_time_too_long_for_the_filter_is_cut_and_refreshed_when_half_of_it_is_over() -> None:
    made = plan.make([person("anna", "1.2.3.4/32", until=int(NOW) + 5000)], {}, NOW)
    built = ruleset.build(made, (5,), 9)
    network = ipaddress.ip_network("1.2.3.4/32")

    def change(left: float | None) -> ruleset.Difference:
        return ruleset.differences(built, {"host4": {} if left is None else {network: left}}, NOW, longest=1000)[
            "host4"
        ]

    assert change(None).add == {network: 1000}
    assert not change(999)
    assert not change(500)
    assert change(499).refresh == {network: 1000}


def test_what_differs_by_less_than_filters_tell_is_the_same() -> None:
    made = plan.make([person("anna", "1.2.3.4/32", until=int(NOW) + 60)], {}, NOW)
    built = ruleset.build(made, (5,), 9)
    network = ipaddress.ip_network("1.2.3.4/32")
    assert not ruleset.differences(built, {"host4": {network: 59}}, NOW)["host4"]
    assert ruleset.differences(built, {"host4": {network: 50}}, NOW)["host4"].refresh == {network: 60}
    assert ruleset.differences(built, {"host4": {network: None}}, NOW)["host4"].refresh == {network: 60}
    other = ipaddress.ip_network("1.2.3.5/32")
    assert ruleset.differences(built, {"host4": {network: 60, other: None}}, NOW)["host4"].remove == {other: None}
