"""Finding a program's answer in what a login prints: a shell over there may greet whoever comes, programs too."""

from __future__ import annotations

import json
import re
from typing import Any

# Where a document may begin: ours is printed on lines of its own, and what is nested in it is indented. A greeting
# need not end its line, so it is looked for behind one, too.
_BEGINNINGS = {
    dict: re.compile(r"^(?! )[^{\n]*(?=\{)", re.MULTILINE),
    list: re.compile(r"^(?! )[^[\n]*(?=\[)", re.MULTILINE),
}


def find(text: str, kind: type[dict[str, Any]] | type[list[Any]] = dict) -> Any:
    """Return the JSON document that text ends with, an object or a list as kind says; None where there is none."""
    text = text.rstrip()
    decoder = json.JSONDecoder()
    for match in _BEGINNINGS[kind].finditer(text):
        try:
            found, end = decoder.raw_decode(text, match.end())
        except ValueError:
            continue
        if end == len(text) and isinstance(found, kind):
            return found
    return None
