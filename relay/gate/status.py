"""The gate seen from outside: what is in force now, until when, for whom, and what there is to worry about."""

from __future__ import annotations

import ipaddress
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from relay import allowlist
from relay.addresses import Address, Network
from relay.gate import commit_confirm, files, state, subject
from relay.gate.apply import warnings
from relay.gate.backends.base import FilterError
from relay.gate.desired import Wanted
from relay.gate.gate import Gate
from relay.gate.policy import expiry
from relay.gate.policy.plan import Entry, Plan
from relay.gate.policy.ruleset import Standing, set_of
from relay.gate.state import State

# How long a change that is under way is waited for, in seconds, and how often it is looked whether it is over.
PATIENCE = 5.0
PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class _View:
    """What is known, wanted and standing at one moment; changing: the process that is changing it."""

    known: State
    wanted: Wanted
    problem: str
    plan: Plan
    backend: str | None
    standing: Standing | None
    trouble: str
    changing: int | None = None

    @property
    def present(self) -> bool:
        """Whether the rules, in every family, are those that were loaded last: a part of them keeps nobody out.

        While they are changed, those of before or those of after: which, is known when that is done.
        """
        applied = self.known.applied
        if self.standing is None or not self.standing.shape:
            return False
        if self.changing is not None:
            return True
        return applied is not None and (applied.backend, applied.frame) == (self.backend, self.standing.frame)

    @property
    def complete(self) -> bool:
        """Whether they hold every entry, too."""
        if self.standing is None or not self.present:
            return False
        return all(covering(entry.network, self.standing) is not None for entry in self.plan.entries)

    def is_as_before(self, known: State) -> bool:
        """Tell whether nobody has applied anything since this was seen."""
        now, then = known, self.known
        return (now.applied, now.friends, now.settings, now.names) == (
            then.applied, then.friends, then.settings, then.names,
        )  # fmt: skip


def status(gate: Gate, socket: Path | None = None) -> dict[str, Any]:
    """Return the state of the gate, as JSON can hold it (see relay.gate.cli). Changes nothing.

    Raises OSError; ConfigError of a text applied last that this release cannot read.
    """
    view = _settled(gate)
    known, standing, made = view.known, view.standing, view.plan
    relay, silence = subject.ask_relay(gate, "status", socket) if not view.problem else (None, view.problem)
    pending = commit_confirm.load(gate.places.pending)
    return {
        "backend": view.backend,
        "present": view.present,
        "complete": view.complete,
        "changing": view.changing,
        "ports": list(view.wanted.ports),
        "agent": state.holder(gate.places.agent),
        "healed": known.healed,
        "entries": _entries(gate, made, standing, known, relay),
        "expired": [{"friend": friend.name, "until": friend.until} for friend in made.expired],
        "names": {name: {"addresses": n.addresses, "at": n.at, "error": n.error} for name, n in known.names.items()},
        "packets": dict(standing.packets) if standing else {},
        "warnings": warnings(made, known),
        "others": known.others,
        "opened": known.opened,
        "pending": {"token": pending.token, "deadline": int(pending.deadline)} if pending else None,
        "rolled_back": known.rolled_back,
        "problem": view.problem or view.trouble or known.problem,
        "allowlist": _allowlist(gate, view.wanted, relay),
        "relay": silence or "running",
    }


def _allowlist(gate: Gate, wanted: Wanted, relay: dict[str, Any] | None) -> dict[str, Any]:
    """Tell whether the relay that runs has the allowlist that was written for it.

    lets_in: None where nobody knows, or it checks nobody; else whether it lets anybody in at all.
    """
    path = wanted.settings.gate.allowlist
    told = (relay or {}).get("allowlist")
    if told is None or path is None or told["path"] is None:
        unchecked = told is not None and path is not None
        problem = f"the relay that runs checks nobody, although relay.toml names {path}" if unchecked else ""
        return {"problem": problem, "lets_in": None}
    problem = told["problem"]
    try:
        written = allowlist.digest((files.read(path) or "").encode("utf-8", "surrogateescape"))
    except OSError as error:
        written, problem = told["digest"], problem or f"{path} cannot be read: {error.strerror}"
    if not problem and (told["path"], told["digest"]) != (str(path), written):
        problem = f"the relay that runs has another allowlist than {path} holds"
    return {"problem": problem, "lets_in": told["entries"] > 0}


def _settled(gate: Gate) -> _View:
    """Return what is seen when no change of ours is half way, or after PATIENCE what is seen and who changes it."""
    end = time.monotonic() + PATIENCE
    while True:
        view = _look(gate)
        if view.complete:
            return view
        # In this order: a change that was under way is now either still so, or has left its mark.
        changing = state.holder(gate.places.lock)
        if changing is None and view.is_as_before(state.load(gate.places.state)):
            return view
        if time.monotonic() >= end:
            return replace(view, changing=changing)
        time.sleep(PAUSE)


