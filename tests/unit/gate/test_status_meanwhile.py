"""The status while somebody changes the ruleset: it waits a moment, and says so when the change takes longer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from relay.gate import apply, state, status
from relay.gate.apply import Push
from relay.gate.coexist.survey import Coexistence, Finding
from tests.support.gate_memory import MemoryGate, friend

ANNA = friend("anna", 'ip = "5.6.7.8"')
BEN = friend("ben", 'ip = "5.6.7.9"')


@pytest.fixture
def gate(tmp_path: Path) -> MemoryGate:
    """Give a gate whose list has been applied."""
    made = MemoryGate(tmp_path)
    apply.push(made, Push(ANNA))
    return made


@contextlib.contextmanager
def half_way(gate: MemoryGate) -> Iterator[None]:
    """Let somebody have loaded other rules and not said so yet, while the block runs."""
    with state.locked(gate.places.lock):
        before, gate.filter.rules = gate.filter.rules, "rules of another release"
        yield
        gate.filter.rules = before


def shown(gate: MemoryGate) -> dict[str, Any]:
    """Return the status."""
    return status.status(gate, gate.places.state_dir / "no relay")


def test_while_other_firewalls_are_asked_the_wall_stands(gate: MemoryGate, monkeypatch: pytest.MonkeyPatch) -> None:
    """That takes seconds where firewalld runs, and all that counts is done by then."""
    seen: list[dict[str, Any]] = []

    def survey(*_: object) -> list[Finding]:
        seen.append(shown(gate))
        return []

    monkeypatch.setattr(Coexistence, "survey", survey)
    gate.places.settings.write_text("[limits]\nconnections_per_address = 7\n")
    assert apply.push(gate, Push(BEN))["rules"]
    gate.places.settings.write_text("[limits]\nconnections_per_address = 8\n")
    gate.settle(gate.wanted(), state.load(gate.places.state))
    assert [(one["present"], one["complete"], one["changing"]) for one in seen] == [(True, True, None)] * len(seen)
    assert len(seen) >= 2


def test_a_change_that_ends_soon_is_waited_for(gate: MemoryGate, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is shown is what stands after it."""
    with contextlib.ExitStack() as change:
        change.enter_context(half_way(gate))
        monkeypatch.setattr("time.sleep", lambda _: change.close())
        told = shown(gate)
    assert (told["present"], told["complete"], told["changing"]) == (True, True, None)


def test_a_change_that_ends_between_two_questions_is_no_fall_of_the_wall(
    gate: MemoryGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state was read before it and the filter after it."""
    load = state.load
    pushed: list[None] = []

    def load_before(path: Path) -> state.State:
        known = load(path)
        if not pushed:
            pushed.append(None)
            gate.places.settings.write_text("[limits]\nconnections_per_address = 7\n")
            apply.push(gate, Push(BEN))
        return known

    monkeypatch.setattr(state, "load", load_before)
    told = shown(gate)
    assert (told["present"], told["complete"]) == (True, True)
    assert [entry["network"] for entry in told["entries"]] == ["5.6.7.9/32"]


def test_a_change_that_takes_long_is_said_to_be_one(gate: MemoryGate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old rules or new ones stand: each load is all or nothing."""
    monkeypatch.setattr(status, "PATIENCE", 0.0)
    with half_way(gate):
        told = shown(gate)
        assert (told["present"], told["changing"]) == (True, state.holder(gate.places.lock))
        assert status.text(told).startswith(
            f"rules     are being changed by process {told['changing']} (nftables), port"
        )
    assert shown(gate)["changing"] is None


def test_a_wall_that_is_gone_is_gone_whoever_is_at_work(gate: MemoryGate, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing between a stranger and the relay but its own list."""
    monkeypatch.setattr(status, "PATIENCE", 0.0)
    gate.filter.remove()
    with state.locked(gate.places.lock):
        told = shown(gate)
    assert not told["present"]
    assert "ARE NOT LOADED" in status.text(told)


def test_rules_that_somebody_else_changed_are_no_change_of_ours(gate: MemoryGate) -> None:
    """Nobody holds the lock, and nothing is waited for."""
    gate.filter.rules = "rules of somebody"
    told = shown(gate)
    assert (told["present"], told["complete"], told["changing"]) == (False, False, None)


def test_a_status_leaves_no_trace_where_nothing_was_applied(tmp_path: Path) -> None:
    """Not even a lock."""
    bare = tmp_path / "bare"
    bare.mkdir()
    shown(MemoryGate(bare))
    assert list(bare.iterdir()) == [bare / "etc"]
