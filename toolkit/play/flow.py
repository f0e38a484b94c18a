"""`invoke play.host` and `play.join`: look at everything first, say what differs, then run RetroArch or print it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit import paths
from toolkit.console import as_typed, say, step
from toolkit.errors import UserError
from toolkit.join import lines
from toolkit.play import asked, compare, content, cores, folders, found, info, launch, run, target, ways

if TYPE_CHECKING:
    from toolkit.hosts.target import DeployTarget
    from toolkit.play.asked import Said
    from toolkit.play.compare import Finding
    from toolkit.play.content import Content
    from toolkit.play.cores import Core
    from toolkit.play.found import Installation, Machine
    from toolkit.play.launch import Wish
    from toolkit.play.target import Target


@dataclass(frozen=True, slots=True)
class Request:
    """What was typed. place or relay: where the room is; room: which one.

    only_print: run nothing. own_log: RetroArch's log on the terminal. anyway: go on where something differs.
    ask_become: ask for sudo's password on the place.
    """

    core: str
    content: str
    hosting: bool
    place: DeployTarget | None = None
    relay: str | None = None
    room: str | None = None
    retroarch: str | None = None
    only_print: bool = False
    own_log: bool = False
    anyway: bool = False
    ask_become: bool = False


@dataclass(frozen=True, slots=True)
class Player:
    """What there is here: RetroArch, its version, the core and what it calls itself, a better one, the game.

    heeds: RetroArch asks the core's .info whether netplay will do.
    """

    installation: Installation
    release: tuple[int, int, int]
    core: Core
    said: Said
    better: Core | None
    content: Content
    heeds: bool

    @property
    def cured(self) -> bool:
        """Whether RetroArch is given a description of our own: it would refuse the core by the one that is there."""
        return self.heeds and bool(self.core.info.refused)


def play(machine: Machine, request: Request, wish: Wish) -> int:
    """Do all of it; return the exit code. Raises UserError for what was typed wrong or would fail."""
    player = look(machine, request)
    meant = where(request)
    run.refuse_old(player.release, meant.room, hosting=request.hosting)
    settle(differs(player, meant, hosting=request.hosting), anyway=request.anyway)
    tell_way(meant, request)
    mine = player.installation, player.core, player.content
    if request.hosting:
        plan = launch.host(*mine, meant, wish, cured=player.cured)
    else:
        plan = launch.guest(*mine, meant.arguments(player.release), wish, cured=player.cured)
    if request.only_print:
        run.show(plan, player.installation)
        return 0
    return run.run(plan, player.installation, own_log=request.own_log)


def differs(player: Player, meant: Target, *, hosting: bool) -> list[Finding]:
    """Return what would fail, or is good to know."""
    alone = compare.core_alone(player.core, player.better, heeded=player.heeds)
    if hosting:
        return [*alone, *compare.to_host(meant)]
    return [*alone, *compare.to_join(meant, player.core, player.content, player.said)]


def look(machine: Machine, request: Request) -> Player:
    """Find RetroArch, the core and the game. Raises UserError."""
    installation = found.choose(machine, request.retroarch)
    release = run.version(installation)
    where_kept = folders.of(installation)
    all_cores = cores.installed(where_kept.cores, where_kept.info)
    path = paths.typed(request.core)
    core = (
        cores.at(path, where_kept.info)
        if path.suffix in cores.LIBRARIES and paths.kind(path) == paths.FILE
        else cores.choose(all_cores, request.core, where_kept.cores)
    )
    game = content.look(request.content, core.info)
    step("player", f"RetroArch {'.'.join(map(str, release))} ({installation.kind}: {installation.argv[0]})")
    crc = f", CRC-32 {game.crc}" if game.crc else ""
    said = asked.ask(core.path)
    version = f" ({said.name} {said.version})" if said.name else ""
    step(
        "player", f"core {core.name}{version}, {Path(game.given).name}{crc}{f' ({game.remark})' if game.remark else ''}"
    )
    heeds = info.heeded(release, where_kept.values)
    return Player(installation, release, core, said, cores.better(core, all_cores), game, heeds)


def where(request: Request) -> Target:
    """Return the room that is meant. Raises UserError."""
    if request.relay is not None:
        meant = target.parse(request.relay)
    else:
        assert request.place is not None, "one of place and relay is given"  # noqa: S101 - the task sees to it
        meant = target.of(request.place, request.room, hosting=request.hosting, ask_become=request.ask_become)
    said = f"; {lines.state_line(meant.room, hosting=request.hosting)}" if meant.live else ""
    step("room", f"{meant.room.name} at {meant.address}{said}")
    return meant


def settle(findings: list[Finding], *, anyway: bool) -> None:
    """Print what is good to know. Raises UserError with all that stops, unless the player wants to go on anyway."""
    for finding in findings:
        if anyway or not finding.stops:
            say(f"note: {finding.message}")
            if finding.fix:
                say(f"  {finding.fix}")
    stops = [finding for finding in findings if finding.stops]
    if stops and not anyway:
        fixes = [finding.fix for finding in stops if finding.fix]
        raise UserError(
            "; and ".join(finding.message for finding in stops),
            fix=as_typed("\n".join([*fixes, "To go on all the same: --anyway"])),
        )


def tell_way(meant: Target, request: Request) -> None:
    """Measure the way to the relay and say what it means for the game. Raises UserError when nobody answers."""
    mine = ways.measure(
        meant.address, meant.room.port, hosting=request.hosting, owner=meant.owner if meant.live else ""
    )
    other = max(meant.room.rtts, default=None)
    step("way", ways.advice(mine, other))
