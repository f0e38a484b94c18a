"""What other releases of nft list of the same table: more words, another order; and what is a change all the same."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from relay.gate.backends import nftables_text
from relay.gate.policy.ruleset import Standing

# What nft printed of one ruleset of ours.
LISTINGS = Path(__file__).parents[2] / "golden" / "listings"
RELEASES = sorted(path.stem for path in LISTINGS.glob("nft-*.json"))
# What no nft prints (yet); "count" is what 1.1.7 began to print of sets.
NEW: list[Any] = [1, 0, None, True, "text", [], ["a", 1], {"deep": {"er": [1]}}, {}]
WORDS = ["count", "zz", "aa new word"]


def listing(release: str = RELEASES[-1]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((LISTINGS / f"{release}.json").read_text())
    return found


def read(listed: dict[str, Any]) -> Standing:
    return nftables_text.parse(json.dumps(listed))


def everywhere(value: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """Return a listing in which each object was changed, the innermost first."""
    if isinstance(value, list):
        return [everywhere(one, change) for one in value]
    if isinstance(value, dict):
        return change({key: everywhere(one, change) for key, one in value.items()})
    return value


def test_every_release_lists_the_same_rules() -> None:
    assert len(RELEASES) > 1
    read_by = {release: read(listing(release)) for release in RELEASES}
    assert len({standing.frame for standing in read_by.values()}) == 1
    assert all(standing.shape for standing in read_by.values())


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("first", [True, False])
def test_a_word_that_a_release_adds_anywhere_changes_nothing(release: str, word: str, *, first: bool) -> None:
    before = read(listing(release))
    for new in NEW:
        new_one = {word: new}
        changed = everywhere(listing(release), lambda at, new_one=new_one: new_one | at if first else at | new_one)
        assert read(changed) == before, new


@pytest.mark.parametrize("new", NEW)
def test_a_kind_of_thing_that_a_release_adds_changes_nothing(new: Any) -> None:
    before, listed = read(listing()), listing()
    listed["nftables"].insert(2, {"novelty": new})
    listed["nftables"].append({"novelty": {"family": "inet", "table": "netplay", "name": "gate", "x": new}})
    assert read(listed) == before


def test_the_order_in_which_things_are_listed_changes_nothing() -> None:
    before, listed = read(listing()), listing()
    rules = [item for item in listed["nftables"] if "rule" in item]
    others = [item for item in listed["nftables"] if "rule" not in item]
    assert read({"nftables": [*rules, *reversed(others)]}) == before


def test_what_is_printed_alone_or_as_a_list_of_one_is_the_same() -> None:
    before = read(listing())

    def alone(at: dict[str, Any]) -> dict[str, Any]:
        return {key: one[0] if isinstance(one, list) and len(one) == 1 else one for key, one in at.items()}

    listed = listing()
    assert read({"nftables": [everywhere(item, alone) for item in listed["nftables"]]}) == before


def things(listed: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [item[kind] for item in listed["nftables"] if kind in item]


def lets_strangers_in(listed: dict[str, Any]) -> None:
    (rule,) = [rule for rule in things(listed, "rule") if rule["expr"][0] == {"counter": "refused"}]
    rule["expr"][1] = {"accept": None}


def does_not_drop(listed: dict[str, Any]) -> None:
    (rule,) = [rule for rule in things(listed, "rule") if rule["expr"][0] == {"counter": "refused"}]
    del rule["expr"][1]


def another_port(listed: dict[str, Any]) -> None:
    things(listed, "rule")[0]["expr"][1]["match"]["right"] = {"set": [55435, 22]}


def other_sources(listed: dict[str, Any]) -> None:
    (rule,) = [rule for rule in things(listed, "rule") if "@host4" in json.dumps(rule)]
    rule["expr"][0]["match"]["right"] = "@net4"


def the_other_way_round(listed: dict[str, Any]) -> None:
    (rule,) = [rule for rule in things(listed, "rule") if "@host4" in json.dumps(rule)]
    rule["expr"][0]["match"]["op"] = "!="


def another_statement(listed: dict[str, Any]) -> None:
    things(listed, "rule")[2]["expr"].insert(0, {"novelty": {"rate": 1}})


def another_match(listed: dict[str, Any]) -> None:
    match = {"op": "==", "left": {"meta": {"key": "hour"}}, "right": "12:00"}
    things(listed, "rule")[2]["expr"].insert(0, {"match": match})


def other_rules_order(listed: dict[str, Any]) -> None:
    rules = [place for place, item in enumerate(listed["nftables"]) if item.get("rule", {}).get("chain") == "gate"]
    items = listed["nftables"]
    items[rules[0]], items[rules[-1]] = items[rules[-1]], items[rules[0]]


def a_rule_less(listed: dict[str, Any]) -> None:
    listed["nftables"].remove(next(item for item in listed["nftables"] if "rule" in item))


def a_rule_more(listed: dict[str, Any]) -> None:
    where = {"family": "inet", "table": "netplay", "chain": "gate"}
    listed["nftables"].append({"rule": {**where, "expr": [{"novelty": None}]}})


def asleep(listed: dict[str, Any]) -> None:
    things(listed, "table")[0]["flags"] = ["dormant"]


def another_policy(listed: dict[str, Any]) -> None:
    things(listed, "chain")[0]["policy"] = "drop"


def another_priority(listed: dict[str, Any]) -> None:
    things(listed, "chain")[0]["prio"] = 5


def a_set_that_forgets(listed: dict[str, Any]) -> None:
    next(one for one in things(listed, "set") if one["name"] == "host4")["timeout"] = 60


def another_map(listed: dict[str, Any]) -> None:
    listed["nftables"].append({"map": {"family": "inet", "table": "netplay", "name": "theirs"}})


@pytest.mark.parametrize(
    "change",
    [
        lets_strangers_in, does_not_drop, another_port, other_sources, the_other_way_round, another_statement,
        another_match, other_rules_order, a_rule_less, a_rule_more, asleep, another_policy, another_priority,
        a_set_that_forgets, another_map,
    ],
    ids=lambda change: change.__name__,
)  # fmt: skip
@pytest.mark.parametrize("release", RELEASES)
def test_what_somebody_changes_in_our_table_is_seen(release: str, change: Callable[[dict[str, Any]], None]) -> None:
    before, listed = read(listing(release)), listing(release)
    change(listed)
    assert listed != listing(release)
    assert read(listed).frame != before.frame


@pytest.mark.parametrize(
    "elements", [[{"elem": {"val": {"novelty": 1}}}], [{"concat": [1, 2]}], ["*"], [{"elem": {"timeout": 5}}], [7]]
)
def test_elements_that_nobody_of_ours_wrote_are_written_anew(elements: list[Any]) -> None:
    listed = copy.deepcopy(listing())
    next(one for one in things(listed, "set") if one["name"] == "net4")["elem"] = elements
    standing = read(listed)
    assert not standing.shape
    assert not any(standing.sets.values())
