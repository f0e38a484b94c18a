"""What the relay is doing."""

from __future__ import annotations

from json import dumps
from pathlib import Path

from invoke.context import Context
from invoke.tasks import task

from toolkit.errors import user_errors

HELP = {
    "host": "a host that was deployed to; without it, the lab on this machine",
    "json": "as JSON, for a program",
    "ssh_config": "an ssh configuration to use instead of your own",
}


@task(auto_shortflags=False, help=HELP)
@user_errors
def status(_: Context, host: str | None = None, json: bool = False, ssh_config: str | None = None) -> None:
    """Show what the relay is doing: rooms, players, round-trip times, how connections ended."""
    from toolkit import status
    from toolkit.console import draw, say
    from toolkit.tasks.deploy import place_typed

    place = place_typed(host, None if ssh_config is None else Path(ssh_config), check=True)
    state = status.fetch(place)
    if json:
        say(dumps(state, indent=2))
        return
    say(status.summary(state))
    if state["sessions"]:
        draw(status.rooms(state))
        draw(status.players(state))
    else:
        say("nobody hosts")
    say(status.outcomes(state))
