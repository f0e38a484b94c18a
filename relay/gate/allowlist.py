"""The allowlist the relay checks when it accepts a connection: the second gate, behind the packet filter.

The packet filter can vanish (somebody flushes the ruleset); this one cannot. The file holds one address or prefix a
line, `# name` behind it; it is re-read when it changes, and while it cannot be read nobody is let in.
"""

from __future__ import annotations

import ipaddress
import logging
import os
from pathlib import Path

from relay.protocol import Address

log = logging.getLogger("netplay-relay.gate")

# How long (seconds) a look at the file's date is good for: a change is seen within this.
RECHECK = 0.5


class Prefixes:
    """A set of prefixes that answers in one look-up for each prefix length in use, however many entries there are."""

    def __init__(self) -> None:
        self._by_length: dict[tuple[int, int], set[int]] = {}

    def add(self, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> None:
        """Add a prefix."""
        shift = network.max_prefixlen - network.prefixlen
        entries = self._by_length.setdefault((network.version, shift), set())
        entries.add(int(network.network_address) >> shift)

    def __contains__(self, address: Address) -> bool:
        value, version = int(address), address.version
        return any(kind == version and value >> shift in found for (kind, shift), found in self._by_length.items())


def parse(text: str) -> Prefixes:
    """Read the lines of an allowlist. Raises ValueError naming the line of the first mistake."""
    prefixes = Prefixes()
    for number, line in enumerate(text.splitlines(), start=1):
        entry = line.partition("#")[0].strip()
        if not entry:
            continue
        try:
            prefixes.add(ipaddress.ip_network(entry))
        except ValueError:
            raise ValueError(f"line {number}: {entry!r} is not an address or prefix") from None
    return prefixes


class Allowlist:
    """Who may connect, by a file; with path None everybody may."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._prefixes = Prefixes()
        self._stamp: tuple[int, int, int] | None = None
        self._checked = float("-inf")
        self._complaint = ""

    def allows(self, address: Address, now: float) -> bool:
        """Tell whether address may connect; now in seconds of a monotonic clock."""
        if self._path is None:
            return True
        if now - self._checked >= RECHECK:
            self._checked = now
            self._refresh(self._path)
        return address in self._prefixes

    def _refresh(self, path: Path) -> None:
        try:
            status = os.stat(path)  # noqa: PTH116 - on the accept path
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp != self._stamp:
                self._prefixes = parse(path.read_text(encoding="utf-8"))
                self._stamp = stamp
                self._complaint = ""
                log.info("allowlist %s read", path)
        except (OSError, ValueError) as error:
            self._prefixes = Prefixes()
            self._stamp = None
            if str(error) != self._complaint:
                self._complaint = str(error)
                log.error("allowlist %s cannot be used, so nobody is let in: %s", path, error)
