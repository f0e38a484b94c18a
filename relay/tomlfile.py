"""A TOML file that a person writes: reading it, and a sentence with file and line for whatever is wrong with it.

Knows no settings: relay/config.py reads relay.toml with it, relay/gate/policy/friends.py friends.toml.
"""

from __future__ import annotations

import errno
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

FIXES = {
    errno.ENOENT: "See what there is: ls -l {}",
    errno.EACCES: "Let this account read it, or try again with: sudo",
    errno.EISDIR: "Name a file in it.",
}


class ConfigError(Exception):
    """A mistake in a file a person wrote.

    Attributes: path (Path), line (int or None, counted from 1), message (what is wrong), fix (what to write instead).
    str() gives the whole sentence.
    """

    def __init__(self, path: Path, line: int | None, message: str, fix: str = "") -> None:
        where = f"{path}:{line}" if line else str(path)
        super().__init__(f"{where}: {message}" + (f" {fix}" if fix else ""))
        self.path = path
        self.line = line
        self.message = message
        self.fix = fix


def read(path: Path) -> str:
    """Return the text of a file. Raises ConfigError when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError | UnicodeDecodeError) -> ConfigError:
    """Return what there is to say of a file that cannot be read."""
    reason, fix = "it is not UTF-8 text", "Save it as UTF-8."
    if isinstance(error, OSError):
        reason, fix = error.strerror or str(error), FIXES.get(error.errno or 0, "")
    return ConfigError(path, None, f"cannot read this file: {reason}.", fix.format(shlex.quote(str(path.parent))))


def read_toml(text: str, path: Path) -> dict[str, Any]:
    """Parse TOML; a syntax error becomes a ConfigError with its line."""
    try:
        return tomllib.loads(text)
    except (RecursionError, ValueError) as error:  # too deep, or a number of thousands of digits, besides bad TOML
        match = re.search(r"\(at line (\d+)", str(error))
        line = int(match.group(1)) if match else text.count("\n") + 1  # "(at end of document)"
        what = str(error).split(" (at ")[0].rstrip(".")
        raise ConfigError(path, line, f"this is not TOML: {what}.", "Write settings as: port = 55435") from error


def locate(text: str, table: str, key: str | None = None, entry: int = 0) -> int | None:
    """Return the line (from 1) of a table's header, or of a key in it; entry counts [[table]] from 0."""
    header = re.compile(rf"^\s*\[\[?\s*{re.escape(table)}\s*\]\]?")
    other = re.compile(r"^\s*\[")
    inside = table == ""
    seen = -1
    for number, line in enumerate(text.splitlines(), start=1):
        if header.match(line):
            seen += 1
            inside = seen == entry
            if inside and key is None:
                return number
        elif other.match(line):
            inside = False
        elif inside and key is not None and re.match(rf"^\s*[\"']?{re.escape(key)}[\"']?\s*[.=]", line):
            return number
    return None
