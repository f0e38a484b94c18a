"""Filter `wall`: from friends and their addresses to the elements of the wall's four sets."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

SETS: Final = ("host4", "host6", "net4", "net6")


def wall(friends: Iterable[Mapping[str, Any]]) -> dict[str, list[dict[str, str]]]:
    """Sort the addresses of friends ({name, addresses}) into the sets host4, host6, net4 and net6.

    Each element is {value, names}: what nft gets, and whom it lets in. Elements are in the order of their addresses,
    so that a change of one friend is a change of one line. Raises ValueError for what is not an address or prefix.
    """
    people: dict[Network, list[str]] = {}
    for friend in friends:
        for text in friend["addresses"]:
            names = people.setdefault(ipaddress.ip_network(text), [])
            name = _printable(str(friend["name"]))
            if name not in names:
                names.append(name)
    sets: dict[str, list[dict[str, str]]] = {name: [] for name in SETS}
    for network, names in _without_nested(people).items():
        single = network.prefixlen == network.max_prefixlen
        value = str(network.network_address if single else network)
        kind = ("host" if single else "net") + str(network.version)
        sets[kind].append({"value": value, "names": ", ".join(names)})
    return sets


def _without_nested(people: Mapping[Network, list[str]]) -> dict[Network, list[str]]:
    """Drop each prefix that lies in a wider one: nft refuses overlapping intervals in a set.

    Single addresses stay: they are in sets of their own, and there they outlive the removal of the prefix.
    """
    kept: dict[Network, list[str]] = {}
    last: Network | None = None
    for network in sorted(people, key=lambda item: (item.version, int(item.network_address), item.prefixlen)):
        single = network.prefixlen == network.max_prefixlen
        # Two prefixes nest or are disjoint, and a wider one sorts first, so only the last one kept can hold this one.
        if not single and last and last.version == network.version and network.network_address in last:
            kept[last] += [name for name in people[network] if name not in kept[last]]
            continue
        kept[network] = list(people[network])
        last = last if single else network
    return kept


def _printable(name: str) -> str:
    """Return the name as one line: it ends up in a comment of a file that root's nft reads."""
    return "".join(character if character.isprintable() else " " for character in name)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters of this file by their names."""
        return {"wall": wall}
