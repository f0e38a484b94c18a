"""How connections ended since the relay started: some ends have a cause that can be cured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.outcomes import Outcome
from toolkit.doctor.finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.doctor.case import Case

# Ends that mean something once there are this many, how bad that is, and what to do.
RAISE = "Raise limits.{} in relay.toml, then: invoke deploy"
CURES = {
    Outcome.NO_SESSION: (1, Severity.NOTE, "Send that friend the line again: invoke join{option}"),
    Outcome.AMBIGUOUS: (1, Severity.WARNING, "Give each room a port of its own: docs/operating.md, Rooms."),
    Outcome.NO_HOST: (3, Severity.NOTE, "Friends joined before somebody hosted: host first, then join."),
    Outcome.NOT_LINKED: (1, Severity.WARNING, "The host player's RetroArch is frozen, or its way to the relay bad."),
    Outcome.OVERRUN: (1, Severity.WARNING, "A player's line was too slow: invoke watch{option} shows whose."),
    Outcome.TOO_MANY: (1, Severity.WARNING, RAISE.format("connections") + "{option}"),
    Outcome.TOO_MANY_FROM_ADDRESS: (1, Severity.WARNING, RAISE.format("connections_per_address") + "{option}"),
    Outcome.TOO_FAST: (5, Severity.NOTE, RAISE.format("setups_per_second") + "{option}"),
    Outcome.NO_ROOM_FREE: (1, Severity.WARNING, RAISE.format("sessions") + "{option}"),
    Outcome.TOO_MANY_HOSTS: (1, Severity.WARNING, RAISE.format("sessions_per_address") + "{option}"),
    Outcome.ROOM_TAKEN: (1, Severity.NOTE, "Two want to host in one room: give the other one of its own, with a port."),
    Outcome.SESSION_FULL: (1, Severity.NOTE, RAISE.format("clients_per_session") + "{option}"),
    Outcome.HOST_STUCK: (1, Severity.WARNING, "The host player's line or machine hangs."),
    Outcome.HOST_BROKE_PROTOCOL: (1, Severity.WARNING, "It is no RetroArch, or a very new one: invoke deploy{option}"),
    Outcome.NO_HOSTS_HERE: (1, Severity.NOTE, 'That port is for games without a host. To host there: mode = "auto".'),
    Outcome.OTHER_CORE: (1, Severity.NOTE, "All in a room need the same core: invoke join{option} names it."),
    Outcome.OTHER_PROTOCOL: (1, Severity.NOTE, "Bring everybody's RetroArch to the same release, or near it."),
    Outcome.NO_STATE: (1, Severity.WARNING, "That core saves no states, so nobody can join a game of it: play.cores."),
    Outcome.HOST_CAME: (1, Severity.NOTE, "That friend connects again. Who hosts goes first: invoke join{option}"),
    Outcome.HOST_DEAD: (1, Severity.NOTE, "The host player's line was cut off, or its address changed: host again."),
    Outcome.VANISHED: (1, Severity.NOTE, "That player's line was cut off: it connects again."),
    Outcome.FROZEN: (1, Severity.NOTE, "That player's machine was too slow, or its menu was open."),
    Outcome.GAVE_UP: (1, Severity.NOTE, "Same core, version and content? invoke watch{option} shows who has what."),
    Outcome.STRANGER: (1, Severity.NOTE, "Did a friend's address change? invoke friends.check ADDRESS{option}"),
}  # fmt: skip


def look(case: Case) -> Iterator[Finding]:
    """Say which ends were counted that have a cure."""
    counts = (case.told("relay") or {}).get("outcomes", {})
    for outcome, (least, severity, cure) in CURES.items():
        if (count := counts.get(outcome.value, 0)) >= least:
            times = "once" if count == 1 else f"{count} times"
            sentence = f"{times} since it started, a connection ended as {outcome.value}: {outcome.doc}"
            yield Finding(severity, sentence, cure=cure.format(option=case.target.option))
