"""Rooms of every kind in one form: games that somebody hosts, and games without a host, as the relay's status has them.

The form is that of a hosted session (relay/monitoring/status.py): "id", "port", "mode", "host" (None without one),
"clients" with what was "seen" of each, None where nothing is looked at. What does not exist without a host (the way to
it, desyncs) is None or 0.
"""

from __future__ import annotations

from typing import Any

WITHOUT_HOST = "no host"


def rooms(state: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rooms that somebody is in; those of a relay older than games without a host, too."""
    return [*state["sessions"], *(_table(table) for table in state.get("tables", []))]


def ending(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an ending (relay/net/history.py) in the form of a hosted session's, or of a client's that left one."""
    if entry["kind"] == "table":
        return {**entry, "kind": "session", "session": _id(entry["table"]), "address": ""}
    if entry["kind"] != "player":
        return entry
    moved = {"kind": "client", "session": _id(entry["table"]), "bytes_from_host": entry["bytes_to_client"]}
    return {**entry, **moved, "to_host": None, "seen": None}


def _id(port: int) -> str:
    return f"port {port}"


def _table(table: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": _id(table["port"]),
        "port": table["port"],
        "mode": WITHOUT_HOST,
        "age": table["age"],
        "joins": table["joins"],
        "host": None,
        "clients": [_player(table, player) for player in table["players"]],
    }


def _way(way: dict[str, Any] | None) -> dict[str, Any] | None:
    return {"jitter": 0.0, "retransmits": 0, **way} if way else None


def _player(table: dict[str, Any], player: dict[str, Any]) -> dict[str, Any]:
    mine = {name: player.get(name) or "" for name in ("nick", "retroarch", "core", "content_crc")}
    played = {name: table.get(name) or "" for name in ("core", "core_version", "content_crc")}
    holders = table.get("paused_by") or []
    seen = {
        "client": {**mine, "core_version": ""},
        "host": {**played, "nick": "", "retroarch": ""},
        "role": player.get("role", "joining"),
        "player": player.get("player"),
        "paused": bool(holders),
        "paused_by": " and ".join(holders),
        "desyncs": 0,
    }
    return {
        "address": player.get("address", ""),
        "port": player.get("port", 0),
        "state": "linked",
        "age": player.get("age", 0.0),
        "bytes_from_client": player.get("bytes_from_client", 0),
        "bytes_from_host": player.get("bytes_to_client", 0),
        "waiting_bytes": player.get("waiting_bytes", 0),
        "to_client": _way(player.get("to_client")),
        "to_host": None,
        # A role is what is always known, unless it is not to be shown.
        "seen": seen if seen["role"] else None,
    }
