"""The way back: a host as it was before the first deployment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from invoke.tasks import task

from toolkit.errors import UserError, user_errors

if TYPE_CHECKING:
    from invoke.context import Context

HELP = {
    "host": "where from",
    "keep_config": "leave settings and friends on the host",
    "ask_become": "sudo there wants a password: ask for it once",
    "ssh_config": "an ssh configuration to use instead of your own",
}


@task(auto_shortflags=False, help=HELP)
@user_errors
def remove(
    _: Context,
    host: str | None = None,
    keep_config: bool = False,
    ask_become: bool = False,
    ssh_config: str | None = None,
) -> None:
    """Remove the relay, its firewall rules and its account from a host. Your files for it on this machine stay."""
    from toolkit.deploy.remove import remove
    from toolkit.hosts import last

    if host is None:
        raise UserError("no host was named", fix="invoke remove --host myvps, or of the lab: invoke lab.down")
    place = last.resolve(host, None if ssh_config is None else Path(ssh_config))
    remove(place, keep_config=keep_config, ask_become=ask_become)
