"""Testbeds: hosts of every kind that the relay is deployed to and tested on, by Molecule's scenarios."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.collection import Collection
from invoke.tasks import task

from toolkit.errors import user_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke.context import Context

HELP = {
    "scenario": "which one; may be given several times (default: default)",
    "all": "all that run on this machine, two at a time",
    "keep": "leave the hosts up afterwards, to look at them",
}


@task(auto_shortflags=False, iterable=["scenario"], help={"scenario": HELP["scenario"]})
@user_errors
def up(_: Context, scenario: Sequence[str] | None = None) -> None:
    """Create the hosts of a scenario and deploy to them."""
    from toolkit.testbed import run

    run.report([run.up(each) for each in run.chosen(scenario or (), everything=False)])


@task(name="test", auto_shortflags=False, iterable=["scenario"], help=HELP)
@user_errors
def run_scenarios(
    _: Context,
    scenario: Sequence[str] | None = None,
    all: bool = False,  # noqa: A002  # as it is typed
    keep: bool = False,
) -> None:
    """Run all steps of a scenario: create hosts, check, deploy, deploy again, verify, remove the hosts."""
    from toolkit.testbed import run

    run.report(run.try_all(run.chosen(scenario or (), everything=all), keep=keep))


@task(auto_shortflags=False, iterable=["scenario"], help={"scenario": HELP["scenario"]})
@user_errors
def verify(_: Context, scenario: Sequence[str] | None = None) -> None:
    """Run the tests against a scenario that is up."""
    from toolkit.testbed import run

    run.report([run.verify(each) for each in run.chosen(scenario or (), everything=False)])


@task(auto_shortflags=False, iterable=["scenario"], help={"scenario": HELP["scenario"], "all": "all of them"})
@user_errors
def down(_: Context, scenario: Sequence[str] | None = None, all: bool = False) -> None:  # noqa: A002  # as it is typed
    """Remove all hosts of a scenario, including those of a run that was killed."""
    from toolkit.console import step
    from toolkit.testbed import run, scenarios

    names = scenarios.names() if all else scenario or ()
    for each in run.chosen(names, everything=False):
        step(each.name, "is down" if run.down(each) else "was not up")


ns = Collection("testbed", up, run_scenarios, verify, down)
