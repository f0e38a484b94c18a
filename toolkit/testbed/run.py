"""What a person does with testbeds: up, test, verify, down."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table

from toolkit.console import draw, say, step
from toolkit.errors import PROOF_FAILED, UserError
from toolkit.testbed import failure, leftovers, molecule, scenarios

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from toolkit.testbed.molecule import Run, Step
    from toolkit.testbed.scenarios import Scenario


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a scenario: its steps, how long it took, and what to read when it is red."""

    scenario: Scenario
    run: Run
    seconds: float
    why: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether all of it is as it should be."""
        return self.run.status == 0


def up(scenario: Scenario) -> Result:
    """Create the hosts and deploy to them; what is there already stays."""
    return _do(scenario, ["converge"], keep=True)


def verify(scenario: Scenario) -> Result:
    """Run the tests against what is up. Raises UserError when nothing is."""
    if not (scenario.state / "testbed.json").exists():
        raise UserError(f"the testbed {scenario.name} is not up", fix=f"invoke testbed.up --scenario {scenario.name}")
    return _do(scenario, ["verify"], keep=True)


def try_one(scenario: Scenario, *, keep: bool = False) -> Result:
    """Run all steps from nothing; whatever becomes of them, nothing is left unless `keep`."""
    leftovers.remove(scenario)
    # Molecule would destroy a red scenario's hosts before anybody could ask them why.
    return _do(scenario, ["test", "--destroy=never"], keep=keep)


def try_all(chosen: Sequence[Scenario], *, keep: bool = False, at_once: int = 2) -> list[Result]:
    """Test scenarios, so many at once; the longest should come first."""
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(lambda scenario: try_one(scenario, keep=keep), chosen))


def down(scenario: Scenario) -> bool:
    """Remove everything there is of a scenario's testbed; return whether there was anything."""
    return leftovers.remove(scenario)


def report(results: Sequence[Result]) -> None:
    """Print a table of steps and times, then why what is red is red. Raises UserError when anything is."""
    say()
    draw(table(results))
    red = [result for result in results if not result.good]
    for result in red:
        say()
        for line in result.why:
            say(line)
    if red:
        names = ", ".join(result.scenario.name for result in red)
        raise UserError(
            f"{len(red)} of {len(results)} scenarios failed: {names}",
            fix=f"Look at it yourself: invoke testbed.test --scenario {red[0].scenario.name} --keep",
            exit_code=PROOF_FAILED,
        )


def table(results: Sequence[Result]) -> Table:
    """Return the steps of scenarios with their times."""
    made = Table("scenario", "step", "seconds", "")
    made.columns[2].justify = "right"
    for result in results:
        for done in result.run.steps:
            if done.did_something:
                made.add_row(result.scenario.name, done.name, f"{done.seconds:.1f}", "ok" if done.good else "FAILED")
        made.add_row(result.scenario.name, "all", f"{result.seconds:.1f}", "ok" if result.good else "FAILED")
        made.add_section()
    return made


def _do(scenario: Scenario, command: list[str], *, keep: bool) -> Result:
    """Run a command of Molecule, ask the hosts why when it is red, and clean up unless `keep`."""
    begun = time.monotonic()
    try:
        run = molecule.run(scenario, command, _teller(scenario))
        why = () if run.status == 0 else tuple(failure.tell(scenario, run))
        if not keep and scenario.shows_its_end:
            ended = molecule.run(scenario, ["destroy"], _teller(scenario))
            run.steps += ended.steps
            if run.status == 0 and ended.status:
                run.status, why = ended.status, tuple(failure.tell(scenario, ended))
    finally:
        if not keep:
            leftovers.remove(scenario)
    return Result(scenario, run, time.monotonic() - begun, why)


def _teller(scenario: Scenario) -> Callable[[Step], None]:
    """Return what prints a step as it begins, and as it ends if it failed."""

    def tell(at: Step) -> None:
        if not at.outcome and at.name != "destroy":  # which Molecule announces where it was told to skip it
            step(scenario.name, at.name)
        elif at.outcome and not at.good:
            step(scenario.name, f"{at.name} failed after {at.seconds:.1f} s")

    return tell


def chosen(names: Sequence[str], *, everything: bool) -> list[Scenario]:
    """Return the scenarios a person means: those named, all that run here, or the default one. Raises UserError."""
    if everything and names:
        raise UserError("--all and --scenario were both given", fix="Give one of them.")
    if everything:
        return [scenario for scenario in map(scenarios.load, scenarios.names()) if scenario.runs_here]
    return [scenarios.load(name) for name in names or [scenarios.DEFAULT]]
