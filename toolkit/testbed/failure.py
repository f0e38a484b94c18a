"""Why a scenario is red, in the order in which a person wants it: what failed, what the hosts say, their rules."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Final

from toolkit.errors import UserError
from toolkit.testbed import services
from toolkit.testbed.hosts import Host, Testbed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.testbed.molecule import Run
    from toolkit.testbed.scenarios import Scenario

SHOWN: Final = 30
"""How many lines of what failed are shown; the log has all of them."""
_SECONDS: Final = 30.0
_BEGINS: Final = re.compile(r"^(fatal: |failed: |\[ERROR\]|E  |CRITICAL|ERROR  .*(Idempotence|return code))|^_{3,} ")
# Of other firewalls, what names us and our port: all of theirs would fill the screen.
RULES: Final = (
    "nft --stateless list table inet netplay 2>/dev/null; nft list tables 2>/dev/null;"
    " for save in iptables-save ip6tables-save; do $save 2>/dev/null | grep -i -e netplay -e 55435; done; true"
)


def assertion(lines: list[str]) -> list[str]:
    """Return the lines that say what failed, out of everything that Molecule said; its last ones if none does."""
    first = next((number for number, line in enumerate(lines) if _BEGINS.match(line)), None)
    if first is None:
        return lines[-SHOWN:]
    end = next((number for number in range(first, len(lines)) if lines[number].startswith("DETAILS")), len(lines))
    return [line for line in lines[first:end] if line.strip()][:SHOWN]


def tell(scenario: Scenario, run: Run) -> Iterator[str]:
    """Yield the lines that a red scenario ends with."""
    yield f"--- {scenario.name}: what failed (all of it: {run.log})"
    yield from assertion(run.lines())
    try:
        testbed = Testbed.load(scenario.state)
    except (UserError, ValueError):
        return
    for relay in testbed.relays:
        yield f"--- {relay.name}: what our services said"
        yield from _asked(testbed, relay, _log_of(testbed, relay))
        yield f"--- {relay.name}: its rules"
        yield from _asked(testbed, relay, RULES)


def _log_of(testbed: Testbed, relay: Host) -> str:
    which = "".join(_asked(testbed, relay, services.WHICH[2]))
    try:
        return services.of(which).log
    except UserError:
        return "true"


def _asked(testbed: Testbed, relay: Host, command: str) -> list[str]:
    """Run a command on a relay; return what it said, or in a line why it could not be asked."""
    argv = ["ssh", "-F", str(testbed.ssh_config), "-o", "BatchMode=yes", "--", relay.ssh, command]
    try:
        done = subprocess.run(
            argv, capture_output=True, encoding="utf-8", errors="replace", timeout=_SECONDS, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return [f"it did not answer within {_SECONDS:.0f} s"]
    return (done.stdout or done.stderr).splitlines()
