"""Debian's own releases of RetroArch, each in a root file system of its own, run by chroot in a test's network.

A root file system is built by mmdebstrap from this machine's own apt sources when a test first needs it, once for all
processes of a run, and kept outside the repository under a hash of its recipe. Which release a suite has is what the
mirror served on that day: sid moves, and whoever wants what it has today removes its directory from the cache. What
cannot be had is left out, and said in the header of the run or at its end (`report`).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.support import retroarch_settings
from tests.support.needs import lack
from tests.support.retroarch_console import RETROPAD
from tests.support.retroarch_settings import CORE, Role
from toolkit.errors import UserError
from toolkit.lab import rootfs, sources
from toolkit.lab.programs import require, run

if TYPE_CHECKING:
    from collections.abc import Iterable

SUITES: Final = ("bullseye", "bookworm", "trixie", "sid")
CACHE: Final = Path("/var/cache/netplay-relay/retroarch")
ENTER: Final = Path(__file__).with_name("enter_release.sh")
# Where the processes of one run note what they could not have, and what they ran.
NOTES: Final = "NETPLAY_TEST_RELEASES"
# The core of one release for all, so that a difference is RetroArch's and not the core's; on bullseye, whose libraries
# are too old for it, that suite's own.
_CORES_OF: Final = {suite: "bullseye" if suite == "bullseye" else "bookworm" for suite in SUITES}
# 1.7.3 dies (SIGSEGV) without a menu and a driver for input, and of a longer answer than this (bytes of RAM); and the
# buttons that come by the network reach no game. Nothing but a limit of its fast forward paces it.
_OLD_RAM: Final = 64
_OF_OLD: Final = {
    "menu_driver": "rgui",
    "fastforward_ratio": "1.0",
    "input_driver": "sdl2",
    "input_joypad_driver": "linuxraw",
    "input_autodetect_enable": "false",
    "input_player1_joypad_index": "0",
    **{f"input_player1_{name.lower()}_btn": str(number) for name, number in RETROPAD.items()},
}
_BUILD_BOUND: Final = 900.0  # seconds; a minute and a half where two are built at once on two cores
# Without these a run has not shown what players have: RetroArch 1.14, and one whose achievements follow savestates.
_NEEDED: Final = ((1, 14), (1, 20))


@dataclass(frozen=True)
class Recipe:
    """What such a root file system is made of; its hash names the result."""

    suite: str
    packages: tuple[str, ...] = ("retroarch",)
    # More than half of the whole: what draws, which nobody here looks at.
    left_out: tuple[str, ...] = (
        *("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*", "/usr/share/icons/*"),
        *("/usr/share/fonts/*", "/usr/share/libretro/assets/*", "/usr/share/X11/*"),
        *("/usr/lib/*/libLLVM*", "/usr/lib/*/libgallium*", "/usr/lib/*/dri/*", "/usr/lib/*/libvulkan_*"),
    )
    revision: int = 1

    def path(self) -> Path:
        """Return where the result is, or will be; each suite has a lock of its own."""
        digest = hashlib.sha256(repr(sorted(asdict(self).items())).encode()).hexdigest()
        return CACHE / self.suite / digest[:16]


def recipe_of(suite: str) -> Recipe:
    """Return the recipe of a suite's root file system."""
    more = ("libretro-nestopia",) if _CORES_OF[suite] == suite else ()
    return Recipe(suite, ("retroarch", *more))


@dataclass(frozen=True)
class Release:
    """One release of RetroArch: Debian's suite, its root file system, its version as in "1.20.0"."""

    suite: str
    root: Path
    version: str

    @property
    def number(self) -> tuple[int, ...]:
        """The version for comparisons."""
        return tuple(int(part) for part in self.version.split("."))

    @property
    def hosts(self) -> bool:
        """Whether it can host through a relay."""
        return self.number >= (1, 10)

    def runs(self, role: Role) -> Role:
        """Return the same role, played by this release."""
        core = next(recipe_of(_CORES_OF[self.suite]).path().glob(f"usr/lib/*/libretro/{CORE}.so"))

        def command(folder: Path, argv: list[str]) -> list[str]:
            own = folder / "cores" / core.name
            own.unlink()
            shutil.copyfile(core, own)
            layer = folder / "root"
            layer.mkdir()
            enter = ["unshare", "--mount", "--propagation=private", "--", "sh", str(ENTER)]
            return [*enter, str(self.root), str(folder), str(layer), *argv]

        if self.number < (1, 10):
            role = replace(role, settings=_OF_OLD | role.settings, ram_at_once=_OLD_RAM, joystick=True)
        return replace(role, command=command)

    def joins(self, address: str, port: int, session: str = "") -> Role:
        """Return who joins by what this release takes on its command line."""
        if self.number < (1, 9, 13):
            return self.runs(Role(("--connect", address, "--port", str(port))))
        return self.runs(retroarch_settings.join(address, port, session))


