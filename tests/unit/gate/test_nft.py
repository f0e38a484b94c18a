"""nftables: the text we give it and the listing it gives back."""

from __future__ import annotations

import ipaddress
import json

import pytest

from relay.gate.backends import nftables_text
from relay.gate.backends.base import FilterError, enforce
from relay.gate.backends.nftables import Nftables
from relay.gate.policy import plan, ruleset
from relay.gate.policy.friends import Friend
from relay.gate.programs import ProgramError
from tests.support.gate_memory import NOW, ScriptedPrograms

ANNA = Friend("anna", (ipaddress.ip_network("1.2.3.4/32"), ipaddress.ip_network("10.0.0.0/8")), 1, until=int(NOW) + 90)
WALL = ruleset.build(plan.make([ANNA], {}, NOW), (55435, 55440), 96)
MISSING = ProgramError(["nft"], 1, "Error: No such file or directory\nlist table inet netplay")
REFUSED = ProgramError(["nft"], 1, "/dev/stdin:4:1-7: Error: Could not process rule: Operation not supported\nmore")


def listing(*, counters: bool = True, left: int | None = 89, packets: int = 0, extra: tuple[object, ...] = ()) -> str:
    """Return what nft 1.0.6 prints of the ruleset above (its rules left out)."""
    counted = {"stmt": [{"counter": None}]} if counters else {}
    counter = {"counter": {"packets": packets, "bytes": 0}} if counters else {}
    timed = {} if left is None else {"timeout": 90, "expires": left}
    where = {"family": "inet", "table": "netplay"}
    elements = {
        "host4": [{"elem": {"val": "1.2.3.4", **timed, **counter}}] if left or left is None else [],
        "net4": [{"elem": {"val": {"prefix": {"addr": "10.0.0.0", "len": 8}}, **counter}}],
    }
    entries: list[object] = [{"metainfo": {"version": "1.0.6"}}, {"table": {"family": "inet", "name": "netplay"}}]
    for handle, name in enumerate(ruleset.SETS):
        kind = {"type": f"ipv{name[-1]}_addr", "flags": ["timeout" if name.startswith("host") else "interval"]}
        held = {"elem": elements[name]} if name in elements else {}
        entries.append({"set": {**where, "name": name, "handle": handle, **kind, **held, **counted}})
    entries += [{"set": {**where, "name": f"many{n}", "type": f"ipv{n}_addr", "size": 65535}} for n in (4, 6)]
    entries += [{"counter": {**where, "name": name, "packets": packets, "bytes": 5}} for name in ruleset.COUNTERS]
    hook = {"type": "filter", "hook": "input", "prio": -10, "policy": "accept"}
    entries += [
        {"chain": {**where, "name": name, **(hook if name == "input" else {})}} for name in nftables_text.CHAINS
    ]
    return json.dumps({"nftables": [*entries, *extra]})


def test_every_rule_stands_on_a_line_of_its_own() -> None:
    text = nftables_text.frame(WALL)
    assert "\t\tmeta l4proto { tcp, udp } th dport { 55435, 55440 } jump gate\n" in text
    opened = [line for line in text.splitlines() if line.endswith("{")]
    assert text.count("}\n") == len(opened), "no block opens and ends on one line"
    assert text.count(";") == 2, "but for the line of the hook there is no second statement on a line"


def test_a_refreshed_time_is_added_deleted_and_added() -> None:
    network = ipaddress.ip_network("1.2.3.4/32")
    text = nftables_text.elements({"host4": ruleset.Difference({}, {}, {network: 3723.5})})
    assert text.splitlines() == [
        "add element inet netplay host4 { 1.2.3.4 }",
        "delete element inet netplay host4 { 1.2.3.4 }",
        "add element inet netplay host4 { 1.2.3.4 timeout 1h2m3s500ms }",
    ]


def test_thousands_of_elements_are_several_commands() -> None:
    many = {ipaddress.ip_network(f"10.0.{number // 256}.{number % 256}/32"): None for number in range(450)}
    lines = nftables_text.elements({"host4": ruleset.Difference(many, {}, {})}).splitlines()
    assert [line.count(",") + 1 for line in lines] == [200, 200, 50]


def test_a_listing_is_read() -> None:
    standing = nftables_text.parse(listing(packets=7))
    assert standing.shape
    assert standing.sets["host4"] == {ipaddress.ip_network("1.2.3.4/32"): 89.0}
    assert standing.sets["net4"] == {ipaddress.ip_network("10.0.0.0/8"): None}
    assert standing.seen[ipaddress.ip_network("1.2.3.4/32")] == 7
    assert standing.packets == dict.fromkeys(ruleset.COUNTERS, 7)


