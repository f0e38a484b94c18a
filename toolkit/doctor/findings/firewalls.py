"""Which firewall of the host decides the fate of the relay's port, beside our own wall."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.doctor.finding import Finding, fine, note, trouble

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.doctor.case import Case


def look(case: Case) -> Iterator[Finding]:
    """Say what each other firewall does with the port, and what opens it."""
    firewalls = case.told("firewalls")
    if firewalls is None:
        if case.host:
            yield note("the host's firewalls could not be looked at", case.why_not("firewalls"))
        return
    for one in firewalls:
        if one["shut"] or one["forwarded"]:
            yield trouble(one["sentence"], one["evidence"], one["command"] or "See docs/security.md, Other firewalls.")
        else:
            yield fine(one["sentence"], one["evidence"])
    if not firewalls:
        yield fine("no other firewall on the host touches the relay's port", "nft, iptables, ufw, firewalld")
