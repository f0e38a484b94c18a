"""The one reader of what a host answers: the document is found, bounded, and of its shape, or it is refused.

A shell over there may greet whoever comes, programs too; and a host that was broken into says whatever it likes. How
much it may say, and for how long, is bounded where it is run (toolkit/ssh/bounded.py).
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from toolkit import printable
from toolkit.ssh.shapes import Shape, WrongShapeError

# Where a document may begin: ours is printed on lines of its own, and what is nested in it is indented. A greeting
# need not end its line, so it is looked for behind one, too.
_BEGINNINGS = {
    dict: re.compile(r"^(?! )[^{\n]*(?=\{)", re.MULTILINE),
    list: re.compile(r"^(?! )[^[\n]*(?=\[)", re.MULTILINE),
}
# How often the text may be read over, in all, for documents that begin and do not end: it is anybody's text.
NONE = "it does not end with a document of JSON"
READINGS = 4
SPARE = 100_000


class BrokenAnswerError(ValueError):
    """What a host printed ends with no answer, or with one of another shape; the message says what is wrong."""


def find(text: str, kind: type[dict[str, Any]] | type[list[Any]] = dict) -> Any:
    """Return the JSON document that text ends with, an object or a list as kind says; None where there is none.

    Its texts may hold anything: `read` is for what is shown.
    """
    text = text.rstrip()
    left = READINGS * len(text) + SPARE
    for match in _BEGINNINGS[kind].finditer(text):
        try:
            found, end = _DECODER.raw_decode(text, match.end())
        except json.JSONDecodeError as error:
            left -= error.pos - match.end() + 1
        except (ValueError, RecursionError):
            left -= len(text)
        else:
            if end == len(text) and isinstance(found, kind):
                return found
            left -= end - match.end()
        if left < 0:
            return None
    return None


def read(text: str, shape: Shape, kind: type[dict[str, Any]] | type[list[Any]] = dict) -> Any:
    """Return the document that text ends with, of its shape, safe to show. Raises BrokenAnswerError."""
    found = find(text, kind)
    if found is None:
        raise BrokenAnswerError(NONE)
    return shaped(found, shape)


def read_line(text: str, shape: Shape) -> Any:
    """Return the object that a line is; None for a line that is none, such as a login's. Raises BrokenAnswerError."""
    try:
        found = _DECODER.decode(text)
    except (ValueError, RecursionError):
        return None
    return shaped(found, shape) if isinstance(found, dict) else None


def shaped(found: Any, shape: Shape) -> Any:
    """Return a document as shape takes it. Raises BrokenAnswerError."""
    try:
        return shape(found, "")
    except WrongShapeError as error:
        raise BrokenAnswerError(str(error)) from None


def last_words(*texts: str) -> str:
    """Return the last line that says something, of the first text that does, safe to show; "" where none does."""
    for text in texts:
        if words := text.strip():
            return printable.line(words.rpartition("\n")[2].strip())[:LONGEST_WORDS]
    return ""


LONGEST_WORDS = 500


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


_DECODER = json.JSONDecoder(parse_constant=_refuse)
