"""When a client waits, for how long at most, and when it hurries."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.netplay.game import Game

# Frames that a player may be ahead of the slowest; a wait longer than PATIENCE seconds ends its game.
MOST_AHEAD, AHEAD_AGAIN = 60, 58
PATIENCE = 10.0
# Frames behind the server that a client bears, and for how many seconds, before it runs several at once.
BEHIND, BEHIND_FOR, HURRY = 3, 0.5, 4


class Pace:
    """Attributes: ``stall`` (None, 'ahead', 'watching', 'asked'), ``hurries``."""

    def __init__(self) -> None:
        self.stall: str | None = None
        self.hurries = False
        self._since: float | None = None
        self._left = 0
        self._behind: tuple[float, int] | None = None

    def ask(self, frames: int) -> None:
        """Take a STALL; it waits for one reason at a time."""
        if self.stall is None:
            self.stall, self._since, self._left = "asked", None, frames

    def look(self, game: Game, now: float) -> bool:
        """Decide whether to wait in this frame. Returns False when it has waited so long that it leaves."""
        unread = game.unread()
        self._perhaps_go_on(game, unread)
        if self.stall is None and unread + MOST_AHEAD <= game.here:
            self.stall, self._since = "ahead", now
        if self.stall is None and game.mode == "spectating" and unread <= game.here:
            self.stall, self._since = "watching", now
        if self.stall is None or self._since is None:
            return True
        if game.remote_paused:
            self._since = now
        return now - self._since < PATIENCE

    def _perhaps_go_on(self, game: Game, unread: int) -> None:
        if self.stall == "asked":
            self._left -= 1
        goes_on = {
            "ahead": unread + AHEAD_AGAIN > game.here,
            "watching": game.mode == "playing" or unread > game.here,
            "asked": self._left < 0,
        }
        if self.stall is not None and goes_on[self.stall]:
            self.stall = None

    def after(self, game: Game, now: float) -> None:
        """Decide whether to hurry, after a frame in which it did not wait."""
        behind = game.server - game.here
        if self.hurries:
            self.hurries = behind > 1
        elif behind <= BEHIND:
            self._behind = None
        elif self._behind is None:
            self._behind = now, behind
        elif behind > self._behind[1] and now - self._behind[0] > BEHIND_FOR:
            self.hurries, self._behind = True, None
