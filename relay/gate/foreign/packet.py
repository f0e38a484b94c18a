"""The packet that a question is about: the first of a connection to the relay, or a datagram, as filters see it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from relay.addresses import Network

# What a packet has in a field, as far as anybody can know it before it has come.
FLAGS = frozenset({"syn"})


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet to a port.

    protocol: "tcp" or "udp". source: where it comes from (None: anybody). interface: that it comes in by ("" where that
    is not known: any but lo). own: the host's addresses of that family, one of which it is for.
    """

    port: int
    protocol: str = "tcp"
    source: Network | None = None
    interface: str = ""
    own: tuple[Network, ...] = ()

    @property
    def version(self) -> int:
        """4 or 6; 0 where that is not known."""
        return self.source.version if self.source else 0

    def comes_from(self, other: Network) -> bool | None:
        """Tell whether it comes from a network; None where that is not known, or only a part of its source is there."""
        return None if self.source is None else within(self.source, other)

    def is_for(self, other: Network) -> bool | None:
        """Tell whether it is for an address in a network; None where only some of the host's addresses are there."""
        found = {within(one, other) for one in self.own}
        return found.pop() if len(found) == 1 else None

    def comes_by(self, pattern: str, wildcard: str) -> bool | None:
        """Tell whether it comes in by an interface; wildcard: the sign at the end for all that begin so."""
        if not self.interface:
            return False if pattern == "lo" else None
        if pattern.endswith(wildcard):
            return self.interface.startswith(pattern[: -len(wildcard)])
        return self.interface == pattern


def within(network: Network, other: Network) -> bool | None:
    """Tell whether a network lies in another one; None where only a part of it does."""
    if network.version != other.version:
        return False
    # Of two networks one lies in the other, or they have nothing in common. By numbers: a list of what somebody blocks
    # has tens of thousands of them.
    shift = network.max_prefixlen - min(network.prefixlen, other.prefixlen)
    if int(network.network_address) >> shift != int(other.network_address) >> shift:
        return False
    return True if network.prefixlen >= other.prefixlen else None


def span(first: str, last: str) -> list[Network]:
    """Return the networks from one address to another. Raises ValueError."""
    return [*ipaddress.summarize_address_range(ipaddress.ip_address(first), ipaddress.ip_address(last))]
