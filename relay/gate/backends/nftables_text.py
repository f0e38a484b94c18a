"""nftables: the text that makes the ruleset, and what `nft -j list table` says of it. Pure.

Everything lives in one table, `inet netplay`. The one chain with a hook holds a rule, or two, and these leave out
every packet that is not for the relay's ports: whatever the sets hold, no other port can be shut off.
One rule stands on a line: nft 1.0.6 reads no chain written on one.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from relay.addresses import Network
from relay.gate.backends.lacking import CAP, LOG
from relay.gate.policy.ruleset import (
    COUNTERS,
    HOST_LENGTH,
    LOG_PREFIX,
    SETS,
    Difference,
    Ruleset,
    Standing,
    parse_network,
)

TABLE = "inet netplay"
CHAINS = ("input", "gate", "friend4", "friend6")
PER_LINE = 200
# One IPv6 household: what host6 and the cap look at.
HOUSEHOLD = "ip6 saddr & ffff:ffff:ffff:ffff::"
_TYPES = {"host4": "ipv4_addr", "host6": "ipv6_addr", "net4": "ipv4_addr", "net6": "ipv6_addr"}
_FLAGS = {"host4": "timeout", "host6": "timeout", "net4": "interval", "net6": "interval"}
_CAPS = {"many4": "ipv4_addr", "many6": "ipv6_addr"}
# What a table may hold, as libnftables-json(5) names it.
_KINDS = (
    "table", "chain", "rule", "set", "counter", "map", "flowtable", "quota", "limit", "ct helper", "ct timeout",
    "ct expectation", "secmark", "synproxy", "tunnel",
)  # fmt: skip
# What `frame` declares of each, beside the name.
_DECLARED = {"chain": ("type", "hook", "prio", "policy", "dev"), "set": ("type", "timeout")}
# Statements of ours that say no more than their name, or the name of an object.
_BARE = ("accept", "drop", "counter")
# All other words of our rules.
_WORDS = (
    "match", "op", "left", "right", "meta", "key", "payload", "protocol", "field", "ct", "jump", "goto", "target", "&",
    "set", "elem", "stmt", "limit", "rate", "burst", "per", "inv", "log", "prefix", "val", "ct count",
)  # fmt: skip


def frame(wall: Ruleset, *, element_counters: bool = True, without: Collection[str] = ()) -> str:
    """Return the declarations and rules without elements. Loading it again keeps elements, timeouts and counters.

    element_counters: count what each element lets in, which kernels before 5.7 cannot. without: of
    relay.gate.backends.lacking.OPTIONAL what is left out.
    """
    return "\n".join(
        [
            f"table {TABLE} {{",
            *_declarations(element_counters, without),
            "}",
            *(f"flush chain {TABLE} {chain}" for chain in CHAINS),
            f"table {TABLE} {{",
            *(f"\t{line}" for line in _rules(wall, without)),
            "}",
            "",
        ]
    )


def _declarations(element_counters: bool, without: Collection[str]) -> Iterator[str]:
    for name in SETS:
        yield f"\tset {name} {{"
        yield f"\t\ttype {_TYPES[name]}"
        yield f"\t\tflags {_FLAGS[name]}"
        if element_counters:
            yield "\t\tcounter"
        yield "\t}"
    for name, kind in _CAPS.items() if CAP not in without else ():
        yield from (f"\tset {name} {{", f"\t\ttype {kind}", "\t\tsize 65535", "\t\tflags dynamic", "\t}")
    for name in COUNTERS:
        yield from (f"\tcounter {name} {{", "\t}")
    for chain in CHAINS:
        yield f"\tchain {chain} {{"
        if chain == "input":
            yield "\t\ttype filter hook input priority filter - 10; policy accept;"
        yield "\t}"


def _rules(wall: Ruleset, without: Collection[str]) -> Iterator[str]:
    ours = [f"meta l4proto {{ tcp, udp }} th dport {{ {', '.join(map(str, wall.ports))} }} jump gate"]
    if wall.datagrams:
        ours.append(f"udp dport {{ {', '.join(map(str, wall.datagrams))} }} jump gate")
    log = f'limit rate 6/minute burst 10 packets log prefix "{LOG_PREFIX}"'
    yield from _chain("input", ours)
    yield from _chain(
        "gate",
        [
            # A game that runs goes on, also when its player's entry is gone.
            "ct state established,related counter name established accept",
            'iifname "lo" accept',
            "ip saddr @host4 goto friend4",
            "ip saddr @net4 goto friend4",
            f"{HOUSEHOLD} @host6 goto friend6",
            "ip6 saddr @net6 goto friend6",
            *([] if LOG in without else [log]),
            "counter name refused drop",
        ],
    )
    for chain, capped, source in (("friend4", "many4", "ip saddr"), ("friend6", "many6", HOUSEHOLD)):
        cap = f"add @{capped} {{ {source} ct count over {wall.most} }} counter name capped drop"
        yield from _chain(chain, [*([] if CAP in without else [cap]), "counter name friends accept"])


def _chain(name: str, rules: Iterable[str]) -> Iterator[str]:
    yield f"chain {name} {{"
    yield from (f"\t{rule}" for rule in rules)
    yield "}"


def elements(changes: Mapping[str, Difference]) -> str:
    """Return the commands that change the elements of the sets.

    A time is refreshed by add, delete, add, which is what every nft understands. What is removed is added first: it may
    have ended since it was listed, and to delete what is not there would fail the whole transaction.
    """
    lines: list[str] = []
    for name, change in changes.items():
        outdated = [*change.refresh, *change.remove]
        if name.startswith("host"):
            lines += _commands("add", name, outdated, {})
        lines += _commands("delete", name, outdated, {})
        lines += _commands("add", name, [*change.refresh, *change.add], {**change.refresh, **change.add})
    return "".join(f"{line}\n" for line in lines)


def _commands(verb: str, name: str, networks: list[Network], times: Mapping[Network, float | None]) -> Iterator[str]:
    for start in range(0, len(networks), PER_LINE):
        values = ", ".join(
            _element(name, network, times.get(network)) for network in networks[start : start + PER_LINE]
        )
        yield f"{verb} element {TABLE} {name} {{ {values} }}"


def _element(name: str, network: Network, left: float | None) -> str:
    value = str(network.network_address if name.startswith("host") else network)
    return value if left is None else f"{value} timeout {_time(math.ceil(left * 1000))}"


def _time(milliseconds: int) -> str:
    """Return a length of time as nft reads it: it takes no large number of one unit alone."""
    parts = []
    for unit, size in (("d", 86400000), ("h", 3600000), ("m", 60000), ("s", 1000), ("ms", 1)):
        count, milliseconds = divmod(milliseconds, size)
        parts += [f"{count}{unit}"] if count else []
    return "".join(parts)


def removal() -> str:
    """Return the commands after which nothing of ours is there, whether there was something or not."""
    return f"table {TABLE} {{\n}}\ndelete table {TABLE}\n"


def parse(text: str) -> Standing:
    """Read what `nft -j list table inet netplay` printed. Raises ValueError for what is not that.

    Each release of nft prints more than the one before, in another order too: only what is known here counts.
    """
    try:
        items = list(_items(json.loads(text)["nftables"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a listing of nft: {error!r}") from error
    packets = {content["name"]: int(content["packets"]) for kind, content in items if kind == "counter"}
    try:
        if _is_ours(items):
            sets, seen = _sets(items)
            return Standing(_digest(items), True, sets, packets, seen)
    except (ValueError, KeyError, TypeError):
        # An element none of ours is like: somebody put it in by hand, or an older version of this table stands.
        pass
    return Standing(_digest(items), False, {name: {} for name in SETS}, packets, {})


def _items(listed: Iterable[Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield kind and content of everything a table may hold; kinds of things that are not known here are left out."""
    for item in listed:
        if not isinstance(item, dict) or not item:
            raise ValueError(f"not a listing of nft: {item!r}")
        yield from ((kind, item[kind]) for kind in _KINDS if kind in item)


