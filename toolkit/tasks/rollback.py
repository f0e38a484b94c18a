"""The way back to the release before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from invoke.tasks import task

from toolkit.errors import user_errors

if TYPE_CHECKING:
    from invoke.context import Context

HELP = {
    "host": "where; without it, the host that was deployed to last",
    "to": "which release: its id, the beginning of it, or its version (default: the one before the current one)",
    "list": "only show the releases on the host",
    "json": "with --list: print JSON",
    "check": "only look: show what would change, change nothing",
    "ask_become": "sudo there wants a password: ask for it once",
    "ssh_config": "an ssh configuration to use instead of your own",
}


@task(auto_shortflags=False, help=HELP)
@user_errors
def rollback(
    _: Context,
    host: str | None = None,
    to: str | None = None,
    list: bool = False,  # noqa: A002  # as it is typed
    json: bool = False,
    check: bool = False,
    ask_become: bool = False,
    ssh_config: str | None = None,
) -> None:
    """Return to the previous release, which is still on the host. Running games continue."""
    from toolkit.console import as_json, draw
    from toolkit.deploy import releases
    from toolkit.deploy.rollback import look, rollback
    from toolkit.hosts import last

    place = last.resolve(host, None if ssh_config is None else Path(ssh_config), quiet=list and json)
    if not list:
        rollback(place, to, check=check, ask_become=ask_become)
    elif json:
        as_json(releases.as_dicts(look(place)))
    else:
        draw(releases.table(look(place)))
