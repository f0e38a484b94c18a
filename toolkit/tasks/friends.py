"""Who may play: friends.toml of a host, for those who would rather type than edit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from invoke.collection import Collection
from invoke.tasks import task

from toolkit.errors import UserError, user_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke.context import Context

    from toolkit.hosts import HostName

HOST = "whose: a host that was deployed to; without it, the lab on this machine"


@task(
    auto_shortflags=False,
    iterable=["ip"],
    help={
        "name": "what to call the friend",
        "ip": "an address or prefix of the friend; may be given several times",
        "host": HOST,
        "ssh_config": "an ssh configuration to use instead of your own",
    },
)
@user_errors
def add(
    _: Context, name: str, ip: Sequence[str] | None = None, host: str | None = None, ssh_config: str | None = None
) -> None:
    """Let a friend in: note it in friends.toml and deploy."""
    from toolkit import friends
    from toolkit.deploy import Request, deploy
    from toolkit.tasks.deploy import place_typed

    if not ip:
        raise UserError(f"no address was given for {name}", fix=f"invoke friends.add {name} --ip 203.0.113.7")
    for address in ip:
        friends.check_address(name, address)
    place = place_typed(host, None if ssh_config is None else Path(ssh_config))
    deploy(place, Request(friends=tuple((name, address) for address in ip)))


@task(name="list", auto_shortflags=False, help={"host": HOST})
@user_errors
def show(_: Context, host: str | None = None) -> None:
    """Show who is in friends.toml."""
    from rich.table import Table

    from toolkit import friends, inventory
    from toolkit.console import draw, say

    name = _host(host)
    path = inventory.files_of(name).friends
    if not path.exists():
        option = "" if host is None else f" --host {name.alias}"
        raise UserError(
            f"{name.alias} has no friends.toml yet", fix=f"The first deployment makes it: invoke deploy{option}"
        )
    table = Table("friend", "addresses", "note")
    for friend in friends.load(path):
        addresses = "\n".join(str(network) for network in friend.addresses)
        table.add_row(friend.name, addresses, friend.note)
    draw(table)
    say(f"from {path}")


def _host(text: str | None) -> HostName:
    from toolkit import places
    from toolkit.hosts import parse_host
    from toolkit.lab import DEFAULT_SPEC

    return places.lab_host(DEFAULT_SPEC.name) if text is None else parse_host(text)


ns = Collection("friends", add, show)
