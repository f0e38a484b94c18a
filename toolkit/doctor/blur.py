"""Taking out of a text what others need not know: addresses, and words that name people, hosts and rooms. Pure."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from relay.logs import blur

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Four numbers with dots wherever they stand, with or without something before and behind.
_IPV4 = re.compile(r"(?P<network>\d{1,3}\.\d{1,3}\.\d{1,3})\.\d{1,3}(?:/\d{1,3})?")
# What may have an IPv6 address in it, and what may be one: bounded repeats, so that a long line takes no longer for
# each of its characters than a short one. It is anybody's text.
_RUN = re.compile(r"[0-9A-Fa-f:.]+(?:/\d{1,3})?")
_IPV6 = re.compile(r"(?:[0-9A-Fa-f]{0,4}:){2,8}(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f]{0,4})")
SHORTEST_WORD = 3


def scrub(text: str, words: Mapping[str, str]) -> str:
    """Return a text without the host part of any address, and with each word replaced by another.

    An address becomes its network: 203.0.113.0/24, 2001:db8:1::/48.
    """
    known = sorted((word for word in words if len(word) >= SHORTEST_WORD), key=len, reverse=True)
    if known:
        # All at once: what one is replaced by may have another in it.
        pattern = rf"(?<!\w)(?:{'|'.join(map(re.escape, known))})(?!\w)"
        text = re.sub(pattern, lambda match: words[match[0]], text)
    return addresses(text)


def addresses(text: str) -> str:
    """Return a text without the host part of any address in it."""
    return _IPV4.sub(_ipv4, _RUN.sub(_ipv6, text))


def numbered(prefix: str, words: Iterable[str]) -> dict[str, str]:
    """Return a replacement for each word: prefix-1, prefix-2 and so on."""
    return {word: f"{prefix}-{number}" for number, word in enumerate(dict.fromkeys(words), 1)}


def _ipv4(match: re.Match[str]) -> str:
    if match[0] == "0.0.0.0" or match[0].startswith("127."):  # noqa: S104 - a text
        return match[0]
    # Also what is too large to be an address: "1203.0.113.7" has one in it.
    return f"{match['network']}.0/24"


def _ipv6(match: re.Match[str]) -> str:
    """Blur each address in a run of digits and colons: the longest that begins first, then the next behind it."""
    run, slash, bits = match[0].partition("/")
    done, shown, at = 0, [], 0
    while found := _IPV6.search(run, at):
        start = found.start()
        blurred, end = _longest(run, start, found.end())
        at = end if blurred else start + 1
        if blurred:
            shown += [run[done:start], blurred]
            done = end
    # The length of a network that was blurred is gone with it.
    return "".join([*shown, run[done:], slash + bits if done < len(run) or not shown else ""])


def _longest(run: str, start: int, end: int) -> tuple[str, int]:
    """Return the longest address of a run that begins at start, blurred, and where it ends; "" if there is none."""
    for stop in range(end, start + 2, -1):
        text = run[start:stop]
        if ":::" not in text and text.count("::") < 2 and (blurred := _parsed(text)):
            return blurred, stop
    return "", start


def _parsed(text: str) -> str:
    """Return an IPv6 address blurred, "" for what is none or hides nobody ("::", "::1")."""
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return ""
    if int(address) <= 1:
        return ""
    return blur(address.ipv4_mapped or address)
