"""What a relay says of itself (relay/monitoring/status.py), for tests of those who read it."""

from __future__ import annotations

from typing import Any

PORT = 55435


def status(
    rooms: list[dict[str, Any]] | None = None,
    sessions: list[dict[str, Any]] | None = None,
    ports: tuple[int, ...] = (PORT,),
    tables: list[dict[str, Any]] | None = None,
    mode: str = "tunnel",
) -> dict[str, Any]:
    """Return the state of a relay with these rooms of relay.toml, sessions, and games without a host.

    mode is that of its main port.
    """
    return {
        "program": "netplay-relay 0.1.0",
        "pid": 7,
        "age": 60.0,
        "draining": False,
        "main_port": PORT if PORT in ports else ports[0],
        "ports": list(ports),
        "connections": {"now": 0, "most": 1024},
        "rooms": rooms or [],
        "mode": mode,
        "sessions": sessions or [],
        "tables": tables or [],
        "outcomes": {},
    }


def session(identity: str, port: int = PORT, clients: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Return a session hosted at 203.0.113.7, 20 ms away."""
    host = {"address": "203.0.113.7", "rtt": 0.020}
    return {"id": identity, "port": port, "age": 30.0, "joins": 1, "host": host, "clients": clients or []}


def client(nick: str, host_nick: str = "anna", crc: str = "1234ABCD", **more: Any) -> dict[str, Any]:
    """Return somebody who plays Nestopia with a host, 30 ms from the relay."""
    peer = {"nick": nick, "retroarch": "1.14.0", "core": "Nestopia", "core_version": "1.52.0", "content_crc": crc}
    seen = {"client": peer, "host": {**peer, "nick": host_nick}, "password": False, "role": "playing", "player": 2}
    seen |= {"desyncs": 0, "paused": False, "paused_by": ""}
    way = {"rtt": 0.030, "jitter": 0.001, "retransmits": 0}
    counts = {"bytes_from_client": 1, "bytes_from_host": 1, "waiting_bytes": 0}
    state = {"address": "198.51.100.4", "state": "linked", "age": 20.0, "to_client": way, "to_host": way}
    return {**state, **counts, "seen": {**seen, **more}}


def table(port: int, *nicks: str) -> dict[str, Any]:
    """Return a game without a host, of players who are 30 ms away."""
    players = [{"nick": nick, "to_client": {"rtt": 0.030}} for nick in nicks]
    played = {"core": "Nestopia", "core_version": "1.52.0", "content_crc": "1234ABCD"}
    return {"port": port, "age": 5.0, "joins": len(nicks), **played, "players": players}
