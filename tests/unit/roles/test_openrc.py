"""Which process OpenRC runs for a service of ours, from folders that the test makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.templates import plugin

if TYPE_CHECKING:
    from pathlib import Path

OPENRC = plugin("module_utils/netplay_openrc.py")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return a /run in which the relay's supervisor is process 10."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "netplay-relay.pid").write_text("10\n")
    return tmp_path / "run"


def a_proc(folder: Path, *processes: tuple[int, str, int]) -> Path:
    for number, name, parent in processes:
        (folder / "proc" / str(number)).mkdir(parents=True)
        (folder / "proc" / str(number) / "stat").write_text(f"{number} ({name}) S {parent} 1 1 0 -1")
    return folder / "proc"


def test_a_services_process_is_its_supervisors_child_whatever_it_is_called(tmp_path: Path, run: Path) -> None:
    proc = a_proc(tmp_path, (1, "init", 0), (10, "supervise-daemo", 1), (11, "py) S 1 (x", 10), (12, "sh", 11))
    assert OPENRC.pid("netplay-relay", run, proc) == 11
    assert OPENRC.pids(run, proc) == {11: "netplay-relay"}


def test_a_service_that_is_down_or_whose_supervisor_waits_has_no_process(tmp_path: Path, run: Path) -> None:
    proc = a_proc(tmp_path, (1, "init", 0), (10, "supervise-daemo", 1))
    assert OPENRC.pid("netplay-relay", run, proc) == 0
    assert OPENRC.pid("netplay-relay-firewall", run, proc) == 0
    (run / "netplay-relay.pid").write_text("")
    assert OPENRC.pids(run, proc) == {}


def test_a_service_is_known_by_its_script(tmp_path: Path) -> None:
    assert not OPENRC.is_known("netplay-relay", tmp_path)
    (tmp_path / "netplay-relay").touch()
    assert OPENRC.is_known("netplay-relay", tmp_path)
