"""Opening the relay's ports in other firewalls, and remembering it: on the disk before anything is opened.

What is not known to be open stays open when the port changes or a push comes back. So each opening is written down
before it is begun, as one that may be open in part, and once more when it is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from relay.gate.coexist import saved_rules
from relay.gate.coexist.survey import Coexistence, Finding, listed
from relay.gate.gate import Result
from relay.gate.programs import ProgramError, Programs
from relay.gate.state import State

Record = dict[str, Any]


def open_missing(programs: Programs, outcome: Result, state: State, remember: Callable[[], object]) -> None:
    """Close what is open for former ports, open what is shut, and leave sentences in outcome and state.

    remember: brings the state to the disk; it raises OSError when it cannot. Raises what a survey raises.
    """
    others = Coexistence(programs, outcome.backend)
    ports = outcome.wall.ports
    _close_former(others, outcome, state, remember)
    findings = others.survey(ports)
    for finding in findings:
        if finding.shut:
            _open(others, finding, outcome, state, remember)
        else:
            _found_open(finding, state)
    state.others = outcome.others = said = [finding.after(state.opened) for finding in findings]
    try:
        said += Coexistence(programs, outcome.backend, "udp").datagrams(outcome.wall.datagrams)
    except Exception as error:
        outcome.complaints.append(f"what is done to UDP could not be looked at ({type(error).__name__}: {error})")
    said += saved_rules.notices()


def _close_former(others: Coexistence, outcome: Result, state: State, remember: Callable[[], object]) -> None:
    ours = set(outcome.wall.ports)
    begun = [*state.opened, *state.opening]
    stale = any(not set(record["ports"]) <= ours for record in begun)
    if not (stale or (outcome.ports_changed and begun)):
        return
    try:
        others.close(keep=outcome.wall.ports)
    except (ProgramError, OSError) as error:
        # Not worth the ruleset, which stands by now. What stays open there leads to nobody; it is tried again.
        outcome.complaints.append(f"what was opened in other firewalls before could not be closed: {error}")
        return
    state.opened, state.opening = _kept(state.opened, ours), _kept(state.opening, ours)
    remember()


def _kept(records: Sequence[Record], ours: set[int]) -> list[Record]:
    """Return records for what remains after the ports that are not ours any more were closed."""
    kept: list[Record] = []
    for record in records:
        ports = [port for port in record["ports"] if port in ours]
        if ports:
            _add(kept, {**record, "ports": ports})
    return kept


def _open(others: Coexistence, finding: Finding, outcome: Result, state: State, remember: Callable[[], object]) -> None:
    record: Record = {"tool": finding.tool, "ports": finding.shut, "where": list(finding.where)}
    before = list(state.opening)
    shut = f"{finding.tool} keeps port {listed(finding.shut)} shut"
    try:
        _add(state.opening, record)
        remember()
    except OSError as error:
        state.opening = before
        outcome.complaints.append(f"{shut}, and is not opened, for that cannot be written down: {error}")
        return
    try:
        others.open(finding)
    except (ProgramError, OSError) as error:
        outcome.complaints.append(f"{shut}, and opening it failed: {error}")
        return
    _opened(record, state)
    outcome.opened.append(record)
    remember()


def _found_open(finding: Finding, state: State) -> None:
    """Count as opened what may have been: the gate was stopped between an opening and its record."""
    place = (finding.tool, list(finding.where))
    for record in [one for one in state.opening if (one["tool"], one["where"]) == place]:
        _opened(record, state)


def _opened(record: Record, state: State) -> None:
    state.opening = [one for one in state.opening if one != record]
    _add(state.opened, record)


def _add(records: list[Record], record: Record) -> None:
    if record not in records:
        records.append(record)
