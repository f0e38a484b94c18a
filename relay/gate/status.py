"""The gate seen from outside: what is in force now, until when, for whom, and what there is to worry about."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from relay.gate import commit, expiry, state, subject
from relay.gate.backend import FilterError
from relay.gate.friends import Network
from relay.gate.host import Gate
from relay.gate.plan import Entry, Plan
from relay.gate.push import warnings
from relay.gate.state import State
from relay.gate.wall import Standing, set_of
from relay.gate.wanted import Wanted
from relay.protocol import Address


def status(gate: Gate, socket: Path | None = None) -> dict[str, Any]:
    """Return the state of the gate, as JSON can hold it (see relay.gate.cli). Changes nothing.

    Raises OSError; ConfigError of a text applied last that this release cannot read.
    """
    known = state.load(gate.places.state)
    wanted, problem = _wanted(gate, known)
    made = gate.plan(wanted, known)
    backend, standing, trouble = _standing(gate, wanted, known)
    relay, silence = subject.ask_relay(gate, "status", socket) if not problem else (None, problem)
    pending = commit.load(gate.places.pending)
    return {
        "backend": backend,
        "present": _is_whole(backend, standing, known),
        "complete": standing is not None
        and _is_whole(backend, standing, known)
        and all(_in_force(entry, standing) for entry in made.entries),
        "ports": list(wanted.ports),
        "agent": state.holder(gate.places.agent),
        "healed": known.healed,
        "entries": _entries(gate, made, standing, known, relay),
        "expired": [{"friend": friend.name, "until": friend.until} for friend in made.expired],
        "names": {name: {"addresses": n.addresses, "at": n.at, "error": n.error} for name, n in known.names.items()},
        "packets": dict(standing.packets) if standing else {},
        "warnings": warnings(made, known.names),
        "others": known.others,
        "opened": known.opened,
        "pending": {"token": pending.token, "deadline": int(pending.deadline)} if pending else None,
        "rolled_back": known.rolled_back,
        "problem": problem or trouble or known.problem,
        "relay": silence or "running",
    }


def _wanted(gate: Gate, known: State) -> tuple[Wanted, str]:
    """Return what is wanted and a complaint; of a broken file, what was applied last. Raises ConfigError."""
    return gate.in_force(dataclasses.replace(known, friends=known.friends or "", settings=known.settings or ""))


def _standing(gate: Gate, wanted: Wanted, known: State) -> tuple[str | None, Standing | None, str]:
    try:
        backend = gate.backend(wanted.settings.gate.backend, known)
        return backend.name, backend.standing(), ""
    except FilterError as error:
        return None, None, str(error)


def _is_whole(backend: str | None, standing: Standing | None, known: State) -> bool:
    """Tell whether the rules, in every family, are those that were loaded last: a part of them keeps nobody out."""
    applied = known.applied
    if standing is None or applied is None:
        return False
    return standing.shape and (applied.backend, applied.frame) == (backend, standing.frame)


def _in_force(entry: Entry, standing: Standing) -> bool:
    return covering(entry.network, standing) is not None


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
    wall = "stands" if shown["complete"] else ("stands, and lacks entries" if shown["present"] else "IS NOT THERE")
    ports = ", ".join(str(port) for port in shown["ports"])
    lines = [f"wall      {wall} ({shown['backend'] or 'no packet filter'}), port {ports}"]
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
    lines += [f"warning   {sentence}" for sentence in shown["warnings"]]
    lines += [f"firewall  {sentence}" for sentence in shown["others"]]
    if shown["relay"] != "running":
        lines.append(f"relay     {shown['relay']}, so who is connected is not shown")
    return "\n".join(lines)


def _line(entry: dict[str, Any]) -> str:
    until = "for good" if entry["until"] is None else f"{expiry.remaining(entry['remaining'])} left"
    seen = f"last seen {expiry.shown(entry['seen'])}" if entry["seen"] else "not seen yet"
    here = f", {entry['connected']} connected" if entry["connected"] else ""
    by = f" by {', '.join(entry['names'])}" if entry["names"] else ""
    missing = "" if entry["in_force"] else ", NOT IN FORCE"
    return f"{entry['network']}  {', '.join(entry['friends'])}{by}, {until}, {seen}{here}{missing}"