def _look(gate: Gate) -> _View:
    known = state.load(gate.places.state)
    # Of a broken file, what was applied last.
    wanted, problem = gate.in_force(replace(known, friends=known.friends or "", settings=known.settings or ""))
    made = gate.plan(wanted, known)
    try:
        backend = gate.backend(wanted.settings.gate.backend, known)
        return _View(known, wanted, problem, made, backend.name, backend.standing(), "")
    except FilterError as error:
        return _View(known, wanted, problem, made, None, None, str(error))


def covering(network: Network, standing: Standing) -> Network | None:
    """Return what the filter holds for a network: the element itself, or a prefix it was merged into."""
    if network in standing.sets[set_of(network)]:
        return network
    first = network.network_address
    wider = (other for other in standing.sets[f"net{network.version}"] if first in other)
    return next((other for other in wider if other.prefixlen <= network.prefixlen), None)


def _entries(
    gate: Gate, made: Plan, standing: Standing | None, known: State, relay: dict[str, Any] | None
) -> list[dict[str, Any]]:
    now = gate.clock()
    connected = _by_network(subject.connections(relay), made.entries) if relay else None
    found = []
    for entry in made.entries:
        element = covering(entry.network, standing) if standing else None
        found.append(
            {
                "network": str(entry.network),
                "friends": list(entry.friends),
                "names": list(entry.names),
                "until": entry.until,
                "remaining": None if entry.until is None else int(entry.until - now),
                "in_force": element is not None,
                "packets": standing.seen.get(element) if standing and element else None,
                "seen": known.seen.get(str(element)) if element else None,
                "connected": connected[entry.network] if connected is not None else None,
            }
        )
    return found


def _by_network(addresses: Iterable[Address], entries: Iterable[Entry]) -> Counter[Network]:
    """Count addresses by the entries that hold them."""
    networks = {entry.network for entry in entries}
    lengths = {(network.version, network.prefixlen) for network in networks}
    found: Counter[Network] = Counter()
    for address in addresses:
        for version, length in lengths:
            if version == address.version:
                network = ipaddress.ip_network((address, length), strict=False)
                found[network] += network in networks
    return found


def text(shown: dict[str, Any]) -> str:
    """Return the status for people."""
    ports = ", ".join(str(port) for port in shown["ports"])
    lines = [f"rules     {_wall(shown)} ({shown['backend'] or 'no packet filter'}), port {ports}"]
    lines.append(
        f"agent     {'process ' + str(shown['agent']) if shown['agent'] else 'does not run: nothing is healed'}"
    )
    healed = shown["healed"]
    if healed["count"]:
        lines.append(f"healed    {healed['count']} times, last on {expiry.shown(healed['at'])}: {healed['what']}")
    lines += [f"{'entry' if not number else '':<9} {_line(entry)}" for number, entry in enumerate(shown["entries"])]
    if not shown["entries"]:
        lines.append("entry     none: nobody gets in")
    if back := shown["rolled_back"]:
        lines.append(f"undone    a push was rolled back on {expiry.shown(back['at'])}: {back['why']}")
    if waits := shown["pending"]:
        lines.append(f"waiting   a push comes back on {expiry.shown(waits['deadline'])} unless it is confirmed")
    lines += [f"problem   {shown['problem']}"] if shown["problem"] else []
    lines += [f"allowlist {shown['allowlist']['problem']}"] if shown["allowlist"]["problem"] else []
    lines += [f"warning   {sentence}" for sentence in shown["warnings"]]
    lines += [f"firewall  {sentence}" for sentence in shown["others"]]
    if shown["relay"] != "running":
        lines.append(f"relay     {shown['relay']}, so who is connected is not shown")
    return "\n".join(lines)


def _wall(shown: dict[str, Any]) -> str:
    if not shown["present"]:
        return "ARE NOT LOADED"
    if shown["changing"] is not None:
        return f"are being changed by process {shown['changing']}"
    return "are loaded" if shown["complete"] else "are loaded, but lack entries"


def _line(entry: dict[str, Any]) -> str:
    until = "for good" if entry["until"] is None else f"{expiry.remaining(entry['remaining'])} left"
    seen = f"last seen {expiry.shown(entry['seen'])}" if entry["seen"] else "not seen yet"
    here = f", {entry['connected']} connected" if entry["connected"] else ""
    by = f" by {', '.join(entry['names'])}" if entry["names"] else ""
    missing = "" if entry["in_force"] else ", NOT IN FORCE"
    return f"{entry['network']}  {', '.join(entry['friends'])}{by}, {until}, {seen}{here}{missing}"
