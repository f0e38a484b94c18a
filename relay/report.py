"""The relay's state as text for a terminal, with the standard library alone (the host has nothing else)."""

from __future__ import annotations

from typing import Any


def text(state: dict[str, Any]) -> str:
    """Return what relay/status.py gives, as lines for a person."""
    ports = ", ".join(str(port) for port in state["ports"])
    connections = state["connections"]
    lines = [
        f"{state['program']}, up {age(state['age'])}, ports {ports}"
        + (", stopping: no new rooms" if state["draining"] else ""),
        f"connections {connections['now']} of {connections['most']}",
    ]
    if not state["sessions"]:
        lines.append("nobody hosts")
    for session in state["sessions"]:
        lines.append("")
        lines += _session(session)
    if state["outcomes"]:
        lines += ["", "ended: " + ", ".join(f"{word} {count}" for word, count in state["outcomes"].items())]
    return "\n".join(lines)


def _session(session: dict[str, Any]) -> list[str]:
    host = session["host"]
    head = f"room {session['id']} on port {session['port']}, {age(session['age'])}, host {host['address']}{_rtt(host)}"
    rows = [
        f"  {client['state']:8} {client['address']:40} {age(client['age']):>8}"
        f"  {size(client['bytes_from_client']):>9} in  {size(client['bytes_from_host']):>9} out"
        for client in session["clients"]
    ]
    return [head, *(rows or ["  nobody has joined"])]


def _rtt(host: dict[str, Any]) -> str:
    return "" if host["rtt"] is None else f" ({host['rtt'] * 1000:.0f} ms)"


def age(seconds: float) -> str:
    """Return a duration in seconds as people say it: 42 s, 5 min, 3 h 20 min."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def size(count: int) -> str:
    """Return a number of bytes with its unit."""
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"
