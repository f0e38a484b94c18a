"""One login to a host that was deployed to, shared by whatever looks at it: status, watch, doctor."""

from __future__ import annotations

import getpass
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from toolkit.errors import UserError
from toolkit.hosts.remote import Remote, entry_of
from toolkit.ssh import connection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.hosts.target import DeployTarget


@contextmanager
def open_session(place: DeployTarget, *, ask_become: bool = False) -> Iterator[Remote]:
    """Yield the relay's program on a host; ask_become: sudo there wants a password, ask the person for it.

    The login is made when it is first used. Raises UserError for a host that was never deployed to.
    """
    entry, password = entry_of(place), ask_password(place) if ask_become else ""
    with connection.connection(entry.host.alias, entry.user, place.ssh_config) as link:
        yield Remote(place, link, entry.become or ask_become, password)


def one_shot(place: DeployTarget, *, ask_become: bool = False) -> Remote:
    """Return the relay's program on a host, each run over a login of its own. Raises UserError as `open_session`."""
    entry, password = entry_of(place), ask_password(place) if ask_become else ""
    link = connection.Connection(entry.host.alias, entry.user, place.ssh_config)
    return Remote(place, link, entry.become or ask_become, password)


def ask_password(place: DeployTarget) -> str:
    """Ask the person for sudo's password on a host. Raises UserError where there is no terminal."""
    if not sys.stdin.isatty():
        raise UserError("--ask-become asks for a password, and there is no terminal to ask on", fix="Run it by hand.")
    return getpass.getpass(f"sudo's password on {place.host.alias}: ")
