"""The fast tests on Pythons that no Debian of test_fresh_machines.py has, where this machine has them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import RAN
from toolkit.console import ROOT
from toolkit.dev import lock
from toolkit.dev.checks import FAST

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]
# What pyenv keeps beside each other is not on PATH until somebody asks for it.
PYENV = Path.home() / ".pyenv" / "versions"


def find(version: str) -> str | None:
    """Return the interpreter of that version, from PATH or from pyenv; None when there is none that works."""
    for found in (shutil.which(f"python{version}"), *sorted(PYENV.glob(f"{version}.*/bin/python{version}"))):
        if found and subprocess.run([found, "-c", ""], check=False, capture_output=True, timeout=60).returncode == 0:
            return str(found)
    return None


@pytest.mark.parametrize("version", ["3.12"])
def test_the_fast_tests_pass(version: str, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    found = find(version)
    if found is None:
        pytest.skip(f"this machine has no Python {version}")
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([found, "-m", "venv", python.parents[1]], check=True, timeout=300)
    install = ["-m", "pip", "install", "-qq", "--no-compile", "--require-hashes", "-r", str(lock.path("dev"))]
    subprocess.run([python, *install], check=True, timeout=900)
    path = f"{python.parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    tested = subprocess.run(
        [python, "-m", "pytest", "-n", "2", "--dist", "loadfile", "-m", FAST, "-p", "no:cacheprovider"],
        cwd=ROOT, env={"PATH": path, "HOME": str(tmp_path), "LANG": "C.UTF-8"},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        timeout=3000,
    )  # fmt: skip
    assert tested.returncode == 0, tested.stdout[-20_000:]
    record_property(RAN, f"fast tests on Python {version}, locked: {tested.stdout.splitlines()[-1].strip(' =')}")
