"""Why it does not work."""

from __future__ import annotations

from pathlib import Path

from invoke.context import Context
from invoke.tasks import task

from toolkit import paths
from toolkit.errors import user_errors

HELP = {
    "host": "your relay's host; without it and --relay, the one that was deployed to last",
    "relay": "for a player: a relay as typed in RetroArch, 'ADDRESS|PORT'; nothing but it and this network is asked",
    "json": "as JSON, for a program",
    "bundle": "also write all of it to this file, addresses blurred, to ask for help with",
    "ask_become": "sudo on the host wants a password: ask for it once",
    "ssh_config": "an ssh configuration to use instead of your own",
}


@task(auto_shortflags=False, help=HELP)
@user_errors
def doctor(
    _: Context,
    host: str | None = None,
    relay: str | None = None,
    json: bool = False,
    bundle: str | None = None,
    ask_become: bool = False,
    ssh_config: str | None = None,
) -> None:
    """Report each problem, its evidence and the fix; exit code 0 fine, 1 warnings, 8 somebody cannot play."""
    from toolkit.doctor import run

    place = run.place_of(host, relay, None if ssh_config is None else Path(ssh_config), quiet=json)
    file = None if bundle is None else paths.typed(bundle)
    if code := run.doctor(place, relay, as_json=json, file=file, ask_become=ask_become):
        raise SystemExit(code)
