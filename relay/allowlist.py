"""The allowlist the relay checks when it accepts a connection: the second gate, behind the packet filter.

The packet filter can vanish (somebody flushes the ruleset); this one cannot. The file holds one address or prefix a
line, then `until=SECONDS` (since 1970) where the entry ends, then `# name`:

    203.0.113.7  # anna
    198.51.100.0/24 until=1798149600  # ben

It is re-read when it changes. A line whose time is over lets nobody in, whether the file is rewritten or not; while
the file cannot be read nobody is let in at all.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import math
import os
import re
import shlex
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from relay.addresses import Address, Network

log = logging.getLogger("netplay-relay.gate")

# How long (seconds) a look at the file's date is good for: a change is seen within this.
RECHECK = 0.5


_UNTIL = re.compile(r"until=(\d{1,12})")


class Prefixes:
    """A set of prefixes that answers in one look-up for each prefix length in use, however many entries there are."""

    def __init__(self) -> None:
        self._by_length: dict[tuple[int, int], dict[int, float]] = {}

    def add(self, network: Network, until: float = math.inf) -> None:
        """Add a prefix, good until a moment in seconds since 1970; of two equal prefixes the later moment counts."""
        shift = network.max_prefixlen - network.prefixlen
        entries = self._by_length.setdefault((network.version, shift), {})
        key = int(network.network_address) >> shift
        entries[key] = max(until, entries.get(key, until))

    def until(self, address: Address) -> float | None:
        """Return until when address is in one of the prefixes (inf: for good), None when it is in none."""
        value, version = int(address), address.version
        tables = ((shift, found) for (kind, shift), found in self._by_length.items() if kind == version)
        return max((found[value >> shift] for shift, found in tables if value >> shift in found), default=None)

    def __len__(self) -> int:
        return sum(map(len, self._by_length.values()))

    def __contains__(self, address: Address) -> bool:
        return self.until(address) is not None


def parse(text: str) -> Prefixes:
    """Read the lines of an allowlist. Raises ValueError naming the line of the first mistake."""
    prefixes = Prefixes()
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        until = _UNTIL.fullmatch(words[1]) if len(words) == 2 else None
        if len(words) > 1 and not until:
            raise ValueError(f"line {number}: {' '.join(words[1:])!r} is not until=SECONDS")
        try:
            prefixes.add(ipaddress.ip_network(words[0]), float(until[1]) if until else math.inf)
        except ValueError:
            raise ValueError(f"line {number}: {words[0]!r} is not an address or prefix") from None
    return prefixes


def render(entries: Iterable[tuple[Network, int | None, str]]) -> str:
    """Return the text of an allowlist with these entries: prefix, end in seconds since 1970 or None, whose it is."""
    lines = ["# Who may connect, for the relay's own gate. Written by netplay-relay: what is changed here is lost."]
    for network, until, name in entries:
        single = network.prefixlen == network.max_prefixlen
        value = str(network.network_address if single else network)
        ends = "" if until is None else f" until={until}"
        lines.append(f"{value}{ends}  # {name}")
    return "\n".join(lines) + "\n"


class UnusableError(Exception):
    """An allowlist that lets nobody in because it cannot be read; str() says why and what to do."""

    def __init__(self, path: Path, error: OSError | ValueError) -> None:
        quoted = shlex.quote(str(path))
        reason, cure = str(error), "Mend it, or where the relay was deployed: invoke friends.push"
        if isinstance(error, OSError):
            reason = error.strerror or reason
        elif isinstance(error, UnicodeDecodeError):
            reason = "it is not UTF-8 text"
        if isinstance(error, FileNotFoundError):
            cure = "Write it, an address or prefix a line, or where the relay was deployed: invoke friends.push"
        elif isinstance(error, PermissionError):
            cure = f"Where the relay was deployed: invoke friends.push. Else see who may read it: ls -l {quoted}"
        super().__init__(f"allowlist {path} cannot be used, so nobody is let in: {reason}. {cure}")


def read(path: Path) -> Prefixes:
    """Read an allowlist. Raises UnusableError."""
    return _read(path)[0]


def _read(path: Path) -> tuple[Prefixes, str]:
    """Return an allowlist and its digest. Raises UnusableError."""
    try:
        data = path.read_bytes()
        return parse(data.decode()), digest(data)
    except (OSError, ValueError) as error:
        raise UnusableError(path, error) from error


def digest(data: bytes) -> str:
    """Return what tells the content of an allowlist from another."""
    return hashlib.sha256(data).hexdigest()


class Allowlist:
    """Who may connect, by a file; with path None everybody may. clock tells seconds since 1970, for what ends.

    The file is read at once: that nobody is let in is said before somebody is kept out.
    """

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._prefixes = Prefixes()
        self._stamp: tuple[int, int, int] | None = None
        self._checked = float("-inf")
        self._complaint = ""
        self._digest = ""
        if path is not None:
            self._refresh(path)

    def allows(self, address: Address, now: float) -> bool:
        """Tell whether address may connect; now in seconds of a monotonic clock."""
        if self._path is None:
            return True
        if now - self._checked >= RECHECK:
            self._checked = now
            self._refresh(self._path)
        until = self._prefixes.until(address)
        # Most entries have no end: the clock is read for the others alone.
        return until is not None and (until == math.inf or self._clock() < until)

    def told(self) -> dict[str, Any]:
        """Return what is in force now, as JSON can hold it.

        path: the file (None: everybody may connect). entries, digest: of what was read of it. problem: why it cannot be
        read now, "" when it can. What was read before, and has not changed, is in force also when it cannot be read any
        more; the next start would let nobody in.
        """
        problem = ""
        if self._path is not None:
            self._refresh(self._path)
            try:
                self._path.open("rb").close()
            except OSError as error:
                problem = str(UnusableError(self._path, error))
        return {
            "path": None if self._path is None else str(self._path),
            "entries": len(self._prefixes),
            "digest": self._digest,
            "problem": self._complaint or problem,
        }

    def _refresh(self, path: Path) -> None:
        try:
            stamp = _stamp(path)
            if stamp != self._stamp:
                self._prefixes, self._digest = _read(path)
                self._stamp = stamp
                self._complaint = ""
                log.info("allowlist %s read", path)
        except UnusableError as error:
            self._prefixes, self._digest = Prefixes(), ""
            self._stamp = None
            if str(error) != self._complaint:
                self._complaint = str(error)
                log.error("%s", error)


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        status = os.stat(path)  # noqa: PTH116 - on the accept path
    except OSError as error:
        raise UnusableError(path, error) from error
    return status.st_mtime_ns, status.st_size, status.st_ino
