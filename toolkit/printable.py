"""The one door for text to a terminal: whatever others wrote comes out as signs that stay where they are printed.

Escape sequences, C1 controls, characters that turn the direction of writing around, that have no width or that end a
line are attacks: a nick or a host's answer could rename the window, fill the clipboard, or write a line of its own.
Everything that is printed goes through here (toolkit/console.py, toolkit/errors.py), whoever wrote it; what a host
answered does so once more when it is read (toolkit/ssh/shapes.py), where a line end is one of the attacks.
"""

from __future__ import annotations

import re
import unicodedata

SUBSTITUTE = "?"
# Letters and marks by their category, and yet without a width or empty: combining grapheme joiner, Hangul fillers,
# Khmer and Mongolian selectors, variation selectors, the empty Braille cell.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0d\uffa0\U000e0100-\U000e01ef]"
)
# Which of its two pictures a sign is shown with; written behind ordinary emoji.
_PRESENTATION = dict.fromkeys((0xFE0E, 0xFE0F))
# More marks on one letter than any language has climb into the lines above and below.
MOST_MARKS = 4


def line(text: str) -> str:
    """Return a text as one line that is safe on a terminal: "?" for whatever is not a sign to print."""
    if text.isascii() and text.isprintable():
        return text
    text = _UNSEEN.sub(SUBSTITUTE, text.translate(_PRESENTATION))
    return _without_towers("".join(_sign(sign) for sign in text))


def lines(text: str) -> str:
    """Return a text that is safe on a terminal and keeps its line ends."""
    if text.isascii() and text.isprintable():
        return text
    return "\n".join(line(part.removesuffix("\r")) for part in text.split("\n"))


def is_unicode(text: str) -> bool:
    """Tell whether a text can be written in UTF-8: what was typed in another language's bytes holds halves of signs."""
    return not any("\ud800" <= sign <= "\udfff" for sign in text)


def _sign(sign: str) -> str:
    if sign.isprintable():
        return sign
    return " " if sign == "\t" or unicodedata.category(sign) == "Zs" else SUBSTITUTE


def _without_towers(text: str) -> str:
    marks, kept = 0, []
    for sign in text:
        marks = marks + 1 if unicodedata.category(sign) in ("Mn", "Me") else 0
        if marks <= MOST_MARKS:
            kept.append(sign)
    return "".join(kept)
