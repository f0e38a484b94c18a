"""What the relay on a host is doing, and the gate in front of it, as tables for a person."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from relay import pace
from relay.monitoring import report
from toolkit.errors import HOST_UNUSABLE, UserError
from toolkit.hosts import gate
from toolkit.hosts.session import open_session
from toolkit.ssh import replies
from toolkit.status import rooms as roomview
from toolkit.tables import listing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from toolkit.hosts.target import DeployTarget

ROOMS = ("room", "port", "mode", "host", "to host", "clients", "joins", "age")
PLAYERS = ("room", "who", "address", "does", "core", "RetroArch", "to client", "to host", "in / out")


@dataclass(frozen=True, slots=True)
class Look:
    """The relay's state (relay/monitoring/status.py) and the gate's (relay/gate/cli.py), each None where unknown.

    problems are the reasons; judged: what makes games stutter, by the room's id (relay/pace.py).
    """

    relay: dict[str, Any] | None
    gate: dict[str, Any] | None
    problems: tuple[UserError, ...] = ()
    judged: dict[str, list[pace.Verdict]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it as one object: the relay's state with the gate's under "gate"."""
        told: dict[str, Any] = {"problems": [problem.message for problem in self.problems]} if self.problems else {}
        if stutters := list(self.stutters()):
            told["stutters"] = [{"room": room, "case": str(one.cause), "says": one.sentence} for room, one in stutters]
        return {**(self.relay or {}), "gate": self.gate, **told}

    def stutters(self) -> Iterator[tuple[str, pace.Verdict]]:
        """Yield what makes games stutter, each with the room's id."""
        for room, verdicts in self.judged.items():
            yield from ((room, verdict) for verdict in verdicts)


def fetch(place: DeployTarget, *, ask_become: bool = False) -> dict[str, Any]:
    """Ask the relay on a host for its state (relay/monitoring/status.py). Raises UserError."""
    with open_session(place, ask_become=ask_become) as remote:
        return remote.ask(["status", "--json"], replies.STATUS)


def look(place: DeployTarget, *, ask_become: bool = False) -> Look:
    """Ask a host for both over one login, the relay often enough to judge games. Raises UserError for no answer."""
    problems: list[UserError] = []
    judged: dict[str, list[pace.Verdict]] = {}
    with open_session(place, ask_become=ask_become) as remote:
        relay = wall = None
        try:
            relay = remote.ask(["status", "--json"], replies.STATUS)
            looks = [relay]
            while report.anybody_plays(relay) and len(looks) < pace.LOOKS:
                time.sleep(pace.BETWEEN)
                relay = remote.ask(["status", "--json"], replies.STATUS)
                looks.append(relay)
            judged = pace.judged([pace.of(each) for each in looks])
        except UserError as error:
            if error.exit_code == HOST_UNUSABLE:
                raise
            problems.append(error)
        try:
            wall = gate.ask(remote, ["status"])
        except UserError as error:
            problems.append(error)
    if relay is None and wall is None:
        raise problems[0]
    return Look(relay, wall, tuple(problems), judged)


def summary(state: dict[str, Any]) -> str:
    """Return the state of the relay itself in a line."""
    connections = state["connections"]
    ports = ", ".join(str(port) for port in state["ports"])
    draining = ", stopping: no new rooms" if state["draining"] else ""
    counted = f"{connections['now']} of {connections['most']} connections"
    return f"{state['program']}, up {report.age(state['age'])}, ports {ports}, {counted}{draining}"


def rooms(state: dict[str, Any], room: int | None = None) -> RenderableType:
    """Return the rooms somebody is in; room: the width there is."""
    rows = [_room(session) for session in roomview.rooms(state)]
    return listing(ROOMS, rows, room) if rows else "nobody plays"


def _room(session: dict[str, Any]) -> list[str]:
    host = session.get("host") or {}
    counts = str(len(session["clients"])), str(session.get("joins", ""))
    mode = "" if session.get("mode") in (None, "hosted") else str(session["mode"])
    to_host = report.to_host(host)
    where = [session["id"], str(session["port"]), mode, host.get("address", "")]
    return [*where, to_host, *counts, report.age(session["age"])]


def players(state: dict[str, Any], room: int | None = None) -> RenderableType:
    """Return everybody who has joined a room; room: the width there is."""
    rows = [[session["id"], *_player(client)] for session in roomview.rooms(state) for client in session["clients"]]
    return listing(PLAYERS, rows, room)


def has_players(state: dict[str, Any]) -> bool:
    """Tell whether anybody has joined a room."""
    return any(session["clients"] for session in roomview.rooms(state))


def outcomes(state: dict[str, Any]) -> str:
    """Return how connections ended so far, and sessions; an older relay does not count these."""
    sessions = report.counted(state.get("session_outcomes", {}))
    counted = f"ended so far: {report.counted(state['outcomes']) or 'none'}" + (
        f"; sessions: {sessions}" if sessions else ""
    )
    return "\n".join([*report.sent_off(state), counted])


def wall(state: dict[str, Any]) -> str:
    """Return the state of the gate in a line: whether the rules are loaded, by what, and what came to it."""
    loaded = "are loaded" if state["complete"] else "lack entries" if state["present"] else "ARE NOT LOADED"
    packets = state["packets"]
    parts = [f"gate: the firewall rules {loaded} ({state['backend'] or 'no packet filter'})"]
    if packets:
        parts.append(f"{packets['friends']} friends' connections let in, {packets['refused']} packets refused")
    return ", ".join(parts)


def _player(client: dict[str, Any]) -> list[str]:
    seen = client.get("seen")
    carried = f"{report.size(client['bytes_from_client'])} / {report.size(client['bytes_from_host'])}"
    ways = [report.milliseconds(client.get("to_client")), report.milliseconds(client.get("to_host"))]
    if not seen:
        return ["", client["address"], client["state"], "", "", *ways, carried]
    core = seen["host"]["core"] or seen["client"]["core"]
    return [seen["client"]["nick"], client["address"], does(seen), core, seen["client"]["retroarch"], *ways, carried]


def does(seen: dict[str, Any]) -> str:
    """Return what a client does, in words, from what was seen on its link."""
    words = str(seen["role"]) + (f" {seen['player']}" if seen["player"] else "")
    words += f", paused by {seen['paused_by']}" if seen["paused"] else ""
    return words + (f", {seen['desyncs']} desyncs" if seen["desyncs"] else "")
