"""RetroArch's own kind of file, `key = "value"`: retroarch.cfg and .info read, an appendconfig written.

Pure but for reading: a person's own files are never written here.
"""

from __future__ import annotations

import re
from pathlib import Path

from toolkit.errors import UserError

LINE = re.compile(r'^\s*(?P<key>[^\s=#"]+)\s*=\s*(?:"(?P<quoted>[^"]*)"|(?P<bare>[^\s#]+))')


def parse(text: str) -> dict[str, str]:
    """Return the settings of a text. The first of a key counts, as in RetroArch; what is no setting is passed over."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        if match := LINE.match(line):
            found.setdefault(match["key"], match["quoted"] if match["quoted"] is not None else match["bare"])
    return found


def read(path: Path) -> dict[str, str]:
    """Return the settings of a file; none when it cannot be read."""
    try:
        return parse(path.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return {}


def render(values: dict[str, str]) -> str:
    """Return settings as RetroArch reads them. Raises UserError for a value that its files cannot hold."""
    return "".join(f'{key} = "{check(key, value)}"\n' for key, value in values.items())


def check(key: str, value: str) -> str:
    """Return a value that a settings file can hold. Raises UserError: there is no way to quote a quote."""
    bad = next((sign for sign in value if sign == '"' or not sign.isprintable()), None)
    if bad is None:
        return value
    raise UserError(
        f"{key} cannot be {value!r}: RetroArch's settings hold no {bad!r}", fix="Choose one without that character."
    )


def is_true(value: str) -> bool:
    """Tell whether a setting is switched on, by RetroArch's own words for it."""
    return value.lower() in ("true", "1")


def expand(value: str, beside: Path, home: Path) -> Path | None:
    """Return the folder that a setting names: "~" is the home, ":" the program's own; None for none or "default"."""
    if not value or value == "default":
        return None
    for sign, folder in ((":", beside), ("~", home)):
        if value[0] == sign and value[1:2] in ("", "/", "\\"):
            return folder / value[1:].lstrip("/\\")
    return Path(value)
