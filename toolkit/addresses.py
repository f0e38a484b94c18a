"""What the name of a relay stands for, as far as that changes what players are told."""

from __future__ import annotations

import ipaddress
import socket


def has_ipv4(address: str) -> bool:
    """Tell whether a name or an address can be reached by IPv4; of a name that is not known here it is taken to be."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).version == 4
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(address, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return True
    return any(entry[0] == socket.AF_INET for entry in found)
