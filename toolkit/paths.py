"""Paths as people type them. Python raises where this account may not look, or a home is not there: here a sentence."""

from __future__ import annotations

import shlex
import stat
from pathlib import Path

from toolkit.errors import UserError

FOLDER, FILE, OTHER, NOTHING = "folder", "file", "other", ""


def typed(text: str | Path) -> Path:
    """Return the path that a person means, "~" being their home. Raises UserError for a home that nobody has."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise UserError(
            f"{text} is in the home of an account that this machine does not have",
            fix=f"Write the path in full, or ./{text} for a folder of that name here.",
        ) from None


def kind(path: Path) -> str:
    """Return what is at a path, in one of the words of this module. Raises UserError where that cannot be seen."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return NOTHING
    except OSError as error:
        raise unseen(path, error) from None
    return FOLDER if stat.S_ISDIR(mode) else FILE if stat.S_ISREG(mode) else OTHER


def is_file(path: Path) -> bool:
    """Tell whether a file is surely there: not so where this account cannot see it."""
    return _surely(path) == FILE


def is_folder(path: Path) -> bool:
    """Tell whether a folder is surely there: not so where this account cannot see it."""
    return _surely(path) == FOLDER


def unseen(path: Path, error: OSError) -> UserError:
    """Return the error for what this account cannot look at."""
    return UserError(
        f"{path} cannot be looked at: {error.strerror}", fix=f"Who may? ls -ld {shlex.quote(str(path.parent))}"
    )


def _surely(path: Path) -> str:
    try:
        return kind(path)
    except UserError:
        return NOTHING
