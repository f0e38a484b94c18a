"""How runit's services stand, from a folder of services that the test makes; and a command line's worth of sv."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.templates import plugin

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNIT = plugin("module_utils/netplay_runit.py")
NAME = "netplay-relay"


class Service:
    """A service as runsv keeps it below a folder, whose process is this one."""

    def __init__(self, sources: Path) -> None:
        self.sources, self.folder = sources, sources / NAME
        (self.folder / "supervise").mkdir(parents=True)
        (self.folder / "run").write_text("#!/bin/sh\n")
        os.mkfifo(self.folder / "supervise" / "ok")
        self.runs(os.getpid())

    def runs(self, pid: int | str) -> None:
        (self.folder / "supervise" / "pid").write_text(f"{pid}\n")

    def look(self, *files: Path, said: str = "") -> dict[str, Any]:
        found: dict[str, Any] = RUNIT.look({NAME: list(files)}, lambda: said, self.sources)[NAME]
        return found


@contextmanager
def a_child(argv: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a program once it has printed a line; it ends when its input does."""
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield child


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """Yield a service that a supervisor looks after: it has the pipe `ok` open for reading."""
    made = Service(tmp_path)
    end = os.open(made.folder / "supervise" / "ok", os.O_RDONLY | os.O_NONBLOCK)
    yield made
    os.close(end)


def written(folder: Path, moment: float) -> Path:
    path = folder / "relay.toml"
    path.touch()
    os.utime(path, (moment, moment))
    return path


def test_a_service_that_runs_with_what_is_installed_is_fine(service: Service, tmp_path: Path) -> None:
    found = service.look(written(tmp_path, 0))
    assert found == {"known": True, "runs": True, "active": False, "pid": os.getpid(), "outdated": []}


def test_a_file_written_after_the_process_began_is_outdated(service: Service, tmp_path: Path) -> None:
    path = written(tmp_path, time.time() - 60)
    said = json.dumps({"pid": os.getpid(), "age": 120})
    assert service.look(path, said=said)["outdated"] == [str(path)]


@pytest.mark.parametrize("ahead", [5, 3600, 86400 * 400])
def test_a_file_with_a_time_in_the_future_counts_for_nothing(service: Service, tmp_path: Path, ahead: float) -> None:
    assert service.look(written(tmp_path, time.time() + ahead))["outdated"] == []


@pytest.mark.parametrize(("words", "is_it"), [(["serve"], True), (["preserve"], False), ([], False)])
def test_a_service_is_active_when_its_process_is_the_relay(
    service: Service, tmp_path: Path, words: list[str], is_it: bool
) -> None:
    """Before, it is a shell that waits: nothing that could become another release in place."""
    script = "import sys; print(flush=True); sys.stdin.read()"
    with a_child(["python3", "-I", "-c", script, *words]) as child:
        service.runs(child.pid)
        assert (service.look()["active"], service.look()["pid"]) == (is_it, child.pid)


def test_a_program_that_became_another_in_place_is_as_old_as_it_says(service: Service, tmp_path: Path) -> None:
    path = written(tmp_path, time.time() - 60)
    young, old = (json.dumps({"pid": os.getpid(), "age": age}) for age in (30, 90))
    assert (service.look(path, said=young)["outdated"], service.look(path, said=old)["outdated"]) == ([], [str(path)])


@pytest.mark.parametrize("said", ["", "no answer", "[]", '{"pid": "x"}', '{"pid": 1, "age": 9999999}'])
def test_an_answer_of_another_process_or_none_counts_for_nothing(service: Service, tmp_path: Path, said: str) -> None:
    assert service.look(written(tmp_path, 0), said=said)["outdated"] == []


def test_without_a_supervisor_or_a_process_nothing_runs(service: Service, tmp_path: Path) -> None:
    service.runs("")
    assert service.look() == {"known": True, "runs": False, "active": False, "pid": 0, "outdated": []}
    other = Service(tmp_path / "unsupervised")
    assert (other.look()["runs"], RUNIT.is_supervised(NAME, other.sources)) == (False, False)
    assert RUNIT.look({"missing": []}, str, tmp_path)["missing"]["known"] is False


def test_processes_are_told_by_the_service_that_they_are_of(service: Service) -> None:
    assert RUNIT.pids(service.sources) == {os.getpid(): NAME}
    service.runs("")
    assert RUNIT.pids(service.sources) == {}


def test_the_age_of_a_process_is_counted_in_seconds_since_it_began() -> None:
    begun = time.monotonic()
    first = RUNIT.age(os.getpid())
    threading.Event().wait(0.05)
    second = RUNIT.age(os.getpid())
    assert 0 < second - first < time.monotonic() - begun + 0.1
    assert RUNIT.age(2**22 + 1) is None


@pytest.mark.parametrize(
    ("said", "ready"),
    [
        ("ok: run: netplay-relay: (pid 9) 3s; run: log: (pid 8) 3s", True),
        ("ok: down: netplay-relay: 3s, normally up; run: log: (pid 8) 3s", False),
        ("timeout: run: netplay-relay: (pid 9) 3s", False),
        ("", False),
    ],
)
def test_what_is_down_is_not_ready_although_sv_says_ok(said: str, ready: bool) -> None:
    assert RUNIT.is_ready(said) is ready
