"""What is behind which interface, by the kernel's own tables of routes: one for each family (proc(5))."""

from __future__ import annotations

import ipaddress
import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

from relay.addresses import Network
from relay.gate.policy.plan import CARRIER_NAT

ROUTES = {4: Path("/proc/net/route"), 6: Path("/proc/net/ipv6_route")}
# The addresses of the host itself.
OWN = Path("/proc/net/fib_trie")
OWN6 = Path("/proc/net/if_inet6")
_REJECTS = 0x200
_OWN = re.compile(r"\|-- (\S+)\n\s+/32 host LOCAL")
_ANYWHERE4, _ANYWHERE6 = "00000000", "0" * 32


def uplinks(version: int) -> list[str]:
    """Return the interfaces of the default routes of a family, 4 or 6; none where the kernel tells of none."""
    lines = _lines(ROUTES[version])
    return list(dict.fromkeys(_defaults4(lines) if version == 4 else _defaults6(lines)))


def _defaults4(lines: list[list[str]]) -> Iterator[str]:
    """Yield from lines of: interface, destination, gateway, flags, three counts, mask."""
    yield from (fields[0] for fields in lines if len(fields) > 7 and fields[1] == fields[7] == _ANYWHERE4)


def _defaults6(lines: list[list[str]]) -> Iterator[str]:
    """Yield from lines of: destination, its length, source, its length, next hop, four numbers, interface.

    A host without a way out has a route to anywhere too: one that refuses, on lo.
    """
    yield from (
        fields[9] for fields in lines if len(fields) > 9 and fields[:2] == [_ANYWHERE6, "00"] and fields[9] != "lo"
    )


class Near:
    """The networks that a host is in, or has a way to that is not the one to the internet; read when first asked."""

    def __init__(self, tables: Mapping[int, Path] = ROUTES, own: Path = OWN) -> None:
        self._tables = tables
        self._own = own
        self._known: dict[int, list[Network]] = {}

    def __call__(self, network: Network) -> bool:
        """Tell whether all of a network is near."""
        version = network.version
        if version not in self._known:
            self._known[version] = [*_ways(version, _lines(self._tables[version])), *self._carriers(version)]
        return any(
            network.network_address in one and one.prefixlen <= network.prefixlen for one in self._known[version]
        )

    def _carriers(self, version: int) -> Iterator[Network]:
        """Yield what carriers' customers share, where the host is one of them: a VPN routes it where none sees it."""
        if version == 4 and any(ipaddress.ip_address(text) in CARRIER_NAT for text in _OWN.findall(_text(self._own))):
            yield CARRIER_NAT


def interface(network: Network, tables: Mapping[int, Path] | None = None) -> str:
    """Return the interface that a network is behind, by the main table of routes; "" for several or none."""
    ways = _by_interface(network.version, _lines((tables or ROUTES)[network.version]))
    fits = [(way, name) for way, name in ways if network.network_address in way and way.prefixlen <= network.prefixlen]
    longest = max((way.prefixlen for way, _ in fits), default=0)
    names = {name for way, name in fits if way.prefixlen == longest}
    return names.pop() if len(names) == 1 else ""


def own(version: int) -> list[Network]:
    """Return the host's own addresses of a family, without loopback and link-local ones."""
    if version == 4:
        found: Iterator[Network] = (ipaddress.ip_network(text) for text in _OWN.findall(_text(OWN)))
    else:
        lines = (fields for fields in _lines(OWN6) if fields)
        found = (ipaddress.ip_network(bytes.fromhex(fields[0])) for fields in lines)
    return [one for one in dict.fromkeys(found) if not one.is_loopback and not one.is_link_local]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def _lines(path: Path) -> list[list[str]]:
    return [line.split() for line in _text(path).splitlines()]


def _ways(version: int, lines: list[list[str]]) -> Iterator[Network]:
    """Yield the destinations of a table of routes, but for everywhere and what is refused."""
    return (way for way, _ in _by_interface(version, lines) if way.prefixlen)


def _by_interface(version: int, lines: list[list[str]]) -> Iterator[tuple[Network, str]]:
    """Yield the destinations of a table of routes, but for what is refused, and the interface of each."""
    for fields in lines:
        try:
            if version == 4:
                # Numbers as the host has them in its memory.
                raw, mask, flags = struct.pack("=I", int(fields[1], 16)), int(fields[7], 16), int(fields[3], 16)
                way: Network = ipaddress.IPv4Network((raw, mask.bit_count()))
                name = fields[0]
            else:
                way, flags = ipaddress.IPv6Network((bytes.fromhex(fields[0]), int(fields[1], 16))), int(fields[8], 16)
                name = fields[9]
        except (IndexError, ValueError):
            continue  # the line with the names
        if not flags & _REJECTS:
            yield way, name
