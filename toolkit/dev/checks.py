"""Everything that is checked before the tests run; each check runs whatever became of the others."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from toolkit.console import ROOT, step

# The slowest takes ten seconds here; a machine that needs this long has hung.
CHECK_SECONDS = 300
FAST = "not lab and not retroarch"
SHELL_FOLDERS = ("toolkit", "templates", "ansible", "tests")


@dataclass(frozen=True, slots=True)
class Check:
    """A check: what it is called, the program from .venv/bin and its arguments."""

    name: str
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a check; output is what it said, whole."""

    name: str
    good: bool
    seconds: float
    output: str


def shell_files(root: Path = ROOT) -> list[str]:
    """Return the shell programs of the checkout."""
    fixed = [root / "bootstrap", *sorted((root / ".ci").glob("*"))]
    found = [path for folder in SHELL_FOLDERS for path in sorted((root / folder).rglob("*.sh"))]
    return [str(path.relative_to(root)) for path in (*fixed, *found)]


def checks() -> list[Check]:
    """Return all checks, quick ones first."""
    return [
        Check("ruff", ("ruff", "check")),
        Check("format", ("ruff", "format", "--check")),
        Check("imports", ("lint-imports",)),
        Check("shell", ("shellcheck", *shell_files())),
        Check("yaml", ("yamllint", "--strict", "ansible")),
        Check("types", ("mypy",)),
        Check("ansible", ("ansible-lint", "--profile", "production", "--offline", "ansible")),
    ]


def run(check: Check, root: Path = ROOT) -> Result:
    """Run one check. A program that is missing or hangs has failed."""
    begun = time.monotonic()
    try:
        done = subprocess.run(
            [str(_programs() / check.argv[0]), *check.argv[1:]],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            cwd=root,
            env=environment() | {"ANSIBLE_CONFIG": str(root / "ansible" / "ansible.cfg"), "NO_COLOR": "1"},
            timeout=CHECK_SECONDS,
        )
        good, output = done.returncode == 0, done.stdout
    except FileNotFoundError:
        good, output = False, f"{check.argv[0]} is not installed: ./bootstrap test installs it\n"
    except subprocess.TimeoutExpired:
        good, output = False, f"{check.argv[0]} did not end within {CHECK_SECONDS} s\n"
    return Result(check.name, good, time.monotonic() - begun, output)


def run_all() -> list[Result]:
    """Run all checks, two at a time, and print what became of each; return those that failed."""
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(run, checks()))
    for result in results:
        step(result.name, f"{'ok' if result.good else 'FAILED'} ({result.seconds:.1f} s)")
        if not result.good:
            sys.stdout.write(result.output)
            sys.stdout.flush()
    return [result for result in results if not result.good]


def pytest_argv(*, fast: bool = False) -> list[str]:
    """Return the command line of the tests; those of one file run in one process, and share the lab they need.

    The files go out in the order that tests/support/dealing.py gives them, to more processes than there are cores: much
    of the slow ones' time is waiting for hosts and for frames.
    """
    how = ["-n", "4", "--dist", "loadfile", "--no-loadscope-reorder"]
    return [sys.executable, "-m", "pytest", *how, *(["-m", FAST] if fast else [])]


def environment() -> dict[str, str]:
    """Return the environment for checks and tests.

    Programs of .venv come first, ansible leaves nothing in the person's home, and how bootstrap was called is gone.
    """
    kept = {key: value for key, value in os.environ.items() if key != "NETPLAY_RELAY_COMMAND"}
    path = f"{_programs()}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {**kept, "PATH": path, "ANSIBLE_HOME": str(ROOT / ".ansible")}


def _programs() -> Path:
    return Path(sys.executable).parent
