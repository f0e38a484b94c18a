"""Does a connection to the relay come about from here, by IPv4 and by IPv6."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.doctor.finding import Finding, fine, note, trouble

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.doctor.case import Case
    from toolkit.doctor.probe import Reach

WORDS = {
    "timeout": "nothing answers: something on the way drops what we send",
    "refused": "the host is there and nothing listens, or its firewall says no",
    "unreachable": "a router on the way says that there is no way to it",
    "no-way": "this machine has no way out by that family of addresses",
    "forbidden": "this machine's own firewall does not let it out",
}


def look(case: Case) -> Iterator[Finding]:
    """Say which addresses of the relay answer, and of what it may be that none does."""
    for one in case.open:
        taken = (one.seconds or 0) * 1000
        yield fine(f"the relay's port answers by IPv{one.version}", f"{one.address}, {taken:.0f} ms")
    if not case.reached or case.open:
        return
    evidence = "; ".join(f"{one.address}: {WORDS.get(one.word, one.word)}" for one in case.reached)
    if case.host and case.listed is False:
        yield note(
            f"this machine ({case.mine}) is not let in, so the relay was not tried from here",
            evidence,
            f"To play from here, too: invoke friends.add me --ip {case.mine}{case.target.option}",
        )
    else:
        yield trouble(f"no connection to {case.target.typed} comes about", evidence, _cure(case, case.reached))


def _cure(case: Case, shut: list[Reach]) -> str:
    if case.target.place:
        return (
            "Does the host's provider have a firewall of its own (security group, network firewall)? "
            f"Open TCP port {case.target.port} there.\nWhat the host itself says of it is beside."
        )
    if all(one.word in ("no-way", "forbidden") for one in shut):
        return "Is this machine online? Its own firewall must let it connect to any port."
    return (
        "Is the address right? Ask the relay's owner whether you are on the list, and from which address: any "
        "what-is-my-ip site shows yours.\nThe owner can see it by: invoke friends.check YOUR-ADDRESS"
    )
