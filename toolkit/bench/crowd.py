"""Many sessions through one relay, and what the relay uses meanwhile."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from toolkit.bench import links, procfs
from toolkit.bench.generator import play
from toolkit.bench.procfs import NOTHING, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from toolkit.bench.contenders import Contender
    from toolkit.bench.generator import Load, Played
    from toolkit.bench.links import Link

SETTLING = 0.2
"""Seconds a relay is given to come to rest before its memory or time is read."""


class Crowd:
    """The sessions of a relay that runs; `grow` makes more, `play` lets them play."""

    def __init__(self, contender: Contender, generator: Path) -> None:
        self.contender = contender
        self.links: list[Link] = []
        self._generator = generator

    def grow(self, count: int) -> Sequence[Link]:
        """Return the first count sessions; those that are missing are made. Raises RelayError."""
        if len(self.links) < count:
            self.open(count - len(self.links))
        return self.links[:count]

    def open(self, count: int) -> Usage:
        """Make count more sessions; return what the relay used for it, before a word went over them."""
        first = len(self.links)
        before = self.usage()
        try:
            for number in range(first, first + count):
                self.links.append(self.contender.link(number))
            time.sleep(SETTLING)
            used = self.usage() - before
            for link in self.links[first:]:
                links.greet(link)
        except links.LinkError as error:
            self.contender.check()
            raise self.contender.complaint(f"session {len(self.links)} could not be made: {error}") from error
        return used

    def play(self, load: Load) -> Played:
        """Run the generator. Raises GeneratorError."""
        return play(self._generator, load, self.contender.pid)

    def usage(self) -> Usage:
        """Return what the relay has used so far; nothing, for no relay. Raises RelayError when it has ended."""
        self.contender.check()
        return procfs.usage(self.contender.pid) if self.contender.pid is not None else NOTHING

    def memory_kb(self) -> int:
        """Return the relay's resident memory; 0 for no relay. Raises RelayError when it has ended."""
        self.contender.check()
        return procfs.memory_kb(self.contender.pid) if self.contender.pid is not None else 0

    def forget_peak(self) -> None:
        """Let the relay's peak of memory begin again at what is resident now."""
        self.contender.check()
        if self.contender.pid is not None:
            procfs.forget_peak(self.contender.pid)

    def peak_kb(self) -> int:
        """Return the most memory the relay has had since; 0 for no relay. Raises RelayError when it has ended."""
        self.contender.check()
        return procfs.peak_kb(self.contender.pid) if self.contender.pid is not None else 0

    def close(self) -> None:
        """End all sessions."""
        for link in self.links:
            link.close()


@contextmanager
def crowd(contender: Contender, generator: Path) -> Iterator[Crowd]:
    """Run a relay for as long as the block lasts; yields its sessions, none at first."""
    with contender:
        sessions = Crowd(contender, generator)
        try:
            yield sessions
        finally:
            sessions.close()
