"""The project's main verb."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from invoke.tasks import task

from toolkit.errors import user_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke.context import Context

    from toolkit.hosts.target import DeployTarget

HELP = {
    "host": "where to: a name that ssh knows; without it, the lab on this machine",
    "user": "the account to log in as, if ssh's configuration does not say",
    "become": "the account is not root: use sudo there",
    "ask_become": "the same, and sudo wants a password: ask for it once",
    "check": "only look: show what would change, change nothing",
    "friend": "NAME=ADDRESS, somebody to let in; may be given several times",
    "ssh_config": "an ssh configuration to use instead of your own",
}


@task(auto_shortflags=False, iterable=["friend"], help=HELP)
@user_errors
def deploy(
    _: Context,
    host: str | None = None,
    user: str | None = None,
    become: bool = False,
    ask_become: bool = False,
    check: bool = False,
    friend: Sequence[str] | None = None,
    ssh_config: str | None = None,
) -> None:
    """Deploy the relay to a host (or to the lab on this machine), prove that it works, and print what to type next."""
    from toolkit.deploy.run import Request, deploy
    from toolkit.friends import parse
    from toolkit.hosts.names import parse_user

    wanted = tuple(parse.parse_option(text) for text in friend or ())
    request = Request(None if user is None else parse_user(user), become, ask_become, check, wanted)
    deploy(place_typed(host, None if ssh_config is None else Path(ssh_config), check=check), request)


def place_typed(host: str | None, ssh_config: Path | None, *, check: bool = False) -> DeployTarget:
    """Return the place a person means: a host, or (without one) the lab on this machine, which is made if need be."""
    from toolkit import paths
    from toolkit.hosts import target
    from toolkit.lab import DEFAULT_SPEC

    if host is None:
        return target.lab(DEFAULT_SPEC, check=check)
    return target.real(host, None if ssh_config is None else paths.typed(ssh_config))
