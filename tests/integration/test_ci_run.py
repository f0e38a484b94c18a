"""What the program that a machine runs on every change leaves behind when it is cut short: nothing of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support import labs
from tests.support.waiting import wait_for
from toolkit.console import ROOT
from toolkit.lab import state
from toolkit.testbed import leftovers

pytestmark = pytest.mark.lab

# Stands for the checks and tests: a lab and a testbed are up, and somebody is at work in it.
AT_WORK = """\
#!/bin/sh
set -eu
testbed=$NETPLAY_TEST_CACHE/a/netplay-relay/testbed/${NETPLAY_TEST_LABS}default
mkdir -p "$testbed"
MOLECULE_EPHEMERAL_DIRECTORY=$testbed setsid --fork sleep 600
spec='{"name": "'"${NETPLAY_TEST_LABS}x"'", "nodes": [{"name": "friend", "kind": "client"}]}'
.venv/bin/python -m toolkit.lab --porcelain up --spec "$spec" >/dev/null
echo "$NETPLAY_TEST_LABS $NETPLAY_TEST_CACHE $NETPLAY_RELAY_PAYLOADS" >said.new
mv said.new said
exec sleep 600
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout whose bootstrap does as much as is asked of it."""
    for name in (".venv", "ansible", "relay", "tasks.py", "toolkit"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci")
    return tmp_path


def begin(checkout: Path, bootstrap: str) -> subprocess.Popen[bytes]:
    (checkout / "bootstrap").write_text(bootstrap)
    (checkout / "bootstrap").chmod(0o755)
    # The name of its labs is its own, and has to be one that no other run of the tests takes down.
    kept = {key: value for key, value in os.environ.items() if not key.startswith("NETPLAY_")}
    return subprocess.Popen([str(checkout / ".ci" / "run")], env={**kept, "TMPDIR": str(checkout)})


def test_a_run_that_is_cut_short_leaves_neither_labs_nor_testbeds(checkout: Path) -> None:
    labs.need_root()
    with begin(checkout, AT_WORK) as run:
        said = checkout / "said"
        wait_for(lambda: said.exists() or run.poll() is not None, 60, "it to be at work")
        prefix, cache, payloads = said.read_text().split()
        lab, testbed = f"{prefix}x", checkout / cache / "a" / "netplay-relay" / "testbed" / f"{prefix}default"
        traces = labs.Traces.of(lab)
        assert state.directory(lab).exists()
        assert leftovers.processes(testbed)
        run.send_signal(signal.SIGTERM)
        assert run.wait(100) == 128 + signal.SIGTERM
    assert traces.left() == []
    assert (leftovers.processes(testbed), testbed.exists(), Path(payloads).exists()) == ([], False, False)


@pytest.mark.parametrize("code", [0, 3])
def test_it_ends_as_the_tests_do_and_keeps_the_logs_of_those_that_are_red(checkout: Path, code: int) -> None:
    log = 'mkdir -p "$NETPLAY_TEST_CACHE/a"; echo why >"$NETPLAY_TEST_CACHE/a/log"'
    with begin(checkout, f"#!/bin/sh\n{log}; exit {code}\n") as run:
        assert run.wait(60) == code
    assert [path.read_text() for path in checkout.glob("tmp.*/c/a/log")] == ["why\n"] * bool(code)
