"""The relay seen from outside: sessions, connections, outcomes, as plain data for `netplay-relay status`."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from typing import Any

import relay
from relay.config import Config, Watch
from relay.net import tcpinfo
from relay.net.server import Server
from relay.outcomes import Outcome
from relay.switchboard.connection import Conn, Session
from relay.switchboard.coreless_sessions import CorelessSession

_STARTED = time.monotonic()
# Now: the link that it was started by leads to another release as soon as one is installed.
_FILE = os.path.realpath(sys.argv[0])


def program(path: str = _FILE) -> str:
    """Return what runs: version, and the release's folder where there is one."""
    folder = os.path.basename(os.path.dirname(path))  # noqa: PTH119, PTH120 - a string in, a string out
    release = f" ({folder})" if path.endswith(".pyz") else ""
    return f"netplay-relay {relay.__version__}{release}"


def of(server: Server, config: Config, known: int = 0) -> dict[str, Any]:
    """Return the state of a relay. Ages in seconds, bytes as received from that end, rtt in seconds or None.

    A host's silence is for how long its machine gave no sign of life, None where nothing says that it is gone.
    The relay's own age is exact to the millisecond: two states tell how fast a game runs.
    clients counts joins by the RetroArch they came with, outcomes how connections ended, session_outcomes how sessions
    and tables did. allowlist: who may connect, as the relay has it (relay/allowlist.py). ended has what ended
    lately (relay/net/history.py), after the ending with the number known.
    """
    now = time.monotonic()
    board = server.board
    return {
        "program": program(),
        "pid": os.getpid(),
        "age": round(now - _STARTED, 3),
        "draining": board.draining,
        "main_port": config.listen.port,
        "ports": sorted({listener.getsockname()[1] for listener in server.entrance.listeners}),
        "connections": {"now": board.connections, "most": config.limits.connections},
        "rooms": [
            {"id": room.id, "port": room.port or config.listen.port, "mode": config.mode_of(room).value}
            for room in config.rooms
        ],
        "mode": config.coreless.mode.value,
        "allowlist": server.allowlist(),
        "sessions": [_session(session, server, now) for session in board.sessions.values()],
        "tables": [_table(table, server, config.watch, now) for table in board.tables.at.values()],
        "outcomes": _counted(board.outcomes),
        "session_outcomes": _counted(board.session_outcomes),
        "clients": dict(sorted(board.clients.items())),
        "ended": server.endings.since(known),
    }


def _counted(outcomes: Counter[Outcome]) -> dict[str, int]:
    return {outcome.value: count for outcome, count in sorted(outcomes.items())}


def _session(session: Session, server: Server, now: float) -> dict[str, Any]:
    clients = [*session.waiting.values(), *(conn for conn in session.linked if not conn.is_link)]
    silence = server.silence(session)
    return {
        "id": session.text,
        "port": session.host.room_port,
        "age": round(now - session.since, 1),
        "joins": session.joins,
        "host": {
            "address": str(session.host.address),
            "rtt": session.host.rtt,
            "silence": None if silence is None else round(silence, 1),
        },
        "clients": [_client(conn, server, now) for conn in clients],
    }


def _table(table: CorelessSession, server: Server, watch: Watch, now: float) -> dict[str, Any]:
    """Return a core-less room: relay/coreless/status.py, as far as [watch] allows, and each player's connection."""
    played = table.room.status(watch.names, watch.links)
    found = {"port": table.port, "age": round(now - table.since, 1), "joins": table.joins, **played}
    for player in found["players"]:
        conn = table.seats[player.pop("key")]
        seat = server.hall.seats.of(conn)
        player |= {
            "address": str(conn.address),
            "port": conn.port,
            "age": round(now - conn.since, 1),
            "bytes_from_client": seat.received if seat else 0,
            "bytes_to_client": seat.sent if seat else 0,
            "waiting_bytes": seat.waiting if seat else 0,
            "to_client": tcpinfo.way(seat.sock) if seat else None,
        }
    return found


def _client(conn: Conn, server: Server, now: float) -> dict[str, Any]:
    end = server.end_of(conn)
    peer = end.peer if end else None
    return {
        "address": str(conn.address),
        "port": conn.port,
        "state": conn.state.name.lower(),
        "age": round(now - conn.since, 1),
        "bytes_from_client": end.received if end else 0,
        "bytes_from_host": peer.received if peer else 0,
        "waiting_bytes": end.waiting if end else 0,
        "to_client": tcpinfo.way(end.sock) if end else None,
        "to_host": tcpinfo.way(peer.sock) if peer else None,
        "seen": end.watcher.as_dict() if end and end.watcher else None,
    }
