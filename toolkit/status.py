"""What the relay on a host is doing, as tables for a person: rooms, players, the way to each of them."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from relay import report
from toolkit import ssh
from toolkit.places import Place
from toolkit.remote import Remote, entry_of


def fetch(place: Place) -> dict[str, Any]:
    """Ask the relay on a host for its state (relay/status.py). Raises UserError."""
    entry = entry_of(place)
    with ssh.connection(entry.host.alias, entry.user, place.ssh_config) as link:
        return Remote(place, link, entry.become).ask(["status", "--json"])


def summary(state: dict[str, Any]) -> str:
    """Return the state of the relay itself in a line."""
    connections = state["connections"]
    ports = ", ".join(str(port) for port in state["ports"])
    draining = ", stopping: no new rooms" if state["draining"] else ""
    counted = f"{connections['now']} of {connections['most']} connections"
    return f"{state['program']}, up {report.age(state['age'])}, ports {ports}, {counted}{draining}"


def rooms(state: dict[str, Any]) -> Table:
    """Return the rooms that are hosted."""
    table = Table("room", "port", "host", "to host", "clients", "joins", "age")
    for session in state["sessions"]:
        host = session["host"]
        rtt = "" if host["rtt"] is None else f"{host['rtt'] * 1000:.0f} ms"
        counts = str(len(session["clients"])), str(session["joins"])
        table.add_row(session["id"], str(session["port"]), host["address"], rtt, *counts, report.age(session["age"]))
    return table


def players(state: dict[str, Any]) -> Table:
    """Return everybody who has joined a room."""
    table = Table("room", "who", "address", "does", "core", "RetroArch", "to client", "to host", "in / out")
    for session in state["sessions"]:
        for client in session["clients"]:
            table.add_row(session["id"], *_player(client))
    return table


def outcomes(state: dict[str, Any]) -> str:
    """Return how connections ended so far."""
    counted = ", ".join(f"{word} {count}" for word, count in state["outcomes"].items())
    return f"ended so far: {counted or 'none'}"


def _player(client: dict[str, Any]) -> list[str]:
    seen = client["seen"]
    carried = f"{report.size(client['bytes_from_client'])} / {report.size(client['bytes_from_host'])}"
    ways = [report.milliseconds(client["to_client"]), report.milliseconds(client["to_host"])]
    if not seen:
        return ["", client["address"], client["state"], "", "", *ways, carried]
    does = seen["role"] + (f" {seen['player']}" if seen["player"] else "")
    does += f", paused by {seen['paused_by']}" if seen["paused"] else ""
    does += f", {seen['desyncs']} desyncs" if seen["desyncs"] else ""
    core = seen["host"]["core"] or seen["client"]["core"]
    return [seen["client"]["nick"], client["address"], does, core, seen["client"]["retroarch"], *ways, carried]
