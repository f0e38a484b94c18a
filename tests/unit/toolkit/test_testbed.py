"""What is read out of Molecule: scenarios, steps as they go by, why one is red; and what is made of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from toolkit.errors import UserError
from toolkit.testbed import failure, game, leftovers, molecule, previous, run, scenarios, services, support
from toolkit.testbed.molecule import Run, Step

SAID = """\
INFO     [default > discovery] scenario test matrix: destroy, create, converge, verify, destroy
INFO     [default > destroy] Executing
WARNING  [default > destroy] Skipping, '--destroy=never' requested.
INFO     [default > destroy] Executed: Successful
INFO     [default > create] Executing
PLAY [Create the hosts of the scenario] ***
INFO     [default > create] Executed: Successful
INFO     [default > prepare] Executing
WARNING  [default > prepare] Executed: Missing playbook (Remove from test_sequence to suppress)
INFO     [default > verify] Executing
ERROR    [default > verify] Executed: Failed
default > create: Executed: Successful
"""
RED = """\
INFO     [default > verify] Executing
..F.
=================================== FAILURES ===================================
________________ test_the_relay_listens_on_both_families[relay] ________________
../shared/tests/test_relay.py:49: in test_the_relay_listens_on_both_families
    assert relay.over.socket(f"tcp://{address}:{PORT}").is_listening
E   AssertionError: assert False
1 failed, 14 passed in 9.32s
CRITICAL Verifier tests failed

DETAILS
default > verify: Executed: Failed
"""


def test_steps_are_read_as_they_go_by_and_what_was_skipped_is_none() -> None:
    steps: list[Step] = []
    told = [(step.name, step.outcome) for step in molecule._steps(iter(SAID.splitlines()), steps)]
    assert told[:3] == [("destroy", ""), ("create", ""), ("create", "Successful")]
    assert [(step.name, step.good, step.did_something) for step in steps] == [
        ("create", True, True),
        ("prepare", True, False),
        ("verify", False, True),
    ]


def test_a_red_scenario_ends_with_the_assertion(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(RED)
    shown = failure.assertion(Run(2, log).lines())
    assert shown[0].startswith("____")
    assert "E   AssertionError: assert False" in shown
    assert shown[-1] == "CRITICAL Verifier tests failed"


def test_what_failed_without_a_known_word_is_shown_by_its_end() -> None:
    assert failure.assertion([f"line {number}" for number in range(100)])[-1] == "line 99"


def test_every_scenario_can_be_read_and_names_a_known_kind_of_host() -> None:
    assert scenarios.names()[0] == "default"
    wanted = {"default", "iptables", "ufw", "firewalld", "lockout", "upgrade", "remove", "podman"}
    assert wanted <= set(scenarios.names())
    for name in scenarios.names():
        found = scenarios.load(name)
        assert found.steps[0] == found.steps[-1] == "destroy", "a scenario begins and ends with nothing"
        assert {told.get("testbed_rootfs", "bookworm") for told in found.relays.values()} <= set(support.KINDS)
        assert len(f"ci12345678-{name}") <= 20, "the name of its lab would be too long"


def test_molecules_own_last_step_is_gone_through_by_the_default_scenario_and_by_those_that_differ() -> None:
    shown = {name for name in scenarios.names() if scenarios.load(name).shows_its_end}
    assert shown == {"default", "docker", "podman"}


def test_a_scenario_nobody_wrote_is_refused_with_those_there_are() -> None:
    with pytest.raises(UserError, match="there is no scenario 'nosuch'\nChoose one of: default, "):
        scenarios.load("nosuch")
    with pytest.raises(UserError, match="--all and --scenario were both given"):
        run.chosen(["default"], everything=True)


def test_the_support_matrix_is_what_the_scenarios_show() -> None:
    assert support.FILE.read_text() == support.text(), "python -m toolkit.testbed.support"


def test_molecule_is_told_nothing_of_a_persons_own_ansible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_CONFIG", "/etc/ansible/ansible.cfg")
    monkeypatch.setenv("MOLECULE_GLOB", "nowhere")
    found = molecule.environment(scenarios.load("default"))
    assert "ANSIBLE_CONFIG" not in found
    assert "MOLECULE_GLOB" not in found
    assert found["PATH"].startswith(f"{Path(sys.executable).parent}{os.pathsep}")


def test_what_was_started_for_a_testbed_is_found_and_ended_and_nothing_else(tmp_path: Path) -> None:
    sleeper = [sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"]
    mine = {**os.environ, "MOLECULE_EPHEMERAL_DIRECTORY": str(tmp_path / "mine")}
    others = {**os.environ, "MOLECULE_EPHEMERAL_DIRECTORY": str(tmp_path / "mine-too")}
    with (
        subprocess.Popen(sleeper, env=mine, stdout=subprocess.PIPE) as one,
        subprocess.Popen(sleeper, env=others, stdout=subprocess.PIPE) as other,
    ):
        for process in (one, other):
            assert process.stdout is not None
            process.stdout.readline()
        try:
            assert leftovers.processes(tmp_path / "mine") == [one.pid]
            # It stays as a zombie, which has no environment any more, until this process has asked for it.
            assert leftovers.end_processes(tmp_path / "mine") == [one.pid]
            assert (one.wait(10), other.poll()) == (-9, None)
        finally:
            other.kill()


def test_the_release_before_is_another_one_with_another_number(tmp_path: Path) -> None:
    built = previous.build(tmp_path)
    said = subprocess.run([sys.executable, "-I", built.path, "--version"], capture_output=True, text=True, check=True)
    assert said.stdout.split()[-1].startswith(previous.NUMBER) or previous.NUMBER in said.stdout
    assert previous.build(tmp_path).id == built.id


def test_a_game_that_is_over_is_told_with_its_reason(tmp_path: Path) -> None:
    game.Standing(rounds=7, problem="after 7 rounds: the relay lost bytes").save(tmp_path / "game.json")
    with pytest.raises(UserError, match="the game is over after 7 rounds: the relay lost bytes"):
        game.look(tmp_path / "game.json")


@pytest.mark.parametrize("init", ["systemd", "runit", "openrc"])
def test_every_init_is_asked_the_same(init: str) -> None:
    for question in services.of(f"{init}\n").questions("netplay-relay"):
        assert "netplay-relay" in question
    with pytest.raises(UserError, match="init"):
        services.of("upstart")
