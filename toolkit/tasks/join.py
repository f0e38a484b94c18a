"""What everybody types to play through a relay."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from invoke.tasks import task

from toolkit.errors import user_errors

if TYPE_CHECKING:
    from invoke.context import Context

HELP = {
    "host": "a host that was deployed to; without it, the one that was deployed to last",
    "room": "one room, by its id or its port, instead of all",
    "address": "what players type for the host, if not what ssh connects to",
    "json": "as JSON, for a program",
    "png": "write the QR code of the room to this file",
    "svg": "the same as SVG",
    "ask_become": "sudo on the host wants a password: ask for it once",
    "ssh_config": "an ssh configuration to use instead of your own",
}


@task(auto_shortflags=False, help=HELP)
@user_errors
def join(
    _: Context,
    host: str | None = None,
    room: str | None = None,
    address: str | None = None,
    json: bool = False,
    png: str | None = None,
    svg: str | None = None,
    ask_become: bool = False,
    ssh_config: str | None = None,
) -> None:
    """Print what the host player and each friend type, for each room: menu, command, QR code, a text for a chat."""
    from dataclasses import replace

    from toolkit.console import as_json
    from toolkit.hosts import last
    from toolkit.join import rooms, show

    place = last.resolve(host, None if ssh_config is None else Path(ssh_config), quiet=json)
    relay = show.fetch(place, address, ask_become=ask_become)
    if room is not None:
        relay = replace(relay, rooms=[rooms.choose(relay.rooms, room)])
    show.write_codes(relay, None if png is None else Path(png), None if svg is None else Path(svg))
    if json:
        as_json(show.as_dict(relay))
    else:
        show.show(relay)
