"""The switchboard as plain data and back: what one program hands to the next when the relay is upgraded.

Only JSON types, with a version: a program that cannot read it must say so before it is trusted with games
(relay/upgrade.py). Times are of the system's monotonic clock, which goes on across the change of programs.
"""

from __future__ import annotations

import ipaddress
from base64 import b64decode, b64encode
from collections import Counter
from typing import Any

from relay.netplay.legacy_handshake import LegacyHandshake
from relay.outcomes import Outcome
from relay.protocol import tunnel
from relay.switchboard.connection import Conn, Session, State
from relay.switchboard.machine import Switchboard

# 2: core-less rooms, too. 3: what waits lies in a memory file (relay/spool.py).
VERSION = 3
READS = (1, 2, 3)
# What `load` raises for data that no program of ours wrote.
BROKEN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def dump(board: Switchboard) -> tuple[dict[str, Any], list[Conn]]:
    """Return the switchboard as plain data, and the connections in the order in which the data numbers them."""
    conns = board.live()
    number = {conn: index for index, conn in enumerate(conns)}
    # A session can have ended while its links go on; what refers to it is still told apart by it.
    sessions = list(dict.fromkeys([*board.sessions.values(), *(conn.session for conn in conns if conn.session)]))
    data = {
        "version": VERSION,
        "draining": board.draining,
        "outcomes": _dump_counts(board.outcomes),
        "session_outcomes": _dump_counts(board.session_outcomes),
        "clients": dict(board.clients),
        "kept": [[str(address), _text(kept), until] for address, kept, until in board.rooms.kept_ids()],
        "sessions": [_dump_session(session, number) for session in sessions],
        "conns": [_dump_conn(conn, number, sessions) for conn in conns],
        "tables": board.tables.save(number),
    }
    return data, conns


def load(data: dict[str, Any], board: Switchboard) -> list[Conn]:
    """Fill a new switchboard; return its connections in the order of the data. Raises one of BROKEN."""
    if data["version"] not in READS:
        raise ValueError(f"state of version {data['version']} cannot be read")
    conns = [_load_conn(entry) for entry in data["conns"]]
    sessions = [_load_session(entry, conns) for entry in data["sessions"]]
    for conn, entry in zip(conns, data["conns"], strict=True):
        conn.session = None if entry["session"] is None else sessions[entry["session"]]
        conn.peer = None if entry["peer"] is None else conns[entry["peer"]]
        if conn.peer and (talk := entry.get("introduction")):
            conn.introduction = conn.peer.introduction = _load_talk(talk)
        if conn.session and conn.state is State.WAITING:
            conn.session.waiting[conn.client_id] = conn
        elif conn.session and conn.state is State.LINKED:
            conn.session.linked.add(conn)
    for address, kept, until in data["kept"]:
        board.rooms.keep(ipaddress.ip_address(address), b64decode(kept), until)
    outcomes = _load_counts(data["outcomes"])
    # Neither is there where an older program wrote it.
    board.session_outcomes.update(_load_counts(data.get("session_outcomes", {})))
    clients = Counter({str(release): int(count) for release, count in data.get("clients", {}).items()})
    board.adopt(conns, outcomes, clients, data["draining"])
    board.tables.restore(data.get("tables", []), conns)
    return conns


_WORDS = {outcome.value: outcome for outcome in Outcome}


def _dump_counts(counts: Counter[Outcome]) -> dict[str, int]:
    return {outcome.value: count for outcome, count in counts.items()}


def _load_counts(data: dict[str, int]) -> Counter[Outcome]:
    return Counter({_WORDS[word]: int(count) for word, count in data.items() if word in _WORDS})


def _text(data: bytes) -> str:
    return b64encode(data).decode("ascii")


def _dump_session(session: Session, number: dict[Conn, int]) -> dict[str, Any]:
    return {
        "id": _text(session.id),
        "host": number.get(session.host),
        "since": session.since,
        "joins": session.joins,
        "addresses": [[_text(client), str(address)] for client, address in session.addresses.items()],
    }


def _load_session(entry: dict[str, Any], conns: list[Conn]) -> Session:
    host = conns[entry["host"]] if entry["host"] is not None else _nobody()
    session = Session(b64decode(entry["id"]), host, entry["since"], joins=entry["joins"])
    session.addresses = {b64decode(client): ipaddress.ip_address(address) for client, address in entry["addresses"]}
    return session


def _nobody() -> Conn:
    """Stand for the host of a session that has ended."""
    return Conn(ipaddress.IPv6Address("::"), 0, 0, True, 0.0, State.CLOSED)


def _dump_conn(conn: Conn, number: dict[Conn, int], sessions: list[Session]) -> dict[str, Any]:
    return {
        "address": str(conn.address),
        "port": conn.port,
        "room_port": conn.room_port,
        "friend": conn.friend,
        "since": conn.since,
        "state": conn.state.name,
        "deadline": conn.deadline,
        "opening": _text(conn.opening.seen),
        "control": _text(conn.control.rest),
        "session": sessions.index(conn.session) if conn.session else None,
        "client_id": _text(conn.client_id),
        "head": _text(conn.head),
        "peer": number[conn.peer] if conn.peer else None,
        "introduction": _dump_talk(conn.introduction) if conn.introduction and not conn.is_link else None,
        "is_link": conn.is_link,
        "kind": conn.kind,
        "heard": conn.heard,
        "pinged": conn.pinged,
        "rtt": conn.rtt,
        "told": conn.told,
        "owes": conn.owes,
        "named": conn.named,
        "probe": conn.probe,
        "received": conn.received,
        "hurried": conn.hurried,
    }


def _dump_talk(talk: LegacyHandshake) -> dict[str, Any]:
    return {
        "ways": [[_text(way.held), way.header, way.done] for way in (talk.to_host, talk.to_client)],
        "before": [[to_host, _text(data)] for to_host, data in talk.before],
    }


def _load_talk(entry: dict[str, Any]) -> LegacyHandshake:
    talk = LegacyHandshake()
    for way, (held, header, done) in zip((talk.to_host, talk.to_client), entry["ways"], strict=True):
        way.held, way.header, way.done = b64decode(held), header, done
    talk.before = [(to_host, b64decode(data)) for to_host, data in entry["before"]]
    talk.size = sum(len(data) for _, data in talk.before) + len(talk.to_host.held) + len(talk.to_client.held)
    return talk


def _load_conn(entry: dict[str, Any]) -> Conn:
    conn = Conn(
        ipaddress.ip_address(entry["address"]),
        entry["port"],
        entry["room_port"],
        entry["friend"],
        entry["since"],
        State[entry["state"]],
        entry["deadline"],
        control=tunnel.Control(b64decode(entry["control"])),
        client_id=b64decode(entry["client_id"]),
        head=b64decode(entry["head"]),
        is_link=entry["is_link"],
        kind=entry["kind"],
        heard=entry["heard"],
        pinged=entry["pinged"],
        rtt=entry["rtt"],
        # None of these is there where an older program wrote it.
        told=entry.get("told"),
        owes=entry.get("owes"),
        named=entry.get("named", True),
        received=entry.get("received", 0),
        probe=entry.get("probe", False),
        hurried=entry.get("hurried", False),
    )
    if conn.state is State.OPENING:
        conn.opening = tunnel.Opening()
        conn.opening.feed(b64decode(entry["opening"]))
    return conn
