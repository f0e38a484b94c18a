"""Answers of the control socket, looked at before they are believed. Pure.

Whoever asks is root, often, and what answers is an account of its own, or another release: what is not of its shape is
refused with a sentence, and texts come out without anything that a terminal would obey.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# The largest number that any count or clock here can have, and the longest text that is shown.
LARGEST = 2**53
LONGEST = 2000


@dataclass(frozen=True, slots=True)
class OrNone:
    """A shape whose value may be missing: None."""

    shape: Any


# A shape is a type, a list of one shape, a mapping of texts ({str: shape}), or fields by name. A field whose name ends
# in "?" need not be there; what no field names is left out.
WAY = OrNone({"rtt": float, "jitter": float, "retransmits?": int, "silence?": OrNone(float)})
SEEN = OrNone(
    {
        "host": {"nick": str, "core": str},
        "client": {"nick": str, "core": str, "retroarch": str},
        "role": str,
        "player": OrNone(int),
        "paused": bool,
        "paused_by": str,
        "desyncs": int,
        "frame?": OrNone(int),
        "client_frame?": OrNone(int),
        "coming?": int,
        "lately?": [str],
        "savestates?": int,
        "savestate_bytes?": int,
        "stalls?": int,
    }
)
CLIENT = {
    "address": str,
    "port?": int,
    "state": str,
    "age": float,
    "to_client": WAY,
    "to_host": WAY,
    "seen": SEEN,
    "bytes_from_client": int,
    "bytes_from_host": int,
    "waiting_bytes": int,
}
SESSION = {
    "id": str,
    "port": int,
    "age": float,
    "clients": [CLIENT],
    "host": {"address": str, "rtt?": OrNone(float), "silence?": OrNone(float)},
}
PLAYER = {
    "nick": str,
    "address": str,
    "port?": int,
    "age": float,
    "to_client": WAY,
    "role": OrNone(str),
    "number": OrNone(int),
    "player": OrNone(int),
    "retroarch": str,
    "behind": int,
    "frame?": OrNone(int),
    "bytes_from_client": int,
    "bytes_to_client": int,
    "waiting_bytes": int,
    "waits_for_state?": bool,
}
TABLE = {
    "port": int,
    "age": float,
    "frame": OrNone(int),
    "core": str,
    "core_version": str,
    "master": OrNone(int),
    "paused_by": [str],
    "players": [PLAYER],
}
STATUS = {
    "program": str,
    "age": float,
    "draining": bool,
    "ports": [int],
    "connections": {"now": int, "most": int},
    "rooms": [{"id": str, "port": int}],
    "sessions": [SESSION],
    "tables": [TABLE],
    "outcomes": {str: int},
    "session_outcomes?": {str: int},
    "allowlist?": {"problem?": str},
    "ended?": [{"kind": str, "outcome": str, "address?": str, "table?": OrNone(int)}],
}
UPGRADE = {
    "error?": OrNone(str),
    "waiting?": OrNone(str),
    "upgraded?": str,
    "sessions?": int,
    "links?": int,
    "tables?": int,
}


def status(answer: dict[str, Any]) -> dict[str, Any]:
    """Return a relay's state, as far as it is shown. Raises ValueError for what is not one."""
    held: dict[str, Any] = _held(STATUS, answer, "")
    return held


def upgrade(answer: dict[str, Any]) -> dict[str, Any]:
    """Return what became of an upgrade. Raises ValueError for what does not say that."""
    held: dict[str, Any] = _held(UPGRADE, answer, "")
    if not held.get("error") and not held.get("waiting") and not {"upgraded", "sessions", "links"} <= held.keys():
        raise ValueError("the relay's answer does not say what became of the upgrade")
    return held


def _held(shape: Any, value: Any, where: str) -> Any:
    """Return a value as its shape has it. Raises ValueError."""
    if isinstance(shape, OrNone):
        return None if value is None else _held(shape.shape, value, where)
    if isinstance(shape, list) and isinstance(value, list):
        return [_held(shape[0], each, where) for each in value]
    if isinstance(shape, dict) and isinstance(value, dict):
        return _mapping(shape, value, where) if str in shape else _fields(shape, value, where)
    if shape is str and isinstance(value, str):
        return clean(value)
    if shape is float and type(value) in (int, float) and abs(value) <= LARGEST:
        return float(value)
    if shape in (int, bool) and type(value) is shape and abs(value) <= LARGEST:
        return value
    raise ValueError(f"the relay's answer is not as it should be: {where.lstrip('.')} is of another kind")


def _mapping(shape: dict[Any, Any], value: dict[str, Any], where: str) -> dict[str, Any]:
    return {clean(key): _held(shape[str], each, where) for key, each in value.items()}


def _fields(shape: dict[str, Any], value: dict[str, Any], where: str) -> dict[str, Any]:
    found = {}
    for field, kind in shape.items():
        name = field.removesuffix("?")
        if name in value:
            found[name] = _held(kind, value[name], f"{where}.{name}")
        elif name == field:
            raise ValueError(f"the relay's answer is not as it should be: {f'{where}.{name}'.lstrip('.')} is missing")
    return found


def clean(text: str) -> str:
    """Return a text of one line that a terminal shows and does not obey."""
    return "".join(sign if sign.isprintable() else "?" for sign in text[:LONGEST])
