"""ipset: the text that makes and fills the sets of friends for iptables, and what `ipset save` says of them. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping

from relay.addresses import Network
from relay.gate.policy.ruleset import SETS, Difference, parse_network, set_of

SET_NAMES = {4: "netplay4", 6: "netplay6"}
FAMILIES = {4: "inet", 6: "inet6"}
# The longest timeout, in seconds.
LONGEST = 2147483
MOST_ELEMENTS = 1048576

# Behind the element stand pairs of a word and a number, and with other releases more than those we read.
_ELEMENT = re.compile(r"^add (\S+) (\S+)(.*)$", re.MULTILINE)
_TIMEOUT = re.compile(r" timeout (\d+)(?: |$)")
_PACKETS = re.compile(r" packets (\d+)(?: |$)")


def create() -> str:
    """Return the text for `ipset restore -exist` that makes the sets, or leaves those there are."""
    return "".join(
        f"create {SET_NAMES[version]} hash:net family {family} timeout 0 counters maxelem {MOST_ELEMENTS}\n"
        for version, family in FAMILIES.items()
    )


def elements(changes: Mapping[str, Difference]) -> str:
    """Return the text for `ipset restore -exist` that changes the elements: with -exist, add refreshes a time."""
    lines = []
    for name, change in changes.items():
        target = SET_NAMES[int(name[-1])]
        lines += [f"del {target} {network}" for network in change.remove]
        for network, left in {**change.refresh, **change.add}.items():
            lines.append(f"add {target} {network} timeout {_seconds(left)}")
    return "".join(f"{line}\n" for line in lines)


def _seconds(left: float | None) -> int:
    return 0 if left is None else min(max(1, math.ceil(left)), LONGEST)


def parse(text: str) -> dict[str, dict[Network, float | None]]:
    """Read what `ipset save` printed: the seconds that remain for each network, None for good."""
    return by_set(members(text))


def members(sets: str) -> Iterator[tuple[Network, float | None, int]]:
    """Yield what is in our sets: the network, the seconds that remain (None: for good), packets let in by it."""
    for _, value, left, count in _elements(sets):
        # Timeout 0: for good.
        yield parse_network(value), float(left) or None, count


def _elements(sets: str) -> Iterator[tuple[str, str, int, int]]:
    """Yield set, value, timeout and packets of each element of ours; one that is an exception lets nobody in."""
    for name, value, more in _ELEMENT.findall(sets):
        if name in SET_NAMES.values() and "nomatch" not in more.split():
            left, count = _TIMEOUT.search(more), _PACKETS.search(more)
            yield name, value, int(left[1]) if left else 0, int(count[1]) if count else 0


def by_set(listed: Iterable[tuple[Network, float | None, int]]) -> dict[str, dict[Network, float | None]]:
    """Return networks and the seconds that remain, by the sets of a ruleset."""
    found: dict[str, dict[Network, float | None]] = {name: {} for name in SETS}
    for network, left, _ in listed:
        found[set_of(network)][network] = left
    return found


def replay(text: str) -> str:
    """Return the text for `ipset restore -exist` that brings back what `ipset save` printed, and no more."""
    added = "".join(f"add {name} {value} timeout {left}\n" for name, value, left, _ in _elements(text))
    return create() + "".join(f"flush {name}\n" for name in SET_NAMES.values()) + added