def need(suite: str) -> Release:
    """Return the release of a suite, built first where it is missing; skip the test where it cannot be had."""
    if os.geteuid() != 0:
        lack("other releases of RetroArch are run by chroot, which needs root")
    for each in dict.fromkeys((_CORES_OF[suite], suite)):
        if reason := _ensure(each):
            pytest.skip(f"the RetroArch of Debian's {each} is left out: {reason}")
    release = _built(suite)
    assert release is not None
    _note(suite, "ran", release.version)
    return release


def ensure_all() -> None:
    """Build what is missing, two at a time."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(_ensure, SUITES))


def report() -> str:
    """Return in a line which releases there are, and which are left out."""
    parts = []
    for suite in SUITES:
        release = _built(suite)
        missing = _noted(suite, "missing")
        words = release.version if release else f"left out, {missing}" if missing else "not built yet"
        parts.append(f"{words} ({suite})")
    return f"RetroArch releases: {', '.join(parts)}"


def lacking() -> str:
    """Return what CI's run has not shown of real releases, in a sentence; "" when all that is needed ran."""
    asked = [suite for suite in SUITES if _noted(suite, "ran") or _noted(suite, "missing")]
    ran = [tuple(map(int, version.split("."))) for suite in SUITES if (version := _noted(suite, "ran"))]
    if not asked or (any(each[:2] == _NEEDED[0] for each in ran) and any(each[:2] >= _NEEDED[1] for each in ran)):
        return ""
    return "RetroArch 1.14 and one of 1.20 or newer must run in CI, and did not"


def _ensure(suite: str) -> str:
    """Build the root file system of a suite where it is missing; return why that cannot be, or ""."""
    if known := _noted(suite, "missing"):
        return known
    recipe = recipe_of(suite)
    try:
        rootfs.once(recipe.path(), lambda root: _mmdebstrap(recipe, root), lambda _: None, "")
    except UserError as error:
        reason = " ".join(str(error).split())[-300:]
        _note(suite, "missing", reason)
        return reason
    return ""


def _built(suite: str) -> Release | None:
    root = recipe_of(suite).path()
    try:
        status = (root / "var/lib/dpkg/status").read_text()
    except OSError:
        return None
    found = re.search(r"^Package: retroarch\n(?:.+\n)*?Version: (\d+(?:\.\d+)+)", status, re.MULTILINE)
    return Release(suite, root, found[1]) if found else None


def _mmdebstrap(recipe: Recipe, root: Path) -> None:
    require(["mmdebstrap"])
    listed = root.with_name("debian.sources")
    listed.write_text(_sources(recipe.suite, sources.find()))
    run(
        [
            *rootfs.NO_ORPHANS,
            *("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--format=directory"),
            # What sid says of its own age runs out in a week, and a mirror may be of another day than the clock.
            *("--aptopt=Acquire::Check-Valid-Until false", "--aptopt=Acquire::Languages none"),
            f"--include={','.join(recipe.packages)}",
            *(f"--dpkgopt=path-exclude={path}" for path in recipe.left_out),
            *(recipe.suite, str(root), str(listed)),
        ],
        timeout=_BUILD_BOUND,
    )


def _sources(suite: str, mirrors: Iterable[sources.Mirror]) -> str:
    """Return what apt takes a suite from: its release alone, for sid has no updates and an old one no more of them."""
    stanzas = []
    for mirror in mirrors:
        if not mirror.security:
            signed = f"Signed-By: {mirror.signed_by}\n" if mirror.signed_by else ""
            stanzas.append(f"Types: deb\nURIs: {mirror.uri}\nSuites: {suite}\nComponents: main\n{signed}")
    return "\n".join(stanzas)


def _note(suite: str, what: str, text: str) -> None:
    """Leave a note for all processes of this run; whole or not at all."""
    with tempfile.NamedTemporaryFile("w", dir=_notes(), delete=False) as file:
        file.write(text)
    Path(file.name).rename(_notes() / f"{suite}.{what}")


def _noted(suite: str, what: str) -> str:
    try:
        return (_notes() / f"{suite}.{what}").read_text()
    except OSError:
        return ""


def _notes() -> Path:
    return Path(os.environ[NOTES])
