"""The verb for everybody who changes something here."""

from __future__ import annotations

import importlib.util
import subprocess
from typing import TYPE_CHECKING

from invoke.tasks import task

from toolkit.errors import UserError, user_errors

if TYPE_CHECKING:
    from invoke.context import Context


@task(
    name="test",
    auto_shortflags=False,
    help={"fast": "leave out the tests that need the lab or RetroArch"},
)
@user_errors
def run_tests(_: Context, fast: bool = False) -> None:
    """Run every check and every test."""
    from toolkit.console import ROOT, say, step
    from toolkit.dev import checks

    if importlib.util.find_spec("xdist") is None:
        raise UserError("what the tests need is not installed", fix="./bootstrap test installs it and runs them.")
    failed = checks.run_all()
    if failed:
        step("", f"{len(failed)} failed: {', '.join(result.name for result in failed)}; the tests run all the same")
    say()
    # The tests' own last line stays the last line.
    tests = subprocess.run(checks.pytest_argv(fast=fast), cwd=ROOT, env=checks.environment(), check=False)
    raise SystemExit(tests.returncode or (1 if failed else 0))
