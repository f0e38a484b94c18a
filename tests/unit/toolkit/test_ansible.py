"""How ansible is run: with our settings alone, through the same login, and what its end means."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from toolkit.deploy import ansible
from toolkit.errors import DEPLOY_FAILED, HOST_UNUSABLE, PREFLIGHT_REFUSED, UserError
from toolkit.ssh.connection import Connection

LINK = Connection("myvps", None, Path("/home/me/my ssh config"))


@pytest.fixture
def run(tmp_path: Path) -> ansible.Run:
    """Return a run with its files."""
    return ansible.Run("deploy", tmp_path / "inventory.yml", tmp_path / "variables.json", tmp_path)


def pretend(monkeypatch: pytest.MonkeyPatch, run: ansible.Run, code: int, recap: object | None) -> None:
    """Let a program that leaves this recap and ends with this code stand for ansible."""
    text = "" if recap is None else json.dumps(recap)
    program = f"import sys, pathlib; t={text!r}; t and pathlib.Path({str(run.recap)!r}).write_text(t); sys.exit({code})"
    monkeypatch.setattr(ansible.Run, "argv", lambda _: [sys.executable, "-c", program])


def test_a_run_tells_how_much_it_changed(monkeypatch: pytest.MonkeyPatch, run: ansible.Run) -> None:
    pretend(monkeypatch, run, 0, {"changed": 3, "failed": 0, "unreachable": 0, "failed_role": ""})
    assert ansible.play(run, LINK) == 3


@pytest.mark.parametrize(
    ("recap", "exit_code", "sentence"),
    [
        ({"changed": 0, "failed": 1, "unreachable": 0, "failed_role": "preflight"}, PREFLIGHT_REFUSED, "left as it is"),
        ({"changed": 2, "failed": 1, "unreachable": 0, "failed_role": "relay"}, DEPLOY_FAILED, "half-way"),
        ({"changed": 2, "failed": 0, "unreachable": 1, "failed_role": ""}, HOST_UNUSABLE, "stopped answering"),
        (None, DEPLOY_FAILED, "half-way"),
        ({"unknown": 1}, DEPLOY_FAILED, "half-way"),
    ],
)
def test_a_failure_ends_with_the_exit_code_that_fits(
    monkeypatch: pytest.MonkeyPatch, run: ansible.Run, recap: object, exit_code: int, sentence: str
) -> None:
    pretend(monkeypatch, run, 2, recap)
    with pytest.raises(UserError, match=sentence) as caught:
        ansible.play(run, LINK)
    assert caught.value.exit_code == exit_code
    assert "myvps" in caught.value.message


def test_a_run_without_a_recap_is_never_taken_for_a_success(monkeypatch: pytest.MonkeyPatch, run: ansible.Run) -> None:
    pretend(monkeypatch, run, 0, None)
    with pytest.raises(UserError):
        ansible.play(run, LINK)


def test_a_run_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch, run: ansible.Run) -> None:
    monkeypatch.setattr(ansible, "PLAYBOOK_SECONDS", 0.2)
    monkeypatch.setattr(ansible.Run, "argv", lambda _: [sys.executable, "-c", "import time; time.sleep(60)"])
    with pytest.raises(UserError, match="not come to an end"):
        ansible.play(run, LINK)


def test_settings_of_another_ansible_project_have_no_effect(monkeypatch: pytest.MonkeyPatch, run: ansible.Run) -> None:
    monkeypatch.setenv("ANSIBLE_STRATEGY", "free")
    environment = run.environment(LINK)
    assert "ANSIBLE_STRATEGY" not in environment
    assert environment["ANSIBLE_HOME"].startswith(str(run.scratch))
    assert "'/home/me/my ssh config'" in environment["ANSIBLE_SSH_ARGS"]


def test_a_look_ahead_is_a_check_with_a_diff_and_a_password_is_no_argument(run: ansible.Run) -> None:
    looked = ansible.Run(run.playbook, run.inventory, run.variables, run.scratch, True, "secret")
    assert {"--check", "--diff"} <= set(looked.argv())
    assert "secret" not in " ".join(looked.argv())
    assert "--check" not in run.argv()
