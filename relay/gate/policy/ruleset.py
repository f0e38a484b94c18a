"""The ruleset: what a packet filter shall hold, what it holds, and the difference; the same words for every backend.

Single addresses are in host4 and host6 and end by a timeout of the filter's own. A person's IPv6 entry is a /64, and
host6 holds such /64s. Every other prefix is in net4 and net6, merged where prefixes overlap; these have no timeout
(a narrower entry's longer time would be lost in a wider one), so whoever plans plans again at the next expiry.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from relay.addresses import Network
from relay.gate.policy.plan import Plan, order

SETS = ("host4", "host6", "net4", "net6")
HOST_LENGTH = {4: 32, 6: 64}
LOG_PREFIX = "netplay refused: "
# What is counted: packets of running games, first packets of friends, of friends over the cap, of everybody else.
COUNTERS = ("established", "friends", "capped", "refused")
# Filters tell remaining times in whole seconds.
TOLERANCE = 2.0

Elements = Mapping[Network, float | None]


@dataclass(frozen=True, slots=True)
class Ruleset:
    """What the filter shall hold: ports (TCP and UDP), connections one source may have, and the sets.

    Each set maps a network to the moment its entry ends (seconds since 1970), None for good. datagrams: ports that are
    the relay's for UDP alone; what is there of TCP is somebody else's.
    """

    ports: tuple[int, ...]
    most: int
    sets: Mapping[str, Elements]
    datagrams: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """What the filter holds.

    frame: a digest of all rules, without elements and counts. shape: whether chains and sets are those we make, so that
    they can be filled in place. Each set maps a network to the seconds that remain, None for good. packets: by counter.
    seen: packets that an element let in, where the filter counts them.
    """

    frame: str
    shape: bool
    sets: Mapping[str, Elements]
    packets: Mapping[str, int] = field(default_factory=dict)
    seen: Mapping[Network, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Difference:
    """What has to happen to the elements of one set: values are the seconds that remain, None for good."""

    add: dict[Network, float | None]
    remove: dict[Network, float | None]
    refresh: dict[Network, float | None]

    def __bool__(self) -> bool:
        return bool(self.add or self.remove or self.refresh)


def build(plan: Plan, ports: tuple[int, ...], most: int, datagrams: tuple[int, ...] = ()) -> Ruleset:
    """Return the ruleset for a plan. ports must not be empty; datagrams: more of them, for UDP alone."""
    sets: dict[str, dict[Network, float | None]] = {name: {} for name in SETS}
    prefixes: dict[int, list[Network]] = {4: [], 6: []}
    for entry in plan.entries:
        if entry.network.prefixlen == HOST_LENGTH[entry.network.version]:
            sets[f"host{entry.network.version}"][entry.network] = entry.until
        else:
            prefixes[entry.network.version].append(entry.network)
    for version, networks in prefixes.items():
        sets[f"net{version}"] = dict.fromkeys(_merged(networks))
    return Ruleset(tuple(sorted(set(ports))), most, sets, tuple(sorted(set(datagrams) - set(ports))))


def _merged(networks: list[Network]) -> list[Network]:
    """Return networks without those inside others: filters refuse overlapping intervals."""
    kept: list[Network] = []
    for network in sorted(networks, key=order):
        # Two prefixes nest or are disjoint, and a wider one sorts first, so only the last one can hold this one.
        if not kept or network.network_address not in kept[-1]:
            kept.append(network)
    return kept


def set_of(network: Network) -> str:
    """Return the name of the set a network belongs to."""
    kind = "host" if network.prefixlen == HOST_LENGTH[network.version] else "net"
    return f"{kind}{network.version}"


def differences(
    wall: Ruleset, sets: Mapping[str, Elements], now: float, longest: float = float("inf")
) -> dict[str, Difference]:
    """Return for each set what has to change; now in seconds since 1970. Nothing there: an empty Difference.

    longest is the longest timeout the filter knows, in seconds; a longer one is cut, and refreshed in time.
    """
    found = {}
    for name in SETS:
        wanted = {network: _remaining(until, now, longest) for network, until in wall.sets[name].items()}
        there = sets.get(name, {})
        add = {network: left for network, left in wanted.items() if network not in there}
        remove = {network: left for network, left in there.items() if network not in wanted}
        refresh = {
            network: left
            for network, left in wanted.items()
            if network in there and not _same(left, there[network], longest)
        }
        found[name] = Difference(add, remove, refresh)
    return found


def _remaining(until: float | None, now: float, longest: float) -> float | None:
    return None if until is None else min(max(until - now, 0.001), longest)


def _same(wanted: float | None, there: float | None, longest: float) -> bool:
    if wanted is None or there is None:
        return wanted is there
    # A time that was cut is due again when half of it is over.
    return abs(wanted - there) <= TOLERANCE or (wanted >= longest and there >= longest / 2)


def parse_network(text: str, length: int | None = None) -> Network:
    """Return the network a filter printed, with the prefix length given where it prints addresses alone."""
    return ipaddress.ip_network(text if length is None else f"{text}/{length}")
