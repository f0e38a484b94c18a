"""What a whole run of the tests leaves behind."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests import conftest
from tests.support import retroarch_releases

if TYPE_CHECKING:
    from collections.abc import Callable


class Session:
    """As much of pytest's configuration as is asked of it."""

    def __init__(self) -> None:
        self.cleanups: list[Callable[[], None]] = []

    def add_cleanup(self, what: Callable[[], None]) -> None:
        """Take note of what is to be done at the end."""
        self.cleanups.append(what)


def test_what_is_shared_by_all_runs_of_ansible_is_gone_with_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(conftest.PAYLOADS)
    session = Session()
    conftest.pytest_configure(session)  # type: ignore[arg-type]
    shared = Path(os.environ[conftest.PAYLOADS])
    (shared / "built").touch()
    (cleanup,) = session.cleanups
    cleanup()
    assert not shared.exists()


def test_an_ansible_that_still_writes_there_does_not_make_a_green_run_red(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(conftest.PAYLOADS)
    session = Session()
    conftest.pytest_configure(session)  # type: ignore[arg-type]
    shutil.rmtree(os.environ[conftest.PAYLOADS])  # as the worst that can happen in the middle of it
    (cleanup,) = session.cleanups
    cleanup()
    assert conftest.PAYLOADS not in os.environ


@pytest.mark.parametrize(
    ("ci", "lacking", "config", "code"),
    [
        ("true", "RetroArch 1.14 did not run", {}, 1),
        ("true", "", {}, 0),
        ("", "RetroArch 1.14 did not run", {}, 0),
        ("true", "RetroArch 1.14 did not run", {"workerinput": {}}, 0),
    ],
    ids=["CI", "CI that ran all", "a person's run", "a worker of xdist"],
)
def test_a_run_of_ci_without_the_releases_that_players_have_is_red(
    ci: str, lacking: str, config: dict[str, Any], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(retroarch_releases, "lacking", lambda: lacking)
    session = SimpleNamespace(config=SimpleNamespace(**config), exitstatus=0)
    conftest.pytest_sessionfinish(session)  # type: ignore[arg-type]
    assert session.exitstatus == code


@pytest.mark.parametrize(
    ("args", "marks", "has"),
    [
        (["tests"], "", True),
        (["tests/e2e/test_releases.py::test_one"], "", True),
        (["tests/unit", "tests/e2e"], "", True),
        (["tests/unit"], "", False),
        (["tests"], "not lab and not retroarch", False),
    ],
)
def test_releases_are_made_before_a_run_that_has_tests_for_them(args: list[str], marks: str, has: bool) -> None:
    config = SimpleNamespace(
        args=args,
        option=SimpleNamespace(markexpr=marks),
        invocation_params=SimpleNamespace(dir=Path(__file__).parents[3]),
    )
    assert conftest._has_end_to_end_tests(config) == has  # type: ignore[arg-type]
