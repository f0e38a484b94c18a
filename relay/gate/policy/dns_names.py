"""DNS names that a person writes for a friend: their syntax, checked before anything is looked up."""

from __future__ import annotations

import ipaddress
import re

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
LONGEST = 253


def parse(value: str) -> str:
    """Return the name in lower case and in ASCII, without a final dot. Raises ValueError with a sentence.

    The syntax is that of host names (RFC 1123), with the underscores some providers use. A name without a dot is
    refused: which machine it means depends on the search list of whoever asks.
    """
    text = value.strip().removesuffix(".")
    if _is_address(text):
        raise ValueError(f'"{value}" is an address. Write it as ip = "{text}"')
    try:
        name = text.encode("idna").decode("ascii").lower() if not text.isascii() else text.lower()
    except UnicodeError:
        name = ""
    labels = name.split(".")
    if len(name) > LONGEST or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdecimal():
        raise ValueError(f'"{value}" is not a DNS name. Write it like anna.example.org')
    if len(labels) < 2:
        raise ValueError(f'"{value}" is not a whole DNS name. Write all of it, like {name}.example.org')
    return name


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True
