"""The lab on this machine: a relay host and three clients, to try everything without a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.collection import Collection
from invoke.tasks import task

from toolkit.errors import user_errors
from toolkit.lab.spec import DEFAULT_SPEC

if TYPE_CHECKING:
    from invoke.context import Context


@task(auto_shortflags=False, help={"name": "the lab's name"})
@user_errors
def up(_: Context, name: str = DEFAULT_SPEC.name) -> None:
    """Start the lab, or the missing parts of it."""
    from dataclasses import replace

    from toolkit.lab import Lab, show

    Lab.up(replace(DEFAULT_SPEC, name=name), show.progress)
    show.table(Lab.status(name))


@task(auto_shortflags=False, help={"name": "the lab's name"})
@user_errors
def down(_: Context, name: str = DEFAULT_SPEC.name) -> None:
    """Stop the lab and remove all of it."""
    from toolkit.lab import show, take_down

    there = take_down(name)
    show.progress(f"the lab {name} is down" if there else f"there is no lab {name}")


@task(auto_shortflags=False, help={"name": "the lab's name", "json": "print JSON"})
@user_errors
def status(_: Context, name: str = DEFAULT_SPEC.name, json: bool = False) -> None:
    """Show the lab's nodes and their addresses."""
    from toolkit.lab import Lab, show

    found = Lab.status(name)
    if json:
        show.as_json(found)
    else:
        show.table(found)


@task(auto_shortflags=False, help={"name": "the lab's name", "node": "which node"})
@user_errors
def ssh(_: Context, name: str = DEFAULT_SPEC.name, node: str = "relay") -> None:
    """Open a shell in a host of the lab, or on a client's network."""
    from toolkit.lab import Lab, show

    raise SystemExit(show.shell(Lab.load(name), node))


ns = Collection("lab", up, down, status, ssh)
