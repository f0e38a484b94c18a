"""Molecule's scenarios, each run as `invoke testbed.test` runs it; and that nothing of one is ever left."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import labs
from tests.support.waiting import wait_for
from toolkit.console import ROOT
from toolkit.lab import network
from toolkit.testbed import containers, leftovers, podman, run, scenarios

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from toolkit.testbed.molecule import Step

# A scenario takes half a minute to two on an idle machine.
pytestmark = [pytest.mark.lab, pytest.mark.timeout(1100)]

RUN_HERE = [name for name in scenarios.names() if scenarios.load(name).runs_here]


@pytest.fixture(autouse=True)
def apart(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Give the test testbeds of its own: others try the same scenarios at the same time."""
    labs.need_root()
    # A lab's name has at most 20 letters, and "firewalld" is nine of them.
    prefix = os.environ.get("NETPLAY_TEST_LABS", f"t{secrets.token_hex(3)}-")
    own = "k" if request.function is test_down_leaves_nothing_of_a_run_that_was_killed_in_the_middle else ""
    monkeypatch.setenv(scenarios.PREFIX, prefix + own)
    # Nothing is asked of a registry: containers are made of the lab's own root file system.
    monkeypatch.setenv(containers.IMAGE, podman.LOCAL)
    # Short: the path of a socket for ssh is below it. Whoever runs the tests may choose where, as for the names.
    chosen = os.environ.get("NETPLAY_TEST_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", tempfile.mkdtemp(dir=chosen) if chosen else str(tmp_path_factory.mktemp("c")))


@pytest.fixture
def scenario(request: pytest.FixtureRequest) -> Iterator[scenarios.Scenario]:
    """Return a scenario; nothing of it is there afterwards."""
    found = scenarios.load(request.param)
    yield found
    leftovers.remove(found)


@pytest.mark.parametrize("scenario", RUN_HERE, indirect=True)
def test_a_scenario_is_green_and_leaves_nothing(scenario: scenarios.Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    traces = _seen_while_up(monkeypatch)
    result = run.try_one(scenario)
    assert result.good, "\n".join(["it is red", *result.why])
    assert [step.name for step in result.run.steps if not step.good] == []
    assert traces, "nobody looked while it was up: this proves nothing"
    for seen in traces:
        assert seen.processes, "nothing ran: this proves nothing"
        assert seen.left() == []
    assert leftovers.processes(scenario.state) == []
    assert podman.groups(scenario.lab) == []


def _seen_while_up(monkeypatch: pytest.MonkeyPatch) -> list[labs.Traces]:
    """Return what a scenario occupies as its last steps begin: where it is gone, nothing would be known of it."""
    found: list[labs.Traces] = []
    usual = run._teller

    def teller(scenario: scenarios.Scenario) -> Callable[[Step], None]:
        tell = usual(scenario)

        def look(at: Step) -> None:
            if at.name in {"side_effect", "verify"} and not at.outcome:
                found.append(labs.Traces.of(scenario.lab))
            tell(at)

        return look

    monkeypatch.setattr(run, "_teller", teller)
    return found


# podman has processes, mounts and a cgroup that are not the lab's.
@pytest.mark.parametrize("scenario", ["iptables", "podman"], indirect=True)
def test_down_leaves_nothing_of_a_run_that_was_killed_in_the_middle(scenario: scenarios.Scenario) -> None:
    argv = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), "testbed.test", "--scenario", scenario.name]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, start_new_session=True) as task:
        wait_for(lambda: _is_deploying(scenario), 300.0, "the first look at the host")
        traces = labs.Traces.of(scenario.lab)
        for pid in [task.pid, *(pid for pid in leftovers.processes(scenario.state) if "molecule" in _words(pid))]:
            os.kill(pid, signal.SIGKILL)
    orphans = leftovers.processes(scenario.state)
    assert orphans, "what Molecule had started ended by itself: this proves nothing"
    assert traces.processes, "the lab was not up: this proves nothing"
    typed = subprocess.run(
        [*argv[:-3], "testbed.down", "--scenario", scenario.name],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (typed.returncode, "is down" in typed.stdout) == (0, True), typed.stderr
    assert traces.left() == []
    assert (leftovers.processes(scenario.state), scenario.state.exists()) == ([], False)
    assert (network.mounts_below(scenario.state), podman.groups(scenario.lab)) == ([], [])


def _is_deploying(scenario: scenarios.Scenario) -> bool:
    """Whether Ansible has come as far as the roles."""
    time.sleep(0.2)  # a look at every process is no small one
    return any(word.endswith("converge.yml") for pid in leftovers.processes(scenario.state) for word in _words(pid))


def _words(pid: int) -> list[str]:
    """Return the words that a process was started with; none when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return []
