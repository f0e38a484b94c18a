"""Finds the RetroArch of this machine: the distribution's, Flatpak, Snap, Steam, AppImage, macOS, or a path.

Where each keeps its settings and its cores is that package's own custom; the folders that its retroarch.cfg names
come before them (toolkit/play/folders.py).
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit import paths
from toolkit.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FLATPAK = "org.libretro.RetroArch"
APPIMAGES = ("", "Applications", "Apps", "Downloads", "Desktop", "bin", ".local/bin", "Games")
NAMES = ("retroarch", "RetroArch", "retroarch.exe")


@dataclass(frozen=True, slots=True)
class Installation:
    """A RetroArch: its kind in a word, how it is started, its settings file (there or not), the folder of its data.

    home: what it is given as $HOME; "~" in its settings means that. skeleton: settings that count while its own are not
    there. scratch: where it can read files of ours, None for the usual place (a sandbox may hide that). app: the folder
    that it sees as /app, for a Flatpak.
    """

    kind: str
    argv: tuple[str, ...]
    config: Path
    data: Path
    home: Path
    skeleton: Path | None = None
    scratch: Path | None = None
    app: Path | None = None

    @property
    def shown(self) -> str:
        """The program as a person names it after --retroarch."""
        return self.kind if self.kind in ("flatpak", "snap") else self.argv[0]


@dataclass(frozen=True, slots=True)
class Machine:
    """Where to look: the person's home, their environment, and the root of the file system."""

    home: Path
    environment: Mapping[str, str]
    root: Path = Path("/")

    @property
    def config(self) -> Path:
        """The person's folder of settings."""
        return Path(self.environment.get("XDG_CONFIG_HOME") or self.home / ".config")

    @property
    def own_data(self) -> Path:
        """Return where Flatpak keeps what the person has installed for themselves."""
        return Path(self.environment.get("XDG_DATA_HOME") or self.home / ".local" / "share")

    def which(self, name: str) -> Path | None:
        """Return a program on the person's PATH."""
        found = shutil.which(name, path=self.environment.get("PATH", ""))
        return Path(found) if found else None


def find(machine: Machine) -> list[Installation]:
    """Return every RetroArch that is installed, each once."""
    found: dict[tuple[str, ...], Installation] = {}
    for installation in _all(machine):
        key = (*installation.argv[:-1], str(Path(installation.argv[-1]).resolve()))
        found.setdefault(key, installation)
    return list(found.values())


def choose(machine: Machine, typed: str | None) -> Installation:
    """Return the RetroArch that a person means. Raises UserError when there is none, or when it could be several."""
    if typed is not None:
        return at(machine, typed)
    found = find(machine)
    if len(found) == 1:
        return found[0]
    if not found:
        raise UserError(
            "there is no RetroArch on this machine, or not where it usually is",
            fix="Install it: apt-get install retroarch   or: flatpak install flathub org.libretro.RetroArch\n"
            "Or say where it is: --retroarch PATH (a program, an AppImage, a folder)",
        )
    raise UserError(
        f"there are {len(found)} RetroArchs on this machine: {', '.join(each.shown for each in found)}",
        fix="Say which one:\n" + "\n".join(f"--retroarch {each.shown}" for each in found),
    )


def at(machine: Machine, typed: str) -> Installation:
    """Return the RetroArch at a path, or of a kind, as it was typed. Raises UserError."""
    for installation in find(machine):
        if typed in (installation.kind, installation.shown):
            return installation
    path = paths.typed(typed)
    is_folder = paths.kind(path) == paths.FOLDER
    if path.suffix == ".app" and is_folder:
        return _mac(machine, path)
    if is_folder:
        named = [path / name for name in NAMES if paths.kind(path / name) == paths.FILE]
        inside = named or sorted(path.glob("*.AppImage"))
        if not inside:
            raise UserError(f"there is no RetroArch in {path}", fix="Name the program itself: --retroarch PATH")
        path = inside[0]
    if paths.kind(path) != paths.FILE:
        raise UserError(f"there is no RetroArch at {typed}", fix="Check the path after --retroarch, or leave it out.")
    if path.suffix == ".AppImage":
        return _appimage(machine, path)
    beside = path.absolute().parent
    if paths.is_file(beside / "retroarch.cfg"):
        return Installation("portable", (str(path.absolute()),), beside / "retroarch.cfg", beside, machine.home)
    return _program(machine, path.absolute(), "path")


def _all(machine: Machine) -> Iterator[Installation]:
    program = machine.which("retroarch")
    if program and "snap" in program.parts:
        yield _snap(machine, program)
    elif program:
        yield _program(machine, program, "distribution")
    yield from _flatpak(machine)
    for steam in (machine.home / ".steam/steam", machine.own_data / "Steam"):
        beside = steam / "steamapps/common/RetroArch"
        if paths.is_file(beside / "retroarch"):
            yield Installation("steam", (str(beside / "retroarch"),), beside / "retroarch.cfg", beside, machine.home)
    for folder in APPIMAGES:
        for path in sorted((machine.home / folder).glob("[Rr]etro[Aa]rch*.AppImage")):
            yield _appimage(machine, path)
    for place in (machine.root / "Applications", machine.home / "Applications"):
        if paths.is_folder(place / "RetroArch.app"):
            yield _mac(machine, place / "RetroArch.app")


def _program(machine: Machine, path: Path, kind: str) -> Installation:
    data = machine.config / "retroarch"
    candidates = [data / "retroarch.cfg", machine.home / ".retroarch.cfg"]
    config = next((each for each in candidates if paths.is_file(each)), candidates[0])
    return Installation(kind, (str(path),), config, data, machine.home, machine.root / "etc/retroarch.cfg")


def _snap(machine: Machine, path: Path) -> Installation:
    home = machine.home / "snap/retroarch/current"  # snapd's $HOME for it
    data = home / ".config/retroarch"
    scratch = machine.home / "snap/retroarch/common"  # it sees no hidden folder of the home
    return Installation("snap", (str(path),), data / "retroarch.cfg", data, home, scratch=scratch)


def _flatpak(machine: Machine) -> Iterator[Installation]:
    program = machine.which("flatpak")
    places = [place / "app" / FLATPAK for place in (machine.own_data / "flatpak", machine.root / "var/lib/flatpak")]
    # Of both, flatpak runs the person's own.
    place = next((each for each in places if paths.is_folder(each)), None)
    if program and place:
        own = machine.home / ".var/app" / FLATPAK
        data = own / "config/retroarch"
        argv = (str(program), "run", FLATPAK)
        app = place / "current/active/files"
        skeleton = app / "etc/retroarch.cfg"
        yield Installation("flatpak", argv, data / "retroarch.cfg", data, machine.home, skeleton, own / "cache", app)


def _appimage(machine: Machine, path: Path) -> Installation:
    absolute = path.absolute()
    home = absolute.with_name(absolute.name + ".home")  # where it is, an AppImage takes it for $HOME
    if paths.is_folder(home):
        data = home / ".config/retroarch"
        return Installation("appimage", (str(absolute),), data / "retroarch.cfg", data, home)
    data = absolute.with_name(absolute.name + ".config") / "retroarch"
    if paths.is_folder(data.parent):
        return Installation("appimage", (str(absolute),), data / "retroarch.cfg", data, machine.home)
    return _program(machine, absolute, "appimage")


def _mac(machine: Machine, app: Path) -> Installation:
    data = machine.home / "Library/Application Support/RetroArch"
    program = app.absolute() / "Contents/MacOS/RetroArch"
    return Installation("macos", (str(program),), data / "config/retroarch.cfg", data, machine.home)
