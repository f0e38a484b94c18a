"""What the relay is doing."""

from __future__ import annotations

from pathlib import Path

from invoke.context import Context
from invoke.tasks import task

from toolkit.errors import report, user_errors

HELP = {
    "host": "whose: a host that was deployed to; without it, the one that was deployed to last",
    "json": "as JSON, for a program",
    "ask_become": "sudo on the host wants a password: ask for it once",
    "ssh_config": "an ssh configuration to use instead of your own",
}


@task(auto_shortflags=False, help=HELP)
@user_errors
def status(
    _: Context, host: str | None = None, json: bool = False, ask_become: bool = False, ssh_config: str | None = None
) -> None:
    """Show what the relay is doing: rooms, players, round-trip times, the gate, how connections ended."""
    from toolkit.console import as_json, draw, say
    from toolkit.friends import commands
    from toolkit.hosts import last
    from toolkit.status import show as status

    place = last.resolve(host, None if ssh_config is None else Path(ssh_config), quiet=json)
    look = status.look(place, ask_become=ask_become)
    if json:
        as_json(look.to_json())
    elif look.relay:
        say(status.summary(look.relay))
        draw(status.rooms(look.relay))
        if status.has_players(look.relay):
            draw(status.players(look.relay))
        for room, verdict in look.stutters():
            say(f"room {room}: {verdict.sentence}")
        say(status.outcomes(look.relay))
    if look.gate and not json:
        say(status.wall(look.gate))
        draw(commands.table(look.gate))
        for problem in commands.problems(look.gate):
            say(f"note: {problem}")
    for error in look.problems:
        report(error)
    if look.problems:
        raise SystemExit(look.problems[0].exit_code)
