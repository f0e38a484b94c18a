"""A core-less room: what its players send, and what each of them is sent."""

from __future__ import annotations

from typing import Any

from relay.coreless.settings import Action, Close, CorelessSettings, Note, Send

__all__ = ["Action", "Close", "CorelessRoom", "CorelessSettings", "Note", "Send"]


class CorelessRoom:
    """One room: told what arrives on its connections and when (seconds), it returns what is to be done, in order.

    A key is the caller's name for a connection. After Close(key), and after `disconnect`, a key means nothing any more.
    seed is for whoever wants two rooms alike; nothing in a room is secret.
    """

    def __init__(self, settings: CorelessSettings = CorelessSettings(), *, seed: int = 0) -> None:  # noqa: B008 - frozen
        self.settings = settings
        self._keys: dict[int, None] = {}

    @property
    def empty(self) -> bool:
        """Whether nobody is connected."""
        return not self._keys

    def connect(self, key: int, now: float) -> list[Action]:
        """Take a connection that has just arrived."""
        self._keys[key] = None
        return []

    def receive(self, key: int, data: bytes, now: float) -> list[Action]:
        """Take bytes of a connection, however they are cut."""
        return []

    def disconnect(self, key: int, now: float) -> list[Action]:
        """Take the end of a connection."""
        self._keys.pop(key, None)
        return []

    def tick(self, now: float) -> list[Action]:
        """Do what is due. To be called at next_deadline(), or later."""
        return []

    def next_deadline(self) -> float | None:
        """Return when `tick` has something to do; None for never."""
        return None

    def status(self) -> dict[str, Any]:
        """Return the room as plain data."""
        return {"players": [], "master": None, "content_crc": None, "frame": 0}
