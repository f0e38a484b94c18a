"""What the gate remembers, written over by somebody or by a bad disk: it goes on as with an empty file."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from relay.gate import apply, commit_confirm, state, status
from relay.gate.agent import Agent
from relay.gate.apply import Push
from relay.gate.resolver import Lookups
from relay.gate.state import Applied, Leftover, Name, State
from tests.support.gate_memory import NOW, MemoryGate, friend

ANNA = friend("anna", 'ip = "5.6.7.8"', 'dns = "anna.example.org"')
OPENED = {"tool": "ufw", "ports": [55435], "where": []}
FULL = State(
    Applied("nftables", [55435], "text", "frame", False, NOW),
    {"anna.example.org": Name(["9.9.9.9/32"], NOW, "it failed", NOW)},
    {"5.6.7.8/32": int(NOW)},
    {"5.6.7.8/32": 7},
    {"count": 2, "at": int(NOW), "what": "our rules were gone"},
    [OPENED],
    [OPENED],
    ["ufw is active"],
    ["iptables"],
    Leftover("iptables", False, ["iptables"], "life", NOW, "why"),
    {"at": int(NOW), "token": "abc", "why": "nobody confirmed"},
    {"at": int(NOW), "token": "abd", "by": "203.0.113.9"},
    "203.0.113.1 5 203.0.113.2 22",
    ANNA,
    "",
    "a problem",
)
WRONG: list[Any] = [
    5, -1, 1.5, True, "text", "", [], [1], ["x"], {}, {"a": 1}, {"a": []}, [[]], [None], None, 1e300, 10**40,
    float("nan"), float("inf"), {"count": {}}, ["203.0.113.300"],
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where every value in a JSON text stands."""
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*path, key))


def changed(data: dict[str, Any], path: tuple[Any, ...], wrong: Any) -> dict[str, Any]:
    found = copy.deepcopy(data)
    at: Any = found
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = wrong
    return found


WRITTEN: dict[str, Any] = {"version": 1, **dataclasses.asdict(FULL)}
PENDING: dict[str, Any] = dataclasses.asdict(
    commit_confirm.Pending(
        "abc", NOW + 20, "nftables", {"table": "x"}, ANNA, "", dataclasses.asdict(FULL.applied or State()), [OPENED],
        {"anna.example.org": dataclasses.asdict(Name(["9.9.9.9/32"], NOW))}, ANNA,
    )
)  # fmt: skip


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MemoryGate:
    monkeypatch.setattr(commit_confirm, "_detach", lambda _: None)
    monkeypatch.setattr(commit_confirm, "SYSTEMD", tmp_path / "no systemd")
    gate = MemoryGate(tmp_path)
    gate.places.friends.write_text(ANNA)
    gate.places.state_dir.mkdir(exist_ok=True)
    # What stood before the push that waits.
    gate.filter.rules = "rules of before"
    gate.filter.snapshot()
    return gate


def works(gate: MemoryGate) -> None:
    """Let the agent look, once as at its start and once later, and ask for everything."""
    agent = Agent(gate, Lookups(lambda _: []), lambda: gate.now)
    for _ in range(2):
        agent.look(told=True)
        gate.now += 30
    assert gate.filter.holds() >= {"5.6.7.8/32"}
    assert status.text(status.status(gate))
    apply.push(gate, Push(ANNA.replace('dns = "anna.example.org"\n', "")), Lookups(lambda _: []))
    assert gate.filter.holds() == {"5.6.7.8/32"}


def test_what_was_written_well_is_read(gate: MemoryGate) -> None:
    gate.places.state.write_text(json.dumps(WRITTEN))
    assert state.load(gate.places.state) == FULL
    gate.places.pending.write_text(json.dumps(PENDING))
    pending = commit_confirm.load(gate.places.pending)
    assert pending
    assert dataclasses.asdict(pending) == PENDING


@pytest.mark.parametrize("path", list(places(WRITTEN)), ids=lambda path: ".".join(map(str, path)))
def test_a_state_with_a_wrong_type_anywhere_stops_nothing(gate: MemoryGate, path: tuple[Any, ...]) -> None:
    for wrong in WRONG:
        gate.places.state.write_text(json.dumps(changed(WRITTEN, path, wrong)))
        # One like the other: that nothing known is enough, is a test of its own.
        if state.load(gate.places.state) != State():
            works(gate)


@pytest.mark.parametrize("path", list(places(PENDING)), ids=lambda path: ".".join(map(str, path)))
def test_a_push_written_with_a_wrong_type_anywhere_stops_nothing(gate: MemoryGate, path: tuple[Any, ...]) -> None:
    for wrong in WRONG:
        gate.places.pending.write_text(json.dumps(changed(PENDING, path, wrong)))
        other_list = path in (("friends",), ("allowlist",)) and isinstance(wrong, str | None)
        if commit_confirm.load(gate.places.pending) is not None and not other_list:
            gate.filter.snapshot()
            works(gate)
        gate.places.pending.unlink(missing_ok=True)


@pytest.mark.parametrize("text", ["", "{", "nul", "7", '"x"', "[]", "[" * 100_000, '{"version": 1, "names": []}', "\0"])
def test_a_state_that_is_half_or_something_else_stops_nothing(gate: MemoryGate, text: str) -> None:
    for path in (gate.places.state, gate.places.pending):
        path.write_text(text)
        works(gate)
