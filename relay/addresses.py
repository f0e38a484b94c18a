"""Addresses and networks, as everything here passes them on."""

from __future__ import annotations

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def canonical(address: str) -> Address:
    """Return the address of a peer, an IPv4 client of a dual-stack listener as IPv4. Raises ValueError."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        return parsed.ipv4_mapped
    return parsed


Network = ipaddress.IPv4Network | ipaddress.IPv6Network
