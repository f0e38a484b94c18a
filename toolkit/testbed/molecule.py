"""Running Molecule: one of its commands for one scenario, its steps as they go by, and all it said in a file."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from toolkit.errors import UserError
from toolkit.testbed.scenarios import BASE, PREFIX, PROJECT, USUAL_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from toolkit.testbed.scenarios import Scenario

SECONDS: Final = 1200.0
"""How long a command of Molecule may take; the longest scenario takes two minutes."""
_EVENT: Final = re.compile(r"\[\S+ > (?P<step>\w+)\] (?P<what>Executing$|Executed: (?P<outcome>.*)|Skipping)")
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m|\x1b\]8;[^\x1b]*\x1b\\")
# Steps that are always there and never do anything here.
_SILENT: Final = frozenset({"dependency", "discovery", "cleanup"})


@dataclass(slots=True)
class Step:
    """One step: its name, how long it took, what became of it ("" while it is under way)."""

    name: str
    begun: float
    seconds: float = 0.0
    outcome: str = ""

    @property
    def good(self) -> bool:
        """Whether it came to a good end, or had nothing to do."""
        return self.outcome.startswith(("Successful", "Skipped", "Missing"))

    @property
    def did_something(self) -> bool:
        """Whether there was anything to do."""
        return not self.outcome.startswith(("Skipped", "Missing"))


@dataclass(slots=True)
class Run:
    """What became of a command of Molecule."""

    status: int
    log: Path
    steps: list[Step] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return everything that was said, without colours."""
        return _COLOUR.sub("", self.log.read_text(encoding="utf-8", errors="replace")).splitlines()


def run(scenario: Scenario, command: list[str], tell: Callable[[Step], None]) -> Run:
    """Run `molecule COMMAND --scenario-name NAME`; tell is called as each step begins and as it ends.

    One that has not come to an end within SECONDS is killed. Raises UserError when Molecule is not installed.
    """
    if importlib.util.find_spec("molecule") is None:
        raise UserError("Molecule is not installed here", fix="./bootstrap testbed.test installs it.")
    scenario.state.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "molecule", "--base-config", str(BASE), *command, "--scenario-name", scenario.name]
    done = Run(0, scenario.state.with_suffix(f".{command[0]}.log"))
    with (
        done.log.open("w", encoding="utf-8") as log,
        subprocess.Popen(  # what it starts is found again by its environment: see leftovers.py
            argv, cwd=PROJECT, env=environment(scenario), stdin=subprocess.DEVNULL, encoding="utf-8", errors="replace",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as process,
    ):  # fmt: skip
        bound = threading.Timer(SECONDS, process.kill)
        bound.start()
        try:
            for step in _steps(_said(process, log), done.steps):
                tell(step)
        except BaseException:
            process.terminate()
            raise
        finally:
            bound.cancel()
        done.status = process.wait()
    return done


def environment(scenario: Scenario) -> dict[str, str]:
    """Return the environment for Molecule: our programs first, nothing of a person's own settings for Ansible."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "MOLECULE_", "PYTEST_"))}
    programs = Path(sys.executable).parent
    return {
        **kept,
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        PREFIX: os.environ.get(PREFIX, USUAL_PREFIX),
        "ANSIBLE_HOME": str(scenario.state / "ansible"),
        "LC_ALL": "C.UTF-8",
        "MOLECULE_EPHEMERAL_DIRECTORY": str(scenario.state),
        "MOLECULE_COMMAND_BORDERS": "false",
        "NO_COLOR": "1",
        "COLUMNS": "160",
    }


def _said(process: subprocess.Popen[str], log: TextIO) -> Iterator[str]:
    """Yield what is said, line by line and without colours, and write it down."""
    assert process.stdout is not None  # noqa: S101  # a pipe was asked for
    for line in process.stdout:
        log.write(line)
        log.flush()
        yield _COLOUR.sub("", line).rstrip()


def _steps(lines: Iterator[str], steps: list[Step]) -> Iterator[Step]:
    """Turn lines into steps: each is yielded as it begins, and again as it ends."""
    for line in lines:
        match = _EVENT.search(line)
        if not match or match["step"] in _SILENT:
            continue
        if match["what"] == "Executing":
            steps.append(Step(match["step"], time.monotonic()))
            yield steps[-1]
        elif match["what"] == "Skipping":
            steps.pop()  # it says all the same that it was executed, and well
        elif steps and steps[-1].name == match["step"] and not steps[-1].outcome:
            steps[-1].outcome = str(match["outcome"])
            steps[-1].seconds = time.monotonic() - steps[-1].begun
            yield steps[-1]
