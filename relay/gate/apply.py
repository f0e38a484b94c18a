"""Applying a list of friends: check all of it, look names up, apply in one step, keep a way back.

Nothing is touched before the file, every name in it and the packet filter's own check have been found good.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relay.gate import commit_confirm, others, previous_backend, resolver, state
from relay.gate import files as places
from relay.gate.backends import lacking
from relay.gate.backends.base import FilterError, enforce
from relay.gate.desired import Wanted
from relay.gate.gate import Gate, Result
from relay.gate.policy import friends as friendslist
from relay.gate.policy.plan import Plan
from relay.gate.resolver import Lookups
from relay.gate.state import State
from relay.tomlfile import ConfigError

LOOK_UP_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class Push:
    """What to apply.

    text: a friends.toml that replaces the host's (None: that one is applied again). source: what to call it in errors.
    rollback_after: seconds within which it must be confirmed (None: it is for good). check_only: change nothing.
    survey: look at other firewalls in any case. controller: SSH_CONNECTION of the login it comes by.
    based_on: digest of the friends that whoever pushes knows to be on the host (None: any of them may be removed).
    """

    text: str | None = None
    source: Path | None = None
    rollback_after: float | None = None
    check_only: bool = False
    survey: bool = False
    controller: str = ""
    based_on: str | None = None


def push(gate: Gate, wish: Push, lookups: Lookups | None = None) -> dict[str, Any]:
    """Apply; return what was done, as JSON can hold it (see relay.gate.cli).

    Raises ConfigError for a mistake in a file, OthersError for friends that it would remove unseen, FilterError
    when the packet filter refuses, BusyError, OSError. After each of them what stood before stands.
    """
    with state.locked(gate.places.lock):
        if token := commit_confirm.overdue(gate):
            commit_confirm.roll_back(gate, token, "it was not confirmed in time")
        known = state.load(gate.places.state)
        known.controller = wish.controller or known.controller
        wanted = gate.wanted(wish.text, wish.source)
        source = wish.source or gate.places.friends
        if wish.text is not None:
            friendslist.refuse_expired(wanted.friends, gate.clock(), source)
        if wish.text is not None and wish.based_on is not None:
            others.refuse(gate.places.friends, known.friends, wanted.friends, wish.based_on)
        resolve(gate, wanted, known, lookups or Lookups())
        made = gate.plan(wanted, known)
        if wish.text is not None:
            _refuse_unresolved(made, known, source)
        if wish.check_only:
            return _checked(gate, wanted, known, made)
        return _apply(gate, wish, wanted, known)


def resolve(gate: Gate, wanted: Wanted, known: State, lookups: Lookups) -> None:
    """Look up those names of friends that may be asked again, and note the answers."""
    due = [name for name in wanted.names if resolver.is_due(known.names.get(name), gate.clock())]
    private = wanted.settings.gate.private_names
    for name, result in lookups.ask_all(due, LOOK_UP_SECONDS).items() if due else ():
        resolver.record(known.names, name, result, gate.clock(), private=private)


def _refuse_unresolved(made: Plan, known: State, source: Path) -> None:
    for friend, name in made.unresolved:
        entry = known.names.get(name)
        why = entry.error if entry and entry.error else "it has no answer"
        line = friend.lines.get("dns", friend.line)
        message = f"{friend.name}: {name} cannot be used: {why.rstrip('.')}."
        raise ConfigError(source, line, message, "Mend the name, or write the address as ip.")


def _checked(gate: Gate, wanted: Wanted, known: State, made: Plan) -> dict[str, Any]:
    wall = gate.wall(wanted, made, known)
    backend = gate.backend(wanted.settings.gate.backend, known)
    done, _ = enforce(backend, wall, known.applied, gate.clock, check_only=True)
    outcome = Result(made, wall, backend.name, done)
    said = warnings(made, known)
    outcome.complaints = [one for one in lacking.sentences(backend.name, backend.lacks) if one not in said]
    return _result(outcome, known, _files(gate, wanted, made), checked=True)


def _files(gate: Gate, wanted: Wanted, made: Plan) -> bool:
    """Tell whether a file of the host has to change."""
    friends = wanted.text is not None and places.read(gate.places.friends) != wanted.text
    return friends or places.read(gate.allowlist(wanted)) != made.allowlist()


def _apply(gate: Gate, wish: Push, wanted: Wanted, known: State) -> dict[str, Any]:
    gate.try_again(wanted, known)
    before = _checked(gate, wanted, known, gate.plan(wanted, known))
    armed: dict[str, Any] = {"token": None, "rollback_at": None, "rollback_by": None}
    unconfirmed = commit_confirm.load(gate.places.pending) is not None
    # With the same list pushed twice nothing changes; but the first one's timer runs, and who pushes again means it.
    if wish.rollback_after is not None and (before["changed"] or unconfirmed):
        former = gate.former(known)
        kept_by = former.name if former else before["backend"]
        pending = commit_confirm.prepare(gate, known, kept_by, gate.allowlist(wanted), wish.rollback_after)
        try:
            by = commit_confirm.arm(gate, pending, wish.rollback_after)
        except OSError:
            # Nothing was applied. What an older push replaced is the agent's to put back.
            if not unconfirmed:
                places.write(gate.places.pending, None)
            raise
        armed = {"token": pending.token, "rollback_at": int(pending.deadline), "rollback_by": by}
    try:
        outcome = gate.settle(wanted, known, others=False)
        changed = outcome.allowlist
        if wish.text is not None:
            changed = places.write(gate.places.friends, wish.text) or changed
    except (ConfigError, FilterError, OSError):
        if armed["token"]:
            commit_confirm.roll_back(
                gate, armed["token"], "the push after it could not be applied" if unconfirmed else ""
            )
        raise
    if wish.text is not None and wish.rollback_after is None:
        places.write(gate.places.pending, None)
    known.problem = ""
    if before["changed"]:
        known.rolled_back = None
    # The list is in force, whatever becomes of the rest.
    state.save(gate.places.state, known)
    gate.look_around(outcome, known, survey=wish.survey)
    state.save(gate.places.state, known)
    return {**_result(outcome, known, changed), **armed}


def _result(outcome: Result, known: State, files: bool, *, checked: bool = False) -> dict[str, Any]:
    done = outcome.done
    return {
        "changed": done.changed or files or bool(outcome.opened),
        "checked": checked,
        "backend": outcome.backend,
        "ports": list(outcome.wall.ports),
        "rules": done.rules,
        "added": done.added,
        "removed": done.removed,
        "refreshed": done.refreshed,
        "files": files,
        "entries": len(outcome.plan.entries),
        "next_expiry": outcome.plan.next_expiry,
        "opened": outcome.opened,
        "others": known.others,
        "warnings": warnings(outcome.plan, known) + outcome.complaints,
        "token": None,
        "rollback_at": None,
        "rollback_by": None,
    }


def warnings(made: Plan, known: State) -> list[str]:
    """Return the plan's warnings, and what is to be said of names and filters: sentences for the owner."""
    found = list(made.warnings)
    found += [f"{friend.name}'s entry is over." for friend in made.expired]
    silent = {name for _, name in made.unresolved}
    for name, entry in known.names.items():
        if entry.error:
            kept = f"the last good answer is kept: {', '.join(entry.addresses)}"
            found.append(f"{name}: {entry.error}; {'nobody gets in by it' if name in silent else kept}.")
    applied = known.applied
    found += lacking.sentences(applied.backend, applied.lacks) if applied else []
    return found + previous_backend.sentences(known)
