"""What the gate remembers on the host, in one JSON file that only root reads; and the lock around every change."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import ipaddress
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from relay.fileerrors import writing
from relay.gate import files, typed

VERSION = 1
PATIENCE = 15.0


@dataclass(slots=True)
class Applied:
    """What was applied last: by which backend, for which ports, a digest of the rules' text and of their listing.

    plain: without what this host's kernel does not know (counters on elements; ipset). lacks: what else was left out,
    of relay.gate.backends.lacking.OPTIONAL.
    """

    backend: str
    ports: list[int]
    text: str
    frame: str
    plain: bool = False
    at: float = 0.0
    lacks: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Leftover:
    """What may still stand in the packet filter used before.

    created: tables of iptables that are there through it. life: which start of the host, and network, it is of. tried,
    why: when it was last tried to take it away, and why that failed.
    """

    backend: str
    plain: bool = False
    created: list[str] = field(default_factory=list)
    life: str = ""
    tried: float = 0.0
    why: str = ""


@dataclass(slots=True)
class Name:
    """What is known of a DNS name: the last good answer and its time, the last complaint ("": none) and its time."""

    addresses: list[str] = field(default_factory=list)
    at: float = 0.0
    error: str = ""
    error_at: float = 0.0


class Healed(TypedDict):
    """How often the firewall rules had to be loaded again, when last, and what was found."""

    count: int
    at: int | None
    what: str


class Opening(TypedDict):
    """Ports that were opened in another firewall; where: the chain, for a firewall that has several."""

    tool: str
    ports: list[int]
    where: list[str]


class Replaced(TypedDict):
    """A push that another one took the place of before it was confirmed: when, which, and where the other came from."""

    at: int
    token: str
    by: str


class RolledBack(TypedDict):
    """A push that was taken back: when, which, and why."""

    at: int
    token: str
    why: str


@dataclass(slots=True)
class State:
    """All of it. Moments in seconds since 1970.

    names: by DNS name. seen: when an entry's element last let somebody in. packets: its count then. healed: how often
    the firewall rules had to be loaded again, when last, and what was found. opened: what was opened in other
    firewalls; opening: what was begun there, and may be open in part. others: what they do, in sentences. created:
    tables of iptables that were not there before. leftover: of the packet filter used before. rolled_back: when and why
    a push was taken back. replaced: the last push in whose place another one was made. controller: where the last push
    came from (SSH_CONNECTION). friends: the text of friends.toml applied last; settings: that of relay.toml ("": there
    was none). problem: why the ruleset is not what the files ask for, "" when it is.
    """

    applied: Applied | None = None
    names: dict[str, Name] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    packets: dict[str, int] = field(default_factory=dict)
    healed: dict[str, Any] = field(
        default_factory=lambda: {"count": 0, "at": None, "what": ""}, metadata={"shape": Healed}
    )
    opened: list[dict[str, Any]] = field(default_factory=list, metadata={"shape": list[Opening]})
    opening: list[dict[str, Any]] = field(default_factory=list, metadata={"shape": list[Opening]})
    others: list[str] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    leftover: Leftover | None = None
    rolled_back: dict[str, Any] | None = field(default=None, metadata={"shape": RolledBack | None})
    replaced: dict[str, Any] | None = field(default=None, metadata={"shape": Replaced | None})
    controller: str = ""
    friends: str | None = None
    settings: str | None = None
    problem: str = ""


def load(path: Path) -> State:
    """Read the state. What cannot be read counts as nothing known: it is all found out again."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.pop("version") != VERSION:
            return State()
        state = typed.read(State, data)
        for name in state.names.values():
            check(name)
        if state.healed["count"] and state.healed["at"] is None:
            return State()
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return State()
    return state


def check(name: Name) -> None:
    """Raise ValueError where what is known of a DNS name is no network."""
    for text in name.addresses:
        ipaddress.ip_network(text)


def save(path: Path, state: State) -> bool:
    """Write the state; return whether it had changed. Raises OSError."""
    return files.write(path, json.dumps({"version": VERSION, **dataclasses.asdict(state)}, indent=1) + "\n")


class BusyError(Exception):
    """Another command holds the lock; str() is a sentence."""


@contextlib.contextmanager
def locked(path: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Hold a lock while the block runs. Raises BusyError after waiting patience seconds, OSError."""
    handle = _taken(path, time.monotonic() + patience)
    try:
        with contextlib.suppress(OSError):  # who holds it is a courtesy, and the disk may be full
            os.ftruncate(handle, 0)
            os.write(handle, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(handle)


def _taken(path: Path, end: float) -> int:
    """Return the open file of a lock that is ours now."""
    while True:
        with writing(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _take(handle, end)
            # A removal takes the file away while others wait for it: whoever comes later locks another one.
            if _is_at(path, handle):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _is_at(path: Path, handle: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(handle))
    return False


def _take(handle: int, end: float) -> None:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
        else:
            return
        if time.monotonic() >= end:
            holder = os.pread(handle, 20, 0).decode(errors="replace").strip() or "?"
            raise BusyError(f"another netplay-relay gate is at work (process {holder}). Try again in a moment")
        time.sleep(0.02)


def holder(path: Path) -> int | None:
    """Return the process that holds a lock, None when nobody does."""
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        text = os.pread(handle, 20, 0).decode(errors="replace").strip()
        return int(text) if text.isdecimal() else 0
    finally:
        os.close(handle)
    return None