def _sets(items: list[tuple[str, Any]]) -> tuple[dict[str, dict[Network, float | None]], dict[Network, int]]:
    sets: dict[str, dict[Network, float | None]] = {name: {} for name in SETS}
    seen: dict[Network, int] = {}
    for kind, content in items:
        if kind == "set" and content["name"] in SETS:
            for network, left, count in _listed(content):
                sets[content["name"]][network] = left
                seen[network] = count
    return sets, seen


def _listed(content: dict[str, Any]) -> Iterator[tuple[Network, float | None, int]]:
    for element in _several(content.get("elem")):
        details = element["elem"] if isinstance(element, dict) and "elem" in element else {"val": element}
        left = float(details["expires"]) if "expires" in details else None
        count = int((details.get("counter") or {}).get("packets", 0))
        for network in _networks(content["name"], details["val"]):
            yield network, left, count


def _networks(name: str, value: Any) -> Iterator[Network]:
    if isinstance(value, str):
        length = HOST_LENGTH[int(name[-1])] if name.startswith("host") else None
        yield parse_network(value, length)
    elif "prefix" in value:
        yield parse_network(value["prefix"]["addr"], value["prefix"]["len"])
    else:
        first, last = (ipaddress.ip_address(end) for end in value["range"])
        yield from ipaddress.summarize_address_range(first, last)


