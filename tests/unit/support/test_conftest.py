"""What a whole run of the tests leaves behind."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tests import conftest

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


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
