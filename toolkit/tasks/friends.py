"""Who may play: friends.toml of a host, for those who would rather type than edit. None of these runs a playbook."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from invoke.collection import Collection
from invoke.tasks import task

from toolkit.errors import user_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke.context import Context

    from toolkit.hosts.target import DeployTarget

WHERE = {
    "host": "whose: a host that was deployed to; without it, the one that was deployed to last",
    "ask_become": "sudo on the host wants a password: ask for it once",
    "ssh_config": "an ssh configuration to use instead of your own",
}


@task(
    auto_shortflags=False,
    iterable=["ip", "dns"],
    help={
        "name": "what to call the friend",
        "ip": "an address or prefix of the friend; may be given several times",
        "dns": "a DNS name that follows the friend's address; may be given several times",
        "for": "for how long, like 12h or 2d",
        "until": "until when, like '2026-12-24 23:00'",
        "note": "what you want to remember of the friend",
        **WHERE,
    },
)
@user_errors
def add(
    _: Context,
    name: str,
    ip: Sequence[str] | None = None,
    dns: Sequence[str] | None = None,
    for_: str | None = None,
    until: str | None = None,
    note: str = "",
    host: str | None = None,
    ask_become: bool = False,
    ssh_config: str | None = None,
) -> None:
    """Let a friend in at once, or add another address of a friend."""
    import time

    from toolkit.friends import commands, parse
    from toolkit.friends.edit import FriendChange

    for address in ip or ():
        parse.check_address(name, address)
    for text in dns or ():
        parse.check_name(name, text)
    end = parse.parse_end(for_, until, time.time())
    commands.add(
        _place(host, ssh_config),
        FriendChange(name, tuple(ip or ()), tuple(dns or ()), end, note),
        ask_become=ask_become,
    )


@task(auto_shortflags=False, help={"name": "whom", "kick": "end a game that runs, too", **WHERE})
@user_errors
def remove(
    _: Context,
    name: str,
    kick: bool = False,
    host: str | None = None,
    ask_become: bool = False,
    ssh_config: str | None = None,
) -> None:
    """Remove a friend. A running game may end first, unless --kick is given."""
    from toolkit.friends import commands

    commands.remove(_place(host, ssh_config), name, kick=kick, ask_become=ask_become)


@task(name="list", auto_shortflags=False, help={"json": "as JSON, for a program", **WHERE})
@user_errors
def show(
    _: Context, json: bool = False, host: str | None = None, ask_become: bool = False, ssh_config: str | None = None
) -> None:
    """List who is let in on the host now, until when, by which entry, and who connected last."""
    from toolkit.console import as_json
    from toolkit.friends import commands

    place = _place(host, ssh_config, quiet=json)
    state = commands.fetch(place, ask_become=ask_become)
    if json:
        as_json(state)
    else:
        commands.show(place, state)


@task(auto_shortflags=False, help={"subject": "a friend's name, or an address", **WHERE})
@user_errors
def check(
    _: Context, subject: str, host: str | None = None, ask_become: bool = False, ssh_config: str | None = None
) -> None:
    """Explain, layer by layer, why somebody is let in or refused; exit code 1 unless certainly let in."""
    from toolkit.friends import commands

    if not commands.check(_place(host, ssh_config), subject, ask_become=ask_become):
        raise SystemExit(1)


@task(
    auto_shortflags=False,
    help={
        **WHERE,
        "keep-theirs": "Write friends whom another owner added on the host into your friends.toml first.",
        "drop-theirs": "Remove friends whom another owner added on the host.",
    },
)
@user_errors
def push(
    _: Context,
    host: str | None = None,
    keep_theirs: bool = False,
    drop_theirs: bool = False,
    ask_become: bool = False,
    ssh_config: str | None = None,
) -> None:
    """Send friends.toml to the host after you edited it."""
    from toolkit.friends import commands

    commands.push(_place(host, ssh_config), ask_become=ask_become, keep=keep_theirs, drop=drop_theirs)


def _place(host: str | None, ssh_config: str | None, *, quiet: bool = False) -> DeployTarget:
    from toolkit.hosts import last

    return last.resolve(host, None if ssh_config is None else Path(ssh_config), quiet=quiet)


ns = Collection("friends", add, show, remove, check, push)
