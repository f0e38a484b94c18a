"""One family of the relay's addresses answers and the other does not: who is kept waiting or from hosting, and why."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from toolkit.doctor.finding import Finding, note, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.doctor.case import Case
    from toolkit.doctor.probe import Reach


def look(case: Case) -> Iterator[Finding]:
    """Say what the relay's addresses that did not answer cost those who use them."""
    if not case.open:
        return
    for one in case.shut:
        # What our ruleset drops is not answered: all of it looks the same for who is not on the list by that family.
        dropped = one.word == "timeout"
        listed = f"{_list(case, one)}\n" if dropped else ""
        if one.word == "no-way":
            yield note(
                f"this machine has no IPv{one.version} address, so that way to the relay was not tried", one.address
            )
        elif one.version == 6:
            yield warning(
                f"{case.target.address} has an IPv6 address that leads nowhere from here: a friend who has IPv6 and is "
                "not let in by it waits 10 s for it",
                f"{one.address}: {one.word}",
                f"{listed}Else let the port in by IPv6, too (the provider's firewall has rules of its own for it), or "
                "take the AAAA record out of DNS.",
            )
        else:
            who = "you cannot" if dropped else "nobody can"
            yield warning(
                f"{one.address} does not answer, and RetroArch hosts by IPv4 only: {who} host",
                one.word,
                f"{listed}{'Else open' if dropped else 'Open'} TCP port {case.target.port} for IPv4 in every firewall "
                "before the host.",
            )


def _list(case: Case, shut: Reach) -> str:
    """Return what the list of friends has to do with it: the first thing to look at."""
    family, gate = f"IPv{shut.version}", case.told("gate")
    check = f"invoke friends.check YOUR-{family}-ADDRESS{case.target.option}"
    if not gate:
        where = "any what-is-my-ip site shows it"
        return f"Is your {family} address on the list ({where}; it changes now and then)? The owner types: {check}"
    mine = case.came_from
    if mine and (":" in mine) == (shut.version == 6):
        if case.lets_in(mine):
            return f"the list has {mine}, so it is not that."
        return f"This machine's {mine} is not on the list: invoke friends.add me --ip {mine}{case.target.option}"
    entries = [ipaddress.ip_network(entry["network"]) for entry in gate["entries"]]
    if not any(entry.version == shut.version for entry in entries):
        add = f"invoke friends.add NAME --ip ADDRESS{case.target.option}"
        return f"no {family} address is on the list, so nobody gets in by it. Give friends both: {add}"
    return f"Is this machine's {family} address on the list? {check}"
