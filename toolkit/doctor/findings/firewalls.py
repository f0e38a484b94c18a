"""Which firewall of the host decides the fate of the relay's port, and of those on the list, beside our own rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolkit.doctor.finding import Finding, fine, note, trouble

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.doctor.case import Case

SHOWN = 3


def look(case: Case) -> Iterator[Finding]:
    """Say what each other firewall does with the port and with friends, and what opens it."""
    firewalls = case.told("firewalls")
    if firewalls is None:
        if case.host:
            yield note("the host's firewalls could not be looked at", case.why_not("firewalls"))
        return
    friends = (case.told("survey") or {}).get("friends", [])
    for one in firewalls:
        if one["shut"] or one["forwarded"]:
            cure = case.there(one["command"]) if one["command"] else "See docs/security.md, Other firewalls."
            yield trouble(one["sentence"], one["evidence"], cure)
        else:
            yield fine(one["sentence"], one["evidence"])
    shut = {one["command"] for one in firewalls}
    yield from (_friend(case, one) for one in friends if one["command"] not in shut)
    if not firewalls and not friends:
        yield fine("no other firewall on the host touches the relay's port", "nft, iptables, ufw, firewalld")


def _friend(case: Case, one: dict[str, Any]) -> Finding:
    """Return what a rule of others does to friends: stops them, or that is not known."""
    networks = one["networks"]
    more = f" and {len(networks) - SHOWN} more" if len(networks) > SHOWN else ""
    evidence = f"{one['rule']}; it is about {', '.join(networks[:SHOWN])}{more}"
    if one["ok"] is None:
        return note(one["sentence"], evidence)
    return trouble(one["sentence"], evidence, case.there(one["command"]))
