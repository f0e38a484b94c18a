"""A person's mistake ends a task with a sentence, what to type next, and an exit code; never with a traceback."""

from __future__ import annotations

import subprocess
import sys

import pytest

from toolkit.console import ROOT, as_typed
from toolkit.errors import HOST_UNUSABLE, INTERRUPTED, UserError, user_errors


def test_a_mistake_is_printed_with_its_fix_and_its_exit_code(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NETPLAY_RELAY_COMMAND", raising=False)

    @user_errors
    def task() -> None:
        raise UserError("myvps is not there", fix="Look again.\nThen: invoke deploy", exit_code=HOST_UNUSABLE)

    with pytest.raises(SystemExit) as caught:
        task()
    assert caught.value.code == HOST_UNUSABLE
    assert capsys.readouterr().err == "error: myvps is not there\n  Look again.\n  Then: invoke deploy\n"


def test_ctrl_c_is_no_traceback_either(capsys: pytest.CaptureFixture[str]) -> None:
    @user_errors
    def task() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as caught:
        task()
    assert caught.value.code == INTERRUPTED
    assert "Ctrl-C" in capsys.readouterr().err


def test_a_mistake_of_ours_keeps_its_traceback() -> None:
    @user_errors
    def task() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        task()


def test_commands_are_shown_as_the_person_typed_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETPLAY_RELAY_COMMAND", "/home/me/my relay/bootstrap")
    assert as_typed("To take it down: invoke lab.down") == "To take it down: '/home/me/my relay/bootstrap' lab.down"
    assert as_typed(".venv/bin/invoke --list, to invoke: it") == ".venv/bin/invoke --list, to invoke: it"


@pytest.mark.parametrize("task", ["friends.add", "friends.remove", "xbps.lint"])
def test_help_after_a_task_that_needs_a_name_is_no_name(task: str) -> None:
    argv = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), task, "--help"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{task} [--options]" in done.stdout
