"""An IPv6 address in DNS that leads nowhere: every friend with IPv6 waits for it before IPv4 is tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.doctor.finding import Finding, note, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.doctor.case import Case


def look(case: Case) -> Iterator[Finding]:
    """Say what the relay's addresses that did not answer cost those who use them."""
    if not case.open:
        return
    for one in case.shut:
        if one.word == "no-way":
            yield note(
                f"this machine has no IPv{one.version} address, so that way to the relay was not tried", one.address
            )
        elif one.version == 6:
            yield warning(
                f"{case.target.address} has an IPv6 address that leads nowhere: friends with IPv6 wait 10 s for it",
                f"{one.address}: {one.word}",
                "Take the AAAA record out of DNS, or let the port in by IPv6 too: the provider's firewall has rules "
                "of its own for it. Friends are let in by their IPv6 address, too, when friends.toml has it.",
            )
        else:
            yield warning(
                f"{one.address} does not answer, and RetroArch hosts by IPv4 only: nobody can host",
                one.word,
                f"Open TCP port {case.target.port} for IPv4 in every firewall before the host.",
            )
