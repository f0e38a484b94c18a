"""The relay's state as Prometheus metrics, written by prometheus-client (Debian and Void: python3-prometheus-client).

The relay itself needs no such library and opens no port: `netplay-relay metrics` asks over the unix socket and prints,
for node_exporter's textfile collector or whoever scrapes. Labels are bounded: outcome words, rooms of the configuration
("other" for all others), never an address, never a name and never a whole session id, which lets in whoever reads it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from relay.protocol import tunnel

# Stands for all rooms that are not in the configuration: (room, port).
OTHER = "other", ""


class LibraryMissingError(Exception):
    """prometheus-client is not installed; str() says what to type."""

    def __init__(self) -> None:
        super().__init__("metrics need prometheus-client. Install it: apt-get install python3-prometheus-client")


def text(state: dict[str, Any]) -> str:
    """Return what relay/monitoring/status.py gives in Prometheus' text format. Raises LibraryMissingError."""
    try:
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
    except ImportError:
        raise LibraryMissingError from None

    class Collector:
        def collect(self) -> Iterable[Any]:
            for name, doc, value in gauges(state):
                yield GaugeMetricFamily(name, doc, value=value)
            for name, doc, counts in outcomes(state):
                ended = CounterMetricFamily(name, doc, labels=["outcome"])
                for outcome, count in counts.items():
                    ended.add_metric([outcome], count)
                yield ended
            players = GaugeMetricFamily("netplay_clients", "Clients that are linked, by room.", labels=["room", "port"])
            for room, count in clients_by_room(state).items():
                players.add_metric(room, count)
            yield players

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector())
    return generate_latest(registry).decode()


def gauges(state: dict[str, Any]) -> list[tuple[str, str, float]]:
    """Return name, documentation and value of what has no label."""
    sessions = state["sessions"]
    clients = [client for session in sessions for client in session["clients"]]
    players = [player for table in state["tables"] for player in table["players"]]
    seen = [client["seen"] for client in clients if client["seen"]]
    ways = [way for client in clients for way in (client["to_client"], client["to_host"])]
    legs = [way["rtt"] for way in (*ways, *(player["to_client"] for player in players)) if way]
    return [
        ("netplay_up_seconds", "Seconds since the relay's program started.", state["age"]),
        ("netplay_draining", "1 while the relay opens no new rooms.", float(state["draining"])),
        ("netplay_connections", "Connections now.", state["connections"]["now"]),
        ("netplay_connections_limit", "Connections there may be.", state["connections"]["most"]),
        ("netplay_sessions", "Sessions hosted now.", len(sessions)),
        ("netplay_coreless_rooms", "Core-less sessions in which somebody is.", len(state["tables"])),
        ("netplay_coreless_players", "Connections in core-less sessions.", len(players)),
        ("netplay_paused", "Links whose game is paused.", sum(bool(link["paused"]) for link in seen)),
        ("netplay_desyncs", "Desyncs seen on the links there are now.", sum(link["desyncs"] for link in seen)),
        (
            "netplay_waiting_bytes",
            "Bytes that wait for slow clients.",
            sum(one["waiting_bytes"] for one in (*clients, *players)),
        ),
        ("netplay_worst_rtt_seconds", "Slowest way from the relay to a player.", max(legs, default=0.0)),
    ]


def outcomes(state: dict[str, Any]) -> list[tuple[str, str, dict[str, int]]]:
    """Return name, documentation and counts by outcome; an older relay does not count sessions."""
    sessions = "Sessions, and core-less sessions, by how they ended."
    return [
        ("netplay_connections_ended", "Connections by how they ended.", state["outcomes"]),
        ("netplay_sessions_ended", sessions, state.get("session_outcomes", {})),
    ]


def clients_by_room(state: dict[str, Any]) -> Counter[tuple[str, str]]:
    """Return how many clients are linked in each configured room, and in all others together.

    A room is the beginning of its id and its port. Those that share both are one.
    """
    rooms = {room["id"]: (tunnel.session_hint(room["id"]), str(room["port"])) for room in state["rooms"]}
    counts = Counter(dict.fromkeys([*rooms.values(), OTHER], 0))
    for session in state["sessions"]:
        counts[rooms.get(session["id"], OTHER)] += sum(client["state"] == "linked" for client in session["clients"])
    return counts
