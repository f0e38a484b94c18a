"""How systemd's units stand: known, running, and running with what is installed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.templates import plugin

if TYPE_CHECKING:
    from pathlib import Path

UNITS = plugin("module_utils/netplay_units.py")
START = 1_700_000_000
# The relay was started 1000 s after the boot, and that is an hour ago.
NOW = UNITS.Clock(START + 3600.0, 4600.0)
NAME = "netplay-relay.service"
RELOADED = (
    "{{ path=/usr/bin/python3 ; argv[]=/usr/bin/python3 x ; ignore_errors=no ; start_time=[@{at}] ; "
    "stop_time=[@{at}] ; pid=9 ; code=exited ; status={status} }}"
)


def shown(**properties: str) -> str:
    usual = {
        "Id": NAME,
        "LoadState": "loaded",
        "ActiveState": "active",
        "FragmentPath": f"/etc/systemd/system/{NAME}",
        "NeedDaemonReload": "no",
        "MainPID": "77",
        "InactiveExitTimestampMonotonic": "950000000",
        "ExecMainStartTimestampMonotonic": "1000000000",
    }
    return "".join(f"{name}={value}\n" for name, value in {**usual, **properties}.items())


def look(text: str, *files: Path, now: Any = NOW) -> dict[str, Any]:
    found: dict[str, Any] = UNITS.look({NAME: list(files)}, lambda _: text, now)[NAME]
    return found


def written(folder: Path, moment: float) -> Path:
    path = folder / "relay.toml"
    path.touch()
    os.utime(path, (moment, moment))
    return path


def test_a_unit_that_runs_with_what_is_installed_is_fine(tmp_path: Path) -> None:
    found = look(shown(), written(tmp_path, START - 1))
    assert found == {"known": True, "runs": True, "active": True, "pid": 77, "outdated": []}


def test_a_unit_that_systemd_does_not_know_neither_runs_nor_is_outdated(tmp_path: Path) -> None:
    missing = f"Id={NAME}\nLoadState=not-found\nActiveState=inactive\nNeedDaemonReload=no\n"
    found = look(missing, written(tmp_path, START))
    assert found == {"known": False, "runs": False, "active": False, "pid": 0, "outdated": []}


@pytest.mark.parametrize(("state", "is_active"), [("activating", False), ("deactivating", False), ("reloading", True)])
def test_what_is_between_two_attempts_runs_and_cannot_be_reloaded(state: str, is_active: bool) -> None:
    found = look(shown(ActiveState=state))
    assert (found["runs"], found["active"]) == (True, is_active)


@pytest.mark.parametrize(("after", "is_outdated"), [(-1, False), (0.9, False), (1, True), (60, True)])
def test_a_file_is_outdated_when_it_was_written_after_the_start(
    tmp_path: Path, after: float, is_outdated: bool
) -> None:
    path = written(tmp_path, START + after)
    assert look(shown(), path)["outdated"] == ([str(path)] if is_outdated else [])


@pytest.mark.parametrize("ahead", [1, 3600, 86400 * 400])
def test_a_file_with_a_time_in_the_future_counts_for_nothing(tmp_path: Path, ahead: float) -> None:
    """A host without a battery for its clock: what it wrote while that was ahead would be newer for ever."""
    assert look(shown(), written(tmp_path, NOW.time + ahead))["outdated"] == []


@pytest.mark.parametrize("step", [-86400 * 400, -3600, 3600, 86400 * 400])
def test_a_clock_that_was_set_since_the_start_makes_no_file_look_newer(tmp_path: Path, step: float) -> None:
    """Files as old as the machine, and one that was really written since."""
    now = UNITS.Clock(NOW.time + step, NOW.monotonic)
    assert look(shown(), written(tmp_path, now.time - 3601), now=now)["outdated"] == []
    assert look(shown(), written(tmp_path, now.time - 60), now=now)["outdated"] != []


def test_a_reload_that_is_said_to_come_counts_for_nothing(tmp_path: Path) -> None:
    reload = RELOADED.format(at=int(NOW.time) + 3600, status=0)
    assert look(shown(ExecReload=reload), written(tmp_path, NOW.time - 60))["outdated"] != []


def test_a_link_counts_by_itself_and_not_by_where_it_leads(tmp_path: Path) -> None:
    target = written(tmp_path, START + 60)
    link = tmp_path / "current"
    link.symlink_to(target)
    os.utime(link, (START - 60, START - 60), follow_symlinks=False)
    assert look(shown(), link)["outdated"] == []


@pytest.mark.parametrize(("status", "is_outdated"), [(0, False), (1, True)])
def test_a_reload_counts_when_it_went_well(tmp_path: Path, status: int, is_outdated: bool) -> None:
    reload = RELOADED.format(at=START + 100, status=status)
    assert bool(look(shown(ExecReload=reload), written(tmp_path, START + 90))["outdated"]) == is_outdated


def test_a_socket_has_no_main_process_and_counts_from_when_it_opened(tmp_path: Path) -> None:
    socket = shown(ExecMainStartTimestampMonotonic="0", MainPID="")
    assert look(socket, written(tmp_path, START - 60))["outdated"] == []
    assert look(socket, written(tmp_path, START - 40))["outdated"] != []


def test_a_unit_file_that_systemd_has_not_read_is_outdated() -> None:
    assert look(shown(NeedDaemonReload="yes"))["outdated"] == [f"/etc/systemd/system/{NAME}"]


def test_several_units_are_told_apart() -> None:
    text = shown() + "\n" + shown(Id="netplay-relay.socket", ActiveState="inactive")
    found = UNITS.look({NAME: [], "netplay-relay.socket": []}, lambda _: text)
    assert (found[NAME]["runs"], found["netplay-relay.socket"]["runs"]) == (True, False)
