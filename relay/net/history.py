"""What ended lately: the last players and sessions, each with what was known of it in its last moment.

The log has a line for each, but not the way to it nor what was seen on it; `netplay-relay status` shows these, and
`invoke watch` writes its report cards from them. Only plain data, and never more than MOST of it.
"""

from __future__ import annotations

from collections import deque
from typing import Any

MOST = 32


class History:
    """The last endings, numbered from 1. An upgrade of the program begins a new list."""

    def __init__(self) -> None:
        self.count = 0
        self._recent: deque[dict[str, Any]] = deque(maxlen=MOST)

    def add(self, kind: str, **facts: Any) -> None:
        """Note an ending: of a "session", of a "client" that played, or of one that was "refused".

        Where nobody hosts: of a "table", of a "player". facts are of JSON's types, times in seconds.
        """
        self.count += 1
        self._recent.append({"number": self.count, "kind": kind, **facts})

    def since(self, number: int) -> list[dict[str, Any]]:
        """Return the endings after a number, oldest first, those of them that are still known."""
        return [entry for entry in self._recent if entry["number"] > number]
