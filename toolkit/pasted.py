"""What was copied out of a chat or a page and pasted: with blanks, quotes and characters around it that nobody sees."""

from __future__ import annotations

import unicodedata

# Pairs that stand around what is quoted.
QUOTES = ("''", '""', "``", "\u2018\u2019", "\u201c\u201d", "<>")


def tidy(text: str) -> str:
    """Return a text without what came along with it: blanks of any kind and quotes around it, invisible characters."""
    seen = "".join(sign for sign in text if unicodedata.category(sign) != "Cf").strip()
    while len(seen) > 1 and seen[0] + seen[-1] in QUOTES:
        seen = seen[1:-1].strip()
    return seen


def parts(text: str) -> list[str]:
    """Return what stands between the bars of ADDRESS|PORT|SESSION, each part tidied."""
    return [part.strip() for part in tidy(text).split("|")]
