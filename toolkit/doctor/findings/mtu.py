"""Whether full packets get through to the relay and back: a savestate is many of them, an input is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.doctor import carry
from toolkit.doctor.finding import Finding, fine, trouble

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.doctor.case import Case

# What IPv4 and TCP put before a segment, timestamps included (bytes).
HEADERS = 52


def look(case: Case) -> Iterator[Finding]:
    """Say whether what is large arrives, and where it does not, what would."""
    found = case.carried
    if found is None:
        return
    size = f"{carry.SIZE // 1024} KiB"
    if found.whole:
        yield fine(f"{size} go to the relay and come back", "a savestate gets through")
        return
    lost = "from the relay to this machine" if found.up else "from this machine to the relay"
    evidence = f"of {size}, not all arrived {lost} within {carry.SECONDS:.0f} s; small messages do"
    if found.segment is None:
        yield trouble(
            f"small messages get through to {case.target.typed}, and {size} do not: no savestate would",
            evidence,
            "Is the line full, or cut off now and then? Try again on a cable, without a VPN.",
        )
        return
    packet = found.segment + HEADERS
    owner = f"max_segment = {found.segment} under [listen] in relay.toml, then: invoke deploy{case.target.option}"
    yield trouble(
        f"packets larger than about {packet} bytes are lost {lost}: inputs get through and no savestate does",
        f"{evidence}; with segments of {found.segment} bytes all arrive: a hop with a small MTU, whose word is lost",
        f"On this machine: ip link set dev DEVICE mtu {packet} (DEVICE: ip route get {case.open[0].address}). "
        "Or in the router: the same MTU for the line (PPPoE, VPN, mobile), or MSS clamping, and let ICMP through.\n"
        f"For everybody, the relay's owner: {owner}",
    )
