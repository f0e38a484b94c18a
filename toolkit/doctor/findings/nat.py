"""What stands between this network and the internet: nothing, a router, or a carrier's router that others share."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from toolkit.doctor.finding import Finding, fine, note, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relay.addresses import Address
    from toolkit.doctor.case import Case

CARRIER = ipaddress.ip_network("100.64.0.0/10")
# What routers have on their insides, and nobody on the internet (RFC 1918, RFC 3927).
INSIDES = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16")))
RELAYED = "Playing through the relay works all the same; hosting without one would not."
SHARED = (
    "Everybody at that address gets as far as the relay: set a password for the room in RetroArch. It changes, too: "
    "the owner may let you in by a DNS name (invoke friends.add NAME --dns ...)."
)


def look(case: Case) -> Iterator[Finding]:
    """Compare this machine's address, the router's and the one the relay sees."""
    local = _address(case.local)
    seen = _address(case.talk.seen if case.talk else None)
    outside = _address(case.router.external if case.router else None)
    if local is None or local.is_loopback or local.version == 6:
        return
    addresses = f"here {local}" + (f", router outside {outside}" if outside else "")
    addresses += f", seen by the relay as {seen}" if seen else ""
    if any(one is not None and one.version == 4 and one in CARRIER for one in (local, outside)):
        yield warning(
            "this network is behind a carrier's NAT (100.64.0.0/10): strangers have the same address outside",
            addresses,
            f"{RELAYED}\n{SHARED}",
        )
    elif outside and (_is_inside(outside) or (seen and seen.version == 4 and outside != seen)):
        yield warning(
            "this network is behind two routers (double NAT): what the router here has outside is not the internet",
            addresses,
            f"{RELAYED}\nTo have one router less, set the inner one to bridge or access point mode.",
        )
    elif seen and seen.version == 4 and seen != local:
        yield fine("this network is behind one router, as most are; the relay needs no more", addresses)
    elif seen:
        yield fine("nothing is between this machine and the relay", addresses)
    elif outside is None and _is_inside(local) and not _is_near(case):
        yield note("this machine is behind a router that does not say what it has outside", addresses)


def _is_near(case: Case) -> bool:
    """Tell whether the relay is in a private network too, where nothing need stand between."""
    found = [_address(text) for text in case.addresses or []]
    return any(one is not None and _is_inside(one) for one in found)


def _is_inside(address: Address) -> bool:
    return any(address in network for network in INSIDES)


def _address(text: str | None) -> Address | None:
    try:
        return ipaddress.ip_address(text) if text else None
    except ValueError:
        return None
