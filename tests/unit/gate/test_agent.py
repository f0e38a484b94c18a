"""The agent: looks, heals, counts, asks again, plans again, and never makes it worse."""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from relay.addresses import Address
from relay.gate import apply, commit_confirm, files, lockout, remove, state
from relay.gate.agent import SURVEY, WHOLE, Agent
from relay.gate.apply import Push
from relay.gate.coexist import frontends
from relay.gate.coexist.survey import Coexistence, Finding
from relay.gate.gate import Gate, Result
from relay.gate.programs import ProgramError
from relay.gate.resolver import JITTER, MOST_OFTEN, Lookups
from relay.gate.state import BusyError, State
from tests.support.gate_memory import MemoryGate, ScriptedPrograms, friend
from tests.support.waiting import wait_for

ANNA = friend("anna", 'ip = "5.6.7.8"')
BEN = friend("ben", 'ip = "5.6.7.9"')
DORA = friend("dora", 'dns = "dora.example.org"')


class Bench:
    """An agent with a clock that is told and a resolver that is scripted."""

    def __init__(self, folder: Path) -> None:
        self.gate = MemoryGate(folder)
        self.time = 0.0
        self.answer: str | OSError = "5.6.7.10"
        self.asked = 0
        self.agent = Agent(self.gate, Lookups(self._look_up), lambda: self.time)

    def _look_up(self, _: str) -> Sequence[Address]:
        self.asked += 1
        if isinstance(self.answer, OSError):
            raise self.answer
        return [ipaddress.ip_address(self.answer)]

    def write(self, text: str) -> None:
        """Replace the host's friends.toml."""
        new = self.gate.places.config_dir / "new"
        new.write_text(text)
        new.replace(self.gate.places.friends)

    def state(self) -> State:
        """Return what the gate remembers."""
        return state.load(self.gate.places.state)

    def pass_time(self, seconds: float) -> None:
        """Let both clocks run."""
        self.time += seconds
        self.gate.now += seconds


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(commit_confirm, "_detach", lambda _: None)
    monkeypatch.setattr(commit_confirm, "SYSTEMD", tmp_path / "no systemd")
    return Bench(tmp_path)


def test_it_puts_the_wall_up_and_then_has_nothing_to_do(bench: Bench) -> None:
    bench.write(ANNA)
    assert bench.agent.look(told=True) is not None
    assert bench.gate.filter.holds() == {"5.6.7.8/32"}
    assert bench.agent.look(told=False) is None
    assert bench.state().healed["count"] == 0, "at the start there is nothing to heal"


