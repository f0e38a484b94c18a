"""The player's side: RetroArch on this machine, for a room of a relay."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from invoke.collection import Collection
from invoke.tasks import task

from toolkit.errors import user_errors

if TYPE_CHECKING:
    from invoke.context import Context

    from toolkit.hosts.target import DeployTarget
    from toolkit.play.flow import Request
    from toolkit.play.launch import Wish

MACHINE = {"retroarch": "which RetroArch, if there are several: a path, an AppImage, flatpak"}
COMMON = {
    "core": "the core, by its short name (nestopia) or its path",
    "content": "the game file",
    "nick": "your name in the game",
    "host": "the relay's host; without it, the one that was deployed to last",
    "room": "the room, by its id or its port, if there are several",
    "relay": "the relay as in an invitation, instead of --host: 'relay.example.org|55435'",
    "spectate": "watch, and do not play",
    "device": "PORT:ID, what is plugged into a port, again for another; all need the same (docs/controllers.md)",
    "print": "print the command instead of running it",
    "log": "let RetroArch's own log go to the terminal",
    "anyway": "go on although something differs",
    "ask_become": "sudo on the relay's host wants a password: ask for it once",
    "ssh_config": "an ssh configuration to use instead of your own",
    **MACHINE,
}
HOST = {
    "password": "what friends must type to play",
    "spectate_password": "what friends must type to watch",
    "latency_frames": "frames of input latency for all, against frames played again; see what is advised",
}


@task(name="host", auto_shortflags=False, iterable=["device"], help=COMMON | HOST)
@user_errors
def host_game(
    _: Context,
    core: str,
    content: str,
    nick: str = "",
    host: str | None = None,
    room: str | None = None,
    relay: str | None = None,
    password: str = "",
    spectate_password: str = "",
    latency_frames: str = "",
    spectate: bool = False,
    device: list[str] | None = None,
    retroarch: str | None = None,
    print: bool = False,  # noqa: A002 - the option's name
    log: bool = False,
    anyway: bool = False,
    ask_become: bool = False,
    ssh_config: str | None = None,
) -> None:
    """Host a game through the relay: checks everything, then runs RetroArch or prints its command."""
    from toolkit.play.flow import Request
    from toolkit.play.launch import Wish, devices, frames

    wish = Wish(nick, password, spectate_password, spectate, frames(latency_frames), devices(device or ()))
    place = _place("play.host", host, relay, room, ssh_config)
    _play(Request(core, content, True, place, relay, room, retroarch, print, log, anyway, ask_become), wish)


@task(name="join", auto_shortflags=False, iterable=["device"], help=COMMON)
@user_errors
def join_game(
    _: Context,
    core: str,
    content: str,
    nick: str = "",
    host: str | None = None,
    room: str | None = None,
    relay: str | None = None,
    spectate: bool = False,
    device: list[str] | None = None,
    retroarch: str | None = None,
    print: bool = False,  # noqa: A002 - the option's name
    log: bool = False,
    anyway: bool = False,
    ask_become: bool = False,
    ssh_config: str | None = None,
) -> None:
    """Join a game on the relay: compares core and game with the host's, then runs RetroArch or prints its command."""
    from toolkit.play.flow import Request
    from toolkit.play.launch import Wish, devices

    wish = Wish(nick, spectate=spectate, devices=devices(device or ()))
    place = _place("play.join", host, relay, room, ssh_config)
    _play(Request(core, content, False, place, relay, room, retroarch, print, log, anyway, ask_become), wish)


CORES = {"system": "only cores for this system, like NES or Arcade, or for this kind of file, like sfc"}


@task(auto_shortflags=False, help={**CORES, "json": "as JSON, for a program", **MACHINE})
@user_errors
def cores(_: Context, system: str | None = None, json: bool = False, retroarch: str | None = None) -> None:
    """List the installed cores by system: whether netplay works with each, which to prefer, and why."""
    import os

    from toolkit.console import as_json
    from toolkit.play import show
    from toolkit.play.found import Machine

    kept, some = show.look(Machine(Path.home(), os.environ), retroarch, system)
    if json:
        as_json(show.as_dict(kept, some))
    else:
        show.show(kept, some)


BIOS = {
    "dir": "the folder with your own firmware files; without it, RetroArch's system folder",
    "core": "what this core wants, instead of all that are installed",
    "fix_names": "give files that are right their right names, after asking",
    "yes": "do not ask",
    "json": "as JSON, for a program",
    **MACHINE,
}


@task(auto_shortflags=False, help=BIOS)
@user_errors
def bios(
    _: Context,
    dir: str | None = None,  # noqa: A002 - the option's name
    core: str | None = None,
    fix_names: bool = False,
    yes: bool = False,
    json: bool = False,
    retroarch: str | None = None,
) -> None:
    """Check your own firmware files by md5, under any file name; exit code 1 when a core lacks what it needs."""
    import os

    from toolkit.console import as_json
    from toolkit.play import bios_show
    from toolkit.play.found import Machine

    machine = Machine(Path.home(), os.environ)
    wanted = bios_show.look(machine, None if dir is None else Path(dir), core, retroarch)
    results = bios_show.check(wanted)
    if fix_names:
        results = bios_show.fix(wanted, results, yes=yes, quiet=json)
    if json:
        as_json(bios_show.as_dict(wanted, results))
    else:
        bios_show.show(wanted, results)
    if not all(result.good for result in results):
        raise SystemExit(1)


def _place(
    task: str, host: str | None, relay: str | None, room: str | None, ssh_config: str | None
) -> DeployTarget | None:
    from toolkit.errors import UserError
    from toolkit.hosts import last

    if host is not None and relay is not None:
        raise UserError("--host and --relay were both given", fix="Give one of them.")
    if room is not None and relay is not None:
        raise UserError("--room goes with --host", fix=f"Write the room behind the relay: --relay '{relay}|{room}'")
    config = None if ssh_config is None else Path(ssh_config)
    return None if relay is not None else last.typed_by_players(host, config, task)


def _play(request: Request, wish: Wish) -> None:
    import os

    from toolkit.play import flow
    from toolkit.play.found import Machine

    code = flow.play(Machine(Path.home(), os.environ), request, wish)
    if code:
        raise SystemExit(code)


ns = Collection("play", host_game, join_game, cores, bios)
