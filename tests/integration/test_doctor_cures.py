"""Breaks one real host in many ways: the doctor names the cause first, and its first cure, typed as printed, works."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.breakages import BREAKAGES, PUT_BACK, Breakage
from tests.support.gate_lab import GateLab, a_fleet
from tests.support.waiting import wait_for
from toolkit import console
from toolkit.console import ROOT
from toolkit.doctor import igd, probe, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

# The agent looks at its files every 5 s; a relay that was started again counts as well after some seconds.
SOON = 60.0
CURE = re.compile(r"^ +-> (.*)$", re.MULTILINE)
# Its findings, each with what belongs to it.
FINDING = re.compile(r"^(?:BAD|WARN) .*\n(?: .*\n)*", re.MULTILINE)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GateLab]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("owner")))
        # Each breakage is looked at twice and more: what only takes time to tell more of the network is cut short.
        patched.setattr(probe, "SAMPLES", 2)
        patched.setattr(probe, "ANSWER", 1.0)
        patched.setattr(probe, "CONNECT", 1.0)
        patched.setattr(igd, "SEARCH_SECONDS", 0.1)
        with a_fleet(tmp_path_factory.mktemp("fleet"), {"relay": "true"}) as fleet:
            yield fleet["relay"]


@pytest.fixture
def doctor(
    host: GateLab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], tuple[int, str]]]:
    """Return what types the owner's doctor: its exit code and what it printed, on a wide terminal."""

    def typed() -> tuple[int, str]:
        capsys.readouterr()
        code = run.doctor(host.place, None)
        return code, capsys.readouterr().out

    monkeypatch.setenv("COLUMNS", "1000")
    console.console.cache_clear()
    yield typed
    console.console.cache_clear()


@pytest.fixture
def well(host: GateLab) -> Iterator[list[Breakage]]:
    """Yield a list of what was mended; put the host back where it stays empty, so that the others are judged alone."""
    mended: list[Breakage] = []
    yield mended
    if not mended:
        subprocess.run(host.lab.inside("relay", ["sh", "-c", PUT_BACK]), capture_output=True, check=False, timeout=120)
        host.invokes("deploy")
        host.host.run("systemctl", "restart", "netplay-relay-firewall", "netplay-relay.socket", "netplay-relay.service")


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda one: one.name)
def test_the_first_finding_is_the_cause_and_its_first_cure_works(
    host: GateLab, doctor: Callable[[], tuple[int, str]], well: list[Breakage], breakage: Breakage
) -> None:
    host.host.run("sh", "-ec", breakage.how)
    inside = host.lab.inside("relay", ["sh", "-c", breakage.until])
    wait_for(lambda: subprocess.run(inside, check=False, timeout=60).returncode == 0, SOON, breakage.name)
    code, said = doctor()
    found = FINDING.search(said)
    assert code, f"nothing was found:\n{said}"
    assert found, said
    seen, arrow, _ = found[0].partition("->")
    assert breakage.cause in seen, said
    assert arrow, said
    if breakage.friend:
        assert breakage.friend in as_friend(host)
    first = CURE.search(found[0])
    assert first, said
    typed(first[1])

    def is_well() -> bool:
        nonlocal code, said
        code, said = doctor()
        return code == 0

    wait_for(is_well, SOON, f"all to be well after: {first[1]}")
    assert host.plays("friend") == [True, True]
    host.host.run("sh", "-c", breakage.undo)
    well.append(breakage)


def as_friend(host: GateLab) -> str:
    """Return the first finding of a friend's doctor."""
    argv = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), "doctor"]
    argv.append(f"--relay={host.lab.node('relay').ipv4}")
    environment = {**os.environ, "COLUMNS": "1000", "TERM": "dumb"}
    done = subprocess.run(
        host.lab.command("friend", argv), capture_output=True, text=True, check=False, timeout=120, env=environment,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    found = FINDING.search(done.stdout)
    return found[0] if found else done.stdout + done.stderr


def typed(command: str) -> None:
    """Type a command line as it was printed, where the owner types it."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=False, timeout=300, env=environment, cwd=ROOT,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