def _digest(items: list[tuple[str, Any]]) -> str:
    """Return a digest of what a listing says of our rules: what `frame` declares, and nothing that a release adds.

    Nor does it hold what changes by itself (handles, elements, counts). Rules of a chain stay in their order; in which
    order chains, sets and counters are listed is the release's own affair.
    """
    rules: dict[str, list[Any]] = {}
    for content in (content for kind, content in items if kind == "rule"):
        rules.setdefault(content["chain"], []).append([_statement(part) for part in _several(content.get("expr"))])
    things = sorted(json.dumps(_declared(kind, content), sort_keys=True) for kind, content in items if kind != "rule")
    return hashlib.sha256(json.dumps([things, rules], sort_keys=True).encode()).hexdigest()


def _declared(kind: str, content: dict[str, Any]) -> list[Any]:
    """Return what tells a table, chain, set or counter from another one of its kind."""
    said = {word: content[word] for word in ("name", *_DECLARED.get(kind, ())) if word in content}
    if kind == "set":
        said |= {"flags": _flags(content), "stmt": [_statement(one) for one in _several(content.get("stmt"))]}
    if kind == "table":
        # A table that sleeps keeps nobody out.
        said["flags"] = [flag for flag in _several(content.get("flags")) if flag == "dormant"]
    return [kind, said]


def _statement(part: Any) -> Any:
    """Return what a statement of a rule says in words that ours have; one of others keeps its name."""
    if isinstance(part, dict) and (word := next((word for word in _BARE if word in part), None)):
        return {word: part[word] if isinstance(part[word], str) else None}
    return _known(part)


def _known(value: Any) -> Any:
    """Return an expression without the words that a release adds to those we use; what has none of ours keeps its own.

    A list of one is that one, and ports, states and the like have no order: releases differ in this.
    """
    if isinstance(value, list):
        found = [_known(one) for one in value]
        if all(isinstance(one, str | int) for one in found):
            found.sort(key=str)
        return found[0] if len(found) == 1 else found
    if not isinstance(value, dict):
        return value
    return {word: _known(value[word]) for word in value if word in _WORDS} or sorted(value)


def _several(value: Any) -> list[Any]:
    """Return a list of what some releases print alone where there is one, and not at all where there is none."""
    return value if isinstance(value, list) else [] if value is None else [value]


def _flags(content: dict[str, Any]) -> list[str]:
    """Return what kind of set it is. Whether rules add to it (dynamic) is printed by newer releases alone."""
    return sorted({"constant", "interval", "timeout"} & set(_several(content.get("flags"))))


def _is_ours(items: list[tuple[str, Any]]) -> bool:
    """Tell whether sets and chains are those of `frame`: only then can it be loaded in place."""
    sets = {content["name"]: content for kind, content in items if kind == "set"}
    chains = {content["name"]: content for kind, content in items if kind == "chain"}
    if set(sets) not in ({*SETS, *_CAPS}, {*SETS}) or set(chains) != set(CHAINS):
        return False
    typed = all(content.get("type") == {**_TYPES, **_CAPS}[name] for name, content in sets.items())
    flagged = all(_flags(sets[name]) == [flag] for name, flag in _FLAGS.items())
    hooked = [name for name, content in chains.items() if content.get("hook")] == ["input"]
    counting = [bool(sets[name].get("stmt")) for name in SETS]
    return typed and flagged and hooked and chains["input"]["hook"] == "input" and len(set(counting)) == 1
