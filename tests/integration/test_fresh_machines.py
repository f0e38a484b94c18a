"""The README's two commands, typed one after the other on Debians as their installers leave them.

Each machine has its distribution's own Python, and no package of ours. The deployment there makes a lab inside the
machine, and the tests run beside that lab.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.conftest import RAN
from tests.support.child import tail
from tests.support.fresh_machine import ACCOUNT, FreshMachine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Bounds and no claims: a machine that does other things as well needs a multiple of an idle one's 90 s and 200 s.
DEPLOYED_WITHIN = 900.0
TESTED_WITHIN = 2400.0
pytestmark = [pytest.mark.lab, pytest.mark.timeout(3600)]


@dataclass(frozen=True)
class Case:
    """A machine, who types, and which versions are installed."""

    suite: str
    account: str
    newest: bool = False

    def __str__(self) -> str:
        return f"{self.suite}-{self.account}-{'newest' if self.newest else 'locked'}"


CASES = (
    Case("bookworm", ACCOUNT),
    Case("bookworm", "root", newest=True),
    Case("trixie", ACCOUNT, newest=True),
    Case("trixie", "root"),
    Case("forky", ACCOUNT),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_both_commands_of_the_readme_work_where_nothing_was_prepared(
    case: Case, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    environment = {"NETPLAY_RELAY_NEWEST": "1"} if case.newest else {}
    with FreshMachine(case.suite, tmp_path) as machine:
        machine.clone(case.account)
        deployed = machine.type(case.account, "./bootstrap deploy", DEPLOYED_WITHIN, environment)
        assert deployed.returncode == 0, tail(machine.log)
        assert re.search(r"^proof +friend .*: played through it both ways", deployed.stdout, re.MULTILINE)
        assert re.search(r"^proof +stranger .*: kept out", deployed.stdout, re.MULTILINE)
        assert "Each friend types" in deployed.stdout
        tested = machine.type(case.account, "./bootstrap test --fast", TESTED_WITHIN, environment)
        assert tested.returncode == 0, failures(tested.stdout)
        record_property(RAN, f"{case}, Python {machine.python()}: {tested.stdout.splitlines()[-1].strip(' =')}")


def failures(printed: str) -> str:
    """Return what a test run said of what failed, without its rows of dots."""
    return "\n".join(line for line in printed.splitlines() if not re.fullmatch(r"[.sFE]+ *\[ *\d+%\]", line))[-20_000:]
