"""What happens on a relay, while it happens."""

from __future__ import annotations

from pathlib import Path

from invoke.context import Context
from invoke.tasks import task

from toolkit.errors import user_errors

HELP = {
    "host": "whose: a host that was deployed to; without it, the one that was deployed to last",
    "json": "the relay's own lines, as JSON, for a program",
    "ask_become": "sudo on the host wants a password: ask for it once",
    "ssh_config": "an ssh configuration to use instead of your own",
}


@task(auto_shortflags=False, help=HELP)
@user_errors
def watch(
    _: Context, host: str | None = None, json: bool = False, ask_become: bool = False, ssh_config: str | None = None
) -> None:
    """Watch the relay: players, round trips, pauses, desyncs, a report when a game is over. Ctrl-C ends it."""
    from toolkit.hosts import last, session
    from toolkit.watch.run import watch

    place = last.resolve(host, None if ssh_config is None else Path(ssh_config), quiet=json)
    watch(session.one_shot(place, ask_become=ask_become), as_json=json)
