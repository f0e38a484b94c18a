"""Watches netplay go by on one link: who plays what with whom, whether it is in step, paused, or has failed.

Sans-I/O and passive: it is shown the bytes after they were sent on, changes none, delays none, never raises, and stops
by itself where it no longer understands them. It knows RetroArch's netplay protocols 5, 6 and 7 (docs/protocol.md,
Netplay stream). Chat is counted past, never read; names are kept only where they may be.
"""

from __future__ import annotations

from typing import Any

from relay.netplay.commands import ToClient, ToHost
from relay.netplay.framing import Data, Direction
from relay.netplay.observed import Peer, Role, Seen

__all__ = ["Peer", "Role", "Seen", "Watcher"]


class Watcher:
    """One link's two directions, and what was seen on them. names: whether nicks may be kept."""

    __slots__ = ("_to_client", "_to_host", "seen")

    def __init__(self, names: bool) -> None:
        self.seen = Seen()
        self._to_host = ToHost(self.seen, names)
        self._to_client = ToClient(self.seen, names)

    def feed(self, to_host: bool, data: Data) -> None:
        """Take the next bytes of a direction. Never raises; data is the caller's again when it returns."""
        self.way(to_host).feed(data)

    def way(self, to_host: bool) -> Direction:
        """Return one direction, to feed it with one call less for each message."""
        return self._to_host if to_host else self._to_client

    def as_dict(self) -> dict[str, Any]:
        """Return what was seen for JSON, and "coming": the bytes still to come of a body that the host has begun."""
        return {**self.seen.as_dict(), "coming": self._to_client.still_to_come}

    def save(self) -> dict[str, Any]:
        """Return all it knows as simple types, so that a successor of this program can watch on."""
        return {"seen": self.seen.save(), "to_host": self._to_host.save(), "to_client": self._to_client.save()}

    @classmethod
    def restored(cls, state: Any, names: bool) -> Watcher:
        """Return the watcher that `save` saved; for anything else one that has stopped, for it is nowhere."""
        watcher = cls(names)
        try:
            watcher._follow(Seen.restored(state["seen"]), state["to_host"], state["to_client"])
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
            watcher._to_host.stop()
            watcher._to_client.stop()
        if not names:
            watcher.seen.forget_names()
        return watcher

    def _follow(self, seen: Seen, to_host: dict[str, Any], to_client: dict[str, Any]) -> None:
        self._to_host.restore(to_host)
        self._to_client.restore(to_client)
        self.seen = self._to_host.seen = self._to_client.seen = seen
