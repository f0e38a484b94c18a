"""Checks a folder of firmware by md5, whatever its files are called, and gives misnamed ones their right names."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit import paths
from toolkit.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolkit.play.info import Firmware

OK, THERE, WRONG, MISNAMED, ELSEWHERE, MISSING = "ok", "there", "wrong", "misnamed", "wrong folder", "missing"
# No firmware of a console is larger; games in the same folder need not be read.
MOST_BYTES = 16 << 20
MOST_FILES = 5000
DEPTH = 4


@dataclass(frozen=True, slots=True)
class Result:
    """One wanted file: its state, where it was found (None: nowhere), what to do in a sentence."""

    firmware: Firmware
    state: str
    found: Path | None = None
    said: str = ""

    @property
    def good(self) -> bool:
        """Whether the core has what it needs: the file, or no need of it."""
        return self.state in (OK, THERE) or (self.state == MISSING and self.firmware.optional)

    def as_dict(self) -> dict[str, Any]:
        """Return it for a program."""
        return {
            "path": self.firmware.path,
            "about": self.firmware.about,
            "optional": self.firmware.optional,
            "md5": self.firmware.md5 or None,
            "state": self.state,
            "found": None if self.found is None else str(self.found),
            "said": self.said,
        }


def scan(folder: Path) -> dict[str, list[Path]]:
    """Return the files of a folder, and of those in it, by md5. Raises UserError when it cannot be read."""
    there = paths.kind(folder)
    if there != paths.FOLDER:
        what = "is not a folder" if there else "is not there"
        raise UserError(f"{folder} {what}", fix="Name the folder with your own firmware files: --dir DIR")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise UserError(f"{folder} cannot be read by this account", fix=f"ls -ld {folder}")
    found: dict[str, list[Path]] = {}
    for path in _files(folder):
        digest = _md5(path)
        if digest:
            found.setdefault(digest, []).append(path)
    return found


def check(folder: Path, firmware: Sequence[Firmware], files: dict[str, list[Path]]) -> list[Result]:
    """Say of each wanted file how it is with it; files is what `scan` found in the folder. Raises UserError."""
    names = {each.md5: each for each in firmware if each.md5}
    return [_check(folder, each, files, names) for each in firmware]


def renames(folder: Path, results: Sequence[Result]) -> list[tuple[Path, Path]]:
    """Return which files would get which names: none that is right already under its name, none over another."""
    kept = {result.found for result in results if result.state == OK}
    planned: list[tuple[Path, Path]] = []
    for result in results:
        target = folder / result.firmware.path
        source = result.found
        if result.state not in (MISNAMED, ELSEWHERE) or source is None or source in kept:
            continue
        free = not target.exists() or target.samefile(source)
        if free and source not in {one for one, _ in planned}:
            planned.append((source, target))
    return planned


def rename(planned: Sequence[tuple[Path, Path]]) -> None:
    """Give each file its name. Raises UserError at the first that does not work; those before it are done."""
    for source, target in planned:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists() and not target.samefile(source):
                raise UserError(f"{target} is there by now", fix="Type the same command again.")
            source.rename(target)
        except OSError as error:
            raise UserError(
                f"{source} could not be renamed to {target}: {error.strerror}", fix=f"ls -ld {target.parent}"
            ) from None


def _check(folder: Path, wanted: Firmware, files: dict[str, list[Path]], names: dict[str, Firmware]) -> Result:
    target = folder / wanted.path
    others = [path for path in files.get(wanted.md5, []) if wanted.md5 and path != target]
    if _is_exactly(target):
        if target.is_dir() or not wanted.md5:
            return Result(wanted, THERE, target, "there; nobody has told an md5 to check it by")
        digest = _md5(target)
        if digest == wanted.md5:
            return Result(wanted, OK, target)
        really = f": it is {names[digest].path}" if digest in names else ""
        said = f"another file under this name{really}; its md5 is {digest or 'unread: too large'}"
        right = f"; the right one is {_inside(folder, others[0])}" if others else ""
        return Result(wanted, WRONG, target, said + right)
    if not others:
        said = "not needed by every game" if wanted.optional else "the core needs it"
        return Result(wanted, MISSING, None, said)
    best = next((path for path in others if path.parent == target.parent), others[0])
    if best.parent == target.parent:
        return Result(wanted, MISNAMED, best, f"it is here as {_inside(folder, best)}")
    return Result(wanted, ELSEWHERE, best, f"it is in {_inside(folder, best)}")


def _is_exactly(path: Path) -> bool:
    """Tell whether a file is there by this very name, also where capital letters make no difference.

    Raises UserError where this account cannot look.
    """
    if not paths.kind(path):
        return False
    try:
        return path.name in os.listdir(path.parent)  # noqa: PTH208 - names alone are asked for
    except OSError as error:
        raise paths.unseen(path, error) from None


def _inside(folder: Path, path: Path) -> str:
    return str(path.relative_to(folder))


def _files(folder: Path) -> list[Path]:
    """Return the files that can be firmware, below the folder but not too far. Raises UserError for too many."""
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        here = Path(place)
        if len(here.relative_to(folder).parts) >= DEPTH:
            folders.clear()
        found += [here / name for name in sorted(names)]
        if len(found) > MOST_FILES:
            raise UserError(
                f"{folder} holds more than {MOST_FILES} files; firmware folders do not",
                fix="Name the folder with your firmware files alone: --dir DIR",
            )
    return found


def _md5(path: Path) -> str:
    """Return a file's md5, "" for what is too large, or no file, or cannot be read."""
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            return ""
        return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    except OSError:
        return ""