def test_it_is_ready_only_when_the_wall_stands(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    stood: list[tuple[str, bool]] = []
    monkeypatch.setattr(
        "relay.service_manager.notify", lambda word: stood.append((word, bool(bench.gate.filter.rules)))
    )
    agent = Agent(bench.gate, tick=0.01)
    bench.gate.filter.refuses = "nft is busy"
    looks = 0
    look = agent.look

    def look_again(*, told: bool) -> Result | None:
        nonlocal looks
        looks += 1
        if looks == 3:
            bench.gate.filter.refuses = ""
        if looks == 5:
            ours.send(b"stop")
        return look(told=told)

    monkeypatch.setattr(agent, "look", look_again)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        agent._work(theirs, None)
    assert looks == 5
    assert stood == [("READY=1", True)]


def test_after_ten_seconds_without_a_wall_it_keeps_nobody_waiting(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    now = [100.0]
    monkeypatch.setattr("relay.service_manager.notify", said.append)
    agent = Agent(bench.gate, clock=lambda: now[0])
    bench.gate.filter.refuses = "this host has no nft that works"
    for moment, expected in ((100.0, []), (109.9, []), (110.0, ["READY=1"]), (115.0, ["READY=1"])):
        now[0] = moment
        agent._round(told=False)
        assert said == expected


def test_it_tries_again_at_once_what_somebody_elses_lock_prevented(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("relay.service_manager.notify", said.append)
    monkeypatch.setattr(Agent, "_settle", busy_once(Agent._settle))
    bench.agent._round(told=True)
    assert said == []
    bench.agent._round(told=False)
    assert said == ["READY=1"]
    assert bench.gate.filter.rules


def busy_once(settle: Callable[..., Result]) -> Callable[..., Result]:
    """Return what raises BusyError when it is called for the first time."""
    calls: list[None] = []

    def call(*given: Any, **named: Any) -> Result:
        calls.append(None)
        if len(calls) == 1:
            raise BusyError("another netplay-relay gate is at work")
        return settle(*given, **named)

    return call


def test_without_a_list_the_wall_stands_and_nobody_gets_in(bench: Bench) -> None:
    assert bench.agent.look(told=True) is not None
    assert bench.gate.filter.rules
    assert bench.gate.filter.holds() == set()


def test_what_somebody_flushes_is_put_back_counted_and_said(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.write(ANNA)
    bench.agent.look(told=True)
    bench.gate.filter.remove()
    with caplog.at_level(logging.WARNING):
        bench.agent.look(told=True)
    assert bench.gate.filter.holds() == {"5.6.7.8/32"}
    assert bench.state().healed == {"count": 1, "at": int(bench.gate.now), "what": "our rules were gone"}
    assert "somebody changed our rules (our rules were gone)" in caplog.text


def test_what_nobody_announced_is_found_within_a_bound(bench: Bench) -> None:
    bench.write(ANNA)
    bench.agent.look(told=True)
    bench.gate.filter.remove()
    bench.pass_time(WHOLE - 1)
    assert bench.agent.look(told=False) is None
    bench.pass_time(1)
    assert bench.agent.look(told=False) is not None
    assert bench.state().healed["count"] == 1


def test_a_new_list_is_applied_and_is_no_healing(bench: Bench) -> None:
    bench.write(ANNA)
    bench.agent.look(told=True)
    bench.write(ANNA + friend("ben", 'ip = "5.6.7.9"'))
    bench.agent.look(told=False)
    assert bench.gate.filter.holds() == {"5.6.7.8/32", "5.6.7.9/32"}
    assert bench.state().healed["count"] == 0


def test_an_entry_that_ends_is_planned_away_in_that_second(bench: Bench) -> None:
    end = datetime.fromtimestamp(bench.gate.now + 30, UTC).isoformat(timespec="seconds")
    bench.write(ANNA + friend("club", 'ip = "5.6.0.0/16"', f"until = {end}"))
    bench.agent.look(told=True)
    assert bench.gate.filter.holds() == {"5.6.7.8/32", "5.6.0.0/16"}
    bench.pass_time(29)
    assert bench.agent.look(told=False) is None
    bench.pass_time(1)
    bench.agent.look(told=False)
    assert bench.gate.filter.holds() == {"5.6.7.8/32"}
    assert "5.6.0.0/16" not in bench.gate.places.allowlist.read_text()
    assert bench.state().healed["count"] == 0


def test_a_name_that_moves_is_followed_and_one_that_fails_keeps_its_answer(bench: Bench) -> None:
    bench.write(DORA)
    bench.agent.look(told=True)
    wait_for(lambda: bench.agent.look(told=False) and bench.gate.filter.holds(), 10, "the first answer")
    assert bench.gate.filter.holds() == {"5.6.7.10/32"}
    bench.answer = "5.6.7.11"
    bench.pass_time(MOST_OFTEN + JITTER)
    wait_for(lambda: bench.agent.look(told=False) and "5.6.7.11/32" in bench.gate.filter.holds(), 10, "the second")
    bench.answer = OSError(-3, "Temporary failure in name resolution")
    bench.pass_time(MOST_OFTEN + JITTER)
    bench.agent.look(told=True)
    wait_for(lambda: bench.agent.look(told=False) and bench.state().names["dora.example.org"].error, 10, "the failure")
    assert bench.gate.filter.holds() == {"5.6.7.11/32"}
    assert bench.asked == 3


def test_after_a_restart_names_have_their_last_answer_before_anybody_is_asked(bench: Bench) -> None:
    bench.write(DORA)
    bench.agent.look(told=True)
    wait_for(lambda: bench.agent.look(told=False) and bench.gate.filter.holds(), 10, "the first answer")
    bench.gate.filter.remove()
    bench.answer = OSError(-3, "Temporary failure in name resolution")
    Agent(bench.gate, Lookups(bench._look_up), lambda: bench.time).look(told=True)
    assert bench.gate.filter.holds() == {"5.6.7.10/32"}


def test_a_broken_list_leaves_what_was_applied_in_force_and_is_said_once(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.write(ANNA)
    bench.agent.look(told=True)
    bench.write("[[friend]]\nname = ")
    with caplog.at_level(logging.ERROR):
        bench.agent.look(told=False)
        bench.gate.filter.remove()
        bench.agent.look(told=True)
    assert bench.gate.filter.holds() == {"5.6.7.8/32"}
    assert caplog.text.count("this is not TOML") == 1
    assert "friends.toml:2" in bench.state().problem
    bench.write(ANNA)
    bench.agent.look(told=False)
    assert bench.state().problem == ""


def test_a_broken_list_after_a_restart_is_that_of_last_time(bench: Bench) -> None:
    bench.write(ANNA)
    bench.agent.look(told=True)
    bench.write("[[friend]]\nname = ")
    bench.gate.filter.remove()
    Agent(bench.gate, Lookups(bench._look_up), lambda: bench.time).look(told=True)
    assert bench.gate.filter.holds() == {"5.6.7.8/32"}


BROKEN = "[listen]\nport = \n"


def break_settings(bench: Bench, before: str = "[listen]\nport = 55440\n") -> None:
    """Have a list and settings applied, then write settings with a mistake on line 2."""
    bench.write(ANNA)
    bench.gate.places.settings.write_text(before)
    assert bench.agent.look(told=True) is not None
    bench.gate.places.settings.write_text(BROKEN)


def test_with_broken_settings_what_was_applied_last_stays_in_force_and_is_healed(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    break_settings(bench)
    bench.gate.filter.remove()
    with caplog.at_level(logging.ERROR):
        for _ in range(2):
            outcome = bench.agent.look(told=True)
            assert outcome is not None
            assert outcome.wall.ports == (55440,)
    assert bench.gate.filter.holds() == {"5.6.7.8/32"}
    assert bench.state().healed["count"] == 1
    assert "relay.toml:2" in bench.state().problem
    assert caplog.text.count("What was applied last stays in force") == 1


def test_with_broken_settings_who_gets_in_can_change(bench: Bench) -> None:
    allowlist = bench.gate.places.config_dir / "own"
    break_settings(bench, f'[gate]\nallowlist = "{allowlist}"\n')
    bench.write(friend("ben", 'ip = "5.6.7.9"'))
    bench.agent.look(told=False)
    assert bench.gate.filter.holds() == {"5.6.7.9/32"}
    assert "5.6.7.9" in allowlist.read_text()
    bench.gate.places.settings.write_text("")
    bench.agent.look(told=False)
    assert bench.state().problem == ""


def test_after_a_restart_of_the_host_the_wall_stands_again_with_broken_settings(bench: Bench) -> None:
    break_settings(bench)
    bench.write("[[friend]]\nname = ")
    bench.gate.filter.remove()
    outcome = Agent(bench.gate, Lookups(bench._look_up), lambda: bench.time).look(told=True)
    assert outcome is not None
    assert outcome.wall.ports == (55440,)
    assert bench.gate.filter.holds() == {"5.6.7.8/32"}
    assert "relay.toml:2" in bench.state().problem


def test_settings_that_are_refused_leave_those_of_before_in_force(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_settings(bench)
    monkeypatch.setattr(MemoryGate, "_check_ports", Gate._check_ports)
    monkeypatch.setattr(lockout, "ssh_ports", lambda: {2200})
    bench.gate.places.settings.write_text("[listen]\nport = 2200\n")
    bench.gate.filter.remove()
    outcome = bench.agent.look(told=True)
    assert outcome is not None
    assert outcome.wall.ports == (55440,)
    assert "port 2200 is the way in to this host" in bench.state().problem
    bench.gate.filter.remove()
    assert bench.agent.look(told=True) is not None
    assert bench.state().healed["count"] == 2


def test_broken_settings_that_nothing_was_applied_with_are_said(bench: Bench) -> None:
    bench.gate.places.settings.write_text(BROKEN)
    assert bench.agent.look(told=True) is None
    assert "relay.toml:2" in bench.state().problem


def test_a_filter_that_refuses_is_tried_again_and_said_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.write(ANNA)
    bench.gate.filter.refuses = "nft refused the rules"
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            bench.agent.look(told=False)
    assert caplog.text.count("nft refused the rules") == 1
    assert bench.state().problem == "nft refused the rules"
    bench.gate.filter.refuses = ""
    bench.agent.look(told=False)
    assert bench.gate.filter.holds() == {"5.6.7.8/32"}
    assert bench.state().problem == ""


def test_what_a_push_applied_is_not_undone(bench: Bench) -> None:
    bench.write(ANNA)
    bench.agent.look(told=True)
    apply.push(bench.gate, Push(friend("ben", 'ip = "5.6.7.9"')))
    bench.agent.look(told=True)
    assert bench.gate.filter.holds() == {"5.6.7.9/32"}
    assert bench.state().healed["count"] == 0


def test_while_somebody_applies_it_waits_its_turn(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.write(ANNA)
    real = state.locked
    monkeypatch.setattr(state, "locked", lambda path, patience=0.0: real(path, min(patience, 0.05)))
    with real(bench.gate.places.lock):
        assert bench.agent.look(told=True) is None
    assert bench.agent.look(told=True) is not None


def test_a_push_whose_timer_was_lost_is_taken_back(bench: Bench) -> None:
    apply.push(bench.gate, Push(ANNA))
    apply.push(bench.gate, Push(friend("ben", 'ip = "5.6.7.9"'), rollback_after=60))
    bench.agent.look(told=True)
    assert bench.gate.filter.holds() == {"5.6.7.9/32"}
    bench.pass_time(60 + commit_confirm.GRACE + 1)
    bench.agent.look(told=False)
    assert bench.gate.filter.holds() == {"5.6.7.8/32"}
    assert bench.state().rolled_back["why"] == "it was not confirmed in time"  # type: ignore[index]


def test_other_firewalls_are_looked_at_now_and_then(bench: Bench) -> None:
    bench.write(ANNA)
    programs = bench.gate.programs
    programs.answers["ufw status"] = "Status: inactive"  # type: ignore[attr-defined]

    def asked() -> int:
        return programs.ran.count("ufw status")  # type: ignore[attr-defined,no-any-return]

    bench.agent.look(told=True)
    first = asked()
    assert first
    bench.agent.look(told=True)
    assert asked() == first
    bench.pass_time(SURVEY)
    bench.agent.look(told=False)
    assert asked() == first + 1


def test_other_firewalls_that_cannot_be_understood_are_no_reason_to_forget_the_wall(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def survey(*_: object) -> list[Finding]:
        raise ValueError("this is not what anybody has thought of")

    monkeypatch.setattr(Coexistence, "survey", survey)
    bench.write(ANNA)
    with caplog.at_level(logging.WARNING):
        assert bench.agent.look(told=True) is not None
    assert bench.gate.filter.holds() == {"5.6.7.8/32"}
    assert bench.state().applied is not None
    assert "other firewalls could not be looked at (ValueError: this is not what anybody has thought of)" in caplog.text
    assert bench.agent.look(told=False) is None, "the next one is due in its time"


def test_for_a_firewall_that_is_newer_than_the_service_and_cannot_be_written_to_it_starts_anew_once(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    home = tmp_path / "ufw"
    monkeypatch.setattr(frontends, "HOMES", (home,))
    answers = {"ufw status": "Status: active\n", "ufw allow": ProgramError(["ufw"], 1, "Read-only file system")}
    bench.gate.programs = ScriptedPrograms(answers)
    agents = [Agent(bench.gate, Lookups(bench._look_up), lambda: bench.time)]
    home.mkdir()
    with caplog.at_level(logging.WARNING):
        assert agents[0].run() == 0
    assert f"{home} is newer than this service" in caplog.text
    # The one after it has found the folder there: what it is refused now is no matter of its start.
    agents.append(Agent(bench.gate, Lookups(bench._look_up), lambda: bench.time))
    bench.pass_time(SURVEY)
    outcome = agents[1].look(told=True)
    assert outcome is not None
    assert outcome.complaints
    assert not agents[1]._outdated


@pytest.mark.parametrize("name", ["state", "pending", "friends", "allowlist"])
def test_it_removes_at_its_start_what_a_power_loss_left_half_written(
    bench: Bench, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path: Path = getattr(bench.gate.places, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    left, other = path.with_name(f".{path.name}.ab_12xyz.unfinished"), path.with_name(f".{path.name}.original")
    left.write_text("{")
    other.write_text("mine")
    monkeypatch.setattr(Agent, "_work", lambda *_: None)
    assert bench.agent.run() == 0
    assert not left.exists()
    assert other.read_text() == "mine"


def test_it_removes_nothing_while_somebody_writes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A push that waits for the disk has a file that is not whole yet."""
    left = bench.gate.places.pending.with_name(".pending.json.ab_12xyz.unfinished")
    monkeypatch.setattr(Agent, "_work", lambda *_: None)
    with state.locked(bench.gate.places.lock):
        left.write_text("{")
        assert bench.agent.run() == 0
    assert left.exists()


def test_everything_that_is_written_is_written_under_the_lock(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the agent, at its start, could take away what another process is just writing."""
    real, written = files._write, set()

    def write(path: Path, text: str | None, like: Path | None) -> bool:
        assert state.holder(bench.gate.places.lock) == os.getpid(), f"{path.name} is written without the lock"
        written.add(path.name)
        return real(path, text, like)

    monkeypatch.setattr(files, "_write", write)
    monkeypatch.setattr(commit_confirm, "_detach", lambda _: None)
    monkeypatch.setattr(commit_confirm, "SYSTEMD", bench.gate.places.state_dir / "no systemd")
    bench.write(ANNA)
    assert bench.agent.look(told=True)
    tokens = [apply.push(bench.gate, Push(BEN, rollback_after=60))["token"] for _ in range(2)]
    assert commit_confirm.confirm(bench.gate, tokens[1])
    token = apply.push(bench.gate, Push(ANNA, rollback_after=60))["token"]
    bench.pass_time(100)
    assert commit_confirm.overdue(bench.gate) == token
    assert bench.agent.look(told=True)
    bench.gate.filter.refuses = "no"
    bench.write(ANNA)
    assert bench.agent.look(told=True) is None
    assert bench.state().problem == "no"
    bench.gate.filter.refuses = ""
    remove.remove(bench.gate)
    assert written >= {"gate.json", "pending.json", "friends.toml", "allowlist"}


def test_what_was_announced_while_somebody_applied_is_looked_at_afterwards(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A push may take seconds; rules that somebody flushed meanwhile would be missing for a minute."""
    bench.write(ANNA)
    bench.agent.look(told=True)
    bench.gate.filter.remove()
    monkeypatch.setattr(Agent, "_settle", busy_once(Agent._settle))
    assert bench.agent.look(told=True) is None
    assert bench.agent.look(told=False) is not None
    assert bench.gate.filter.holds() == {"5.6.7.8/32"}
    assert bench.agent.look(told=False) is None


@pytest.mark.parametrize("trouble", ["busy", "refused"])
def test_an_answer_that_came_at_a_bad_moment_is_used_in_the_next_round(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """It is asked again only after a minute: so long a friend with a new address would stay out."""
    bench.write(DORA)
    bench.agent.look(told=True)
    wait_for(lambda: bench.asked == 1, 10, "the look-up")
    if trouble == "busy":
        monkeypatch.setattr(Agent, "_settle", busy_once(Agent._settle))
    else:
        bench.gate.filter.refuses = "no"
    wait_for(lambda: bench.agent.look(told=False) is None and bench.agent._answered, 10, "the answer")
    bench.gate.filter.refuses = ""
    assert bench.agent.look(told=False) is not None
    assert bench.gate.filter.holds() == {"5.6.7.10/32"}
