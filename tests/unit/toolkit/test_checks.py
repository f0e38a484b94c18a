"""invoke test: every check runs, each failure is told, and a check that cannot run has failed."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from toolkit.console import ROOT
from toolkit.dev import checks
from toolkit.dev.checks import Check


def test_all_shell_programs_of_the_checkout_are_checked() -> None:
    files = checks.shell_files()
    assert {"bootstrap", ".ci/run"} <= set(files)
    for name in files:
        assert (ROOT / name).read_text().startswith("#!/bin/"), name
    for name in ("bootstrap", ".ci/run"):
        assert (ROOT / name).stat().st_mode & stat.S_IXUSR, f"{name} cannot be run"


def test_a_check_that_is_not_installed_has_failed() -> None:
    result = checks.run(Check("nothing", ("no-such-program",)))
    assert not result.good
    assert "not installed" in result.output


def test_a_check_that_hangs_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "CHECK_SECONDS", 0.2)
    result = checks.run(Check("slow", (Path(sys.executable).name, "-c", "import time; time.sleep(60)")))
    assert not result.good
    assert "did not end" in result.output


def test_every_failure_is_told_and_not_only_the_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    python = Path(sys.executable).name
    monkeypatch.setattr(
        checks,
        "checks",
        lambda: [
            Check("one", (python, "-c", "print('first words'); raise SystemExit(1)")),
            Check("two", (python, "-c", "")),
            Check("three", (python, "-c", "print('last words'); raise SystemExit(1)")),
        ],
    )
    assert [result.name for result in checks.run_all()] == ["one", "three"]
    output = capsys.readouterr().out
    assert "first words" in output
    assert "last words" in output


def test_a_failed_check_fails_the_whole_even_when_the_tests_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    from toolkit.tasks.test import run_tests

    monkeypatch.setattr(checks, "run_all", lambda: [checks.Result("types", False, 1.0, "")])
    monkeypatch.setattr(checks, "pytest_argv", lambda **_: [sys.executable, "-c", ""])
    with pytest.raises(SystemExit) as caught:
        run_tests.body(None)
    assert caught.value.code == 1


def test_fast_leaves_out_what_needs_the_lab_or_retroarch() -> None:
    assert checks.pytest_argv(fast=True)[-2:] == ["-m", "not lab and not retroarch"]


def test_nothing_is_left_out_otherwise() -> None:
    assert "-m" not in checks.pytest_argv()[3:]


def test_the_menu_is_a_list_of_verbs_with_one_line_each_and_no_short_options() -> None:
    invoke = [sys.executable, "-m", "invoke", "--search-root", str(ROOT)]
    listed = subprocess.run(
        [*invoke, "--list", "--list-format", "json"], capture_output=True, text=True, check=True, timeout=60
    )
    import json

    menu = json.loads(listed.stdout)
    tasks = menu["tasks"] + [task for folder in menu["collections"] for task in folder["tasks"]]
    assert {"deploy", "test", "add", "list", "up", "down", "status", "ssh"} <= {task["name"] for task in tasks}
    for task in tasks:
        assert task["help"].endswith("."), f"{task['name']} has no help"
    shown = subprocess.run([*invoke, "--help", "deploy"], capture_output=True, text=True, check=True, timeout=60).stdout
    assert "--host" in shown
    assert "-h " not in shown