def test_ranges_and_bare_values_are_read_too() -> None:
    data = json.loads(listing())
    held = {"host4": ["1.2.3.4"], "host6": ["2001:db8:1:2::"], "net4": [{"range": ["10.0.0.0", "10.0.0.2"]}]}
    for entry in data["nftables"]:
        if entry.get("set", {}).get("name") in held:
            entry["set"]["elem"] = held[entry["set"]["name"]]
    standing = nftables_text.parse(json.dumps(data))
    assert [str(network) for network in standing.sets["host6"]] == ["2001:db8:1:2::/64"]
    assert [str(network) for network in standing.sets["net4"]] == ["10.0.0.0/31", "10.0.0.2/32"]


def test_counts_times_and_handles_are_no_change_of_the_rules_and_anything_else_is() -> None:
    frame = nftables_text.parse(listing()).frame
    assert nftables_text.parse(listing(left=5, packets=9)).frame == frame
    rule = {"rule": {"family": "inet", "table": "netplay", "chain": "input", "handle": 9, "expr": [{"drop": None}]}}
    assert nftables_text.parse(listing(extra=(rule,))).frame != frame


@pytest.mark.parametrize(
    "extra",
    [
        {"set": {"family": "inet", "table": "netplay", "name": "other", "type": "ipv4_addr"}},
        {"chain": {"family": "inet", "table": "netplay", "name": "other"}},
        {"chain": {"family": "inet", "table": "netplay", "name": "gate", "hook": "input"}},
    ],
)
def test_a_table_with_other_sets_or_chains_is_not_filled_in_place(extra: object) -> None:
    assert not nftables_text.parse(listing(extra=(extra,))).shape


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"nftables": [[]]}', '{"nftables": [{}]}'])
def test_what_is_no_listing_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"Expecting value|not a listing"):
        nftables_text.parse(text)


def programs(*answers: object, loads: object = "") -> ScriptedPrograms:
    """Return an nft that lists these things one after the other, the last for ever."""
    left = list(answers)

    def listed(*_: object) -> str:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, ProgramError):
            raise answer
        return str(answer)

    return ScriptedPrograms({"nft -j list table inet netplay": listed, "nft -f -": loads, "nft -c -f -": loads})


def test_a_wall_that_does_not_stand_is_put_up() -> None:
    nftables = Nftables(programs(MISSING, listing()))
    done, applied = enforce(nftables, WALL, None, lambda: NOW)
    assert done.missing
    assert sorted(done.added) == ["1.2.3.4/32", "10.0.0.0/8"]
    assert applied is not None
    assert (applied.backend, applied.ports, applied.plain) == ("nftables", [55435, 55440], False)
    again, _ = enforce(Nftables(programs(listing())), WALL, applied, lambda: NOW)
    assert not again.changed


def test_only_looking_loads_nothing() -> None:
    scripted = programs(MISSING)
    done, applied = enforce(Nftables(scripted), WALL, None, lambda: NOW, check_only=True)
    assert done.changed
    assert applied is None
    assert [line for line in scripted.ran if "-f" in line] == ["nft -c -f -"]


def test_a_kernel_that_cannot_count_elements_gets_rules_without() -> None:
    texts: list[str] = []

    def loads(_: object, text: str) -> str:
        texts.append(text)
        if "\t\tcounter\n" in text:
            raise REFUSED
        return ""

    nftables = Nftables(programs(MISSING, listing(counters=False), loads=loads))
    done, applied = enforce(nftables, WALL, None, lambda: NOW)
    assert done.changed
    assert applied is not None
    assert applied.plain
    assert len(texts) == 2
    again, _ = enforce(Nftables(programs(listing(counters=False)), plain=True), WALL, applied, lambda: NOW)
    assert not again.changed


def test_what_nft_refuses_changes_nothing_and_is_said_in_its_words() -> None:
    with pytest.raises(FilterError, match=r"nothing has changed: .*Operation not supported") as caught:
        enforce(Nftables(programs(MISSING, loads=REFUSED)), WALL, None, lambda: NOW)
    assert "more" not in str(caught.value)


def test_rules_that_do_not_show_afterwards_are_an_error() -> None:
    with pytest.raises(FilterError, match="does not show them"):
        enforce(Nftables(programs(MISSING, MISSING)), WALL, None, lambda: NOW)


def test_an_nft_that_fails_otherwise_is_not_taken_for_an_empty_one() -> None:
    with pytest.raises(FilterError, match="Operation not permitted"):
        Nftables(programs(ProgramError(["nft"], 1, "Operation not permitted (you must be root)"))).standing()
