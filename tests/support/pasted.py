"""One relay, localhost|55499, as it comes out of a chat or a page."""

from __future__ import annotations

# What comes along when an invitation is copied out of a chat.
PASTED = (
    " localhost|55499 ", "localhost | 55499", "\tlocalhost|55499\n", "'localhost|55499'", "\u201clocalhost|55499\u201d",
    "`localhost|55499`", "\u00a0localhost|55499", "\u200blocalhost|\u200b55499\ufeff", " ' localhost|55499' ",
)  # fmt: skip
