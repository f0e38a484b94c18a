"""The interfaces that the internet is behind, by the kernel's own tables of routes: one for each family."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ROUTES = {4: Path("/proc/net/route"), 6: Path("/proc/net/ipv6_route")}
_ANYWHERE4, _ANYWHERE6 = "00000000", "0" * 32


def uplinks(version: int) -> list[str]:
    """Return the interfaces of the default routes of a family, 4 or 6; none where the kernel tells of none."""
    try:
        lines = [line.split() for line in ROUTES[version].read_text(encoding="utf-8").splitlines()]
    except OSError:
        return []
    return list(dict.fromkeys(_defaults4(lines) if version == 4 else _defaults6(lines)))


def _defaults4(lines: list[list[str]]) -> Iterator[str]:
    """Yield from lines of: interface, destination, gateway, flags, three counts, mask."""
    yield from (fields[0] for fields in lines if len(fields) > 7 and fields[1] == fields[7] == _ANYWHERE4)


def _defaults6(lines: list[list[str]]) -> Iterator[str]:
    """Yield from lines of: destination, its length, source, its length, next hop, four numbers, interface.

    A host without a way out has a route to anywhere too: one that refuses, on lo.
    """
    yield from (
        fields[9] for fields in lines if len(fields) > 9 and fields[:2] == [_ANYWHERE6, "00"] and fields[9] != "lo"
    )
