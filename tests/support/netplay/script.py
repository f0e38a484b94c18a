"""A scripted server for one simulated client: says what a test wants it to say, and keeps what the client answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from tests.support import netplay as np
from tests.support.netplay.client import CONTENT, Client

if TYPE_CHECKING:
    from tests.support.netplay.game import Game
    from tests.support.netplay.kinds import Kind

STEP = 1 / 60


def sync_five(frame: int = 10, number: int = 2, players: int = 1, *, paused: bool = False) -> bytes:
    """Return SYNC into a game with a pad for each of the clients 1 to ``players``."""
    maps = [1 << client for client in range(1, players + 1)]
    devices = np.words(*[1] * 16) + bytes(16) + np.words(*maps, *[0] * (16 - players))
    return np.command(0x23, np.words(frame, number | paused << 31) + devices + np.text("friend"))


def sync_four(frame: int = 10, players: int = 0b1) -> bytes:
    """Return SYNC of protocol 4."""
    return np.command(0x23, np.words(frame, players, 0, *[1] * 16) + np.text("friend"))


class Script:
    """The server's side. Attributes: ``client``, ``now``."""

    def __init__(self, kind: Kind, **options: Any) -> None:
        self.kind, self.client, self.now = kind, Client(kind, "friend", **options), 0.0
        self._heard = b""

    @property
    def game(self) -> Game:
        """The client's game."""
        assert self.client.game is not None
        return self.client.game

    def say(self, *data: bytes) -> None:
        """Send this and let a frame pass."""
        for piece in data:
            self.client.feed(piece)
        self.frames(1)

    def frames(self, count: int) -> None:
        """Let frames pass."""
        for _ in range(count):
            self.now += STEP
            self.client.frame(self.now)
            self._heard += self.client.output()

    def pass_time(self, seconds: float) -> None:
        """Let seconds pass."""
        self.frames(round(seconds / STEP))

    def heard(self) -> bytes:
        """Return, once, what the client said."""
        heard, self._heard = self._heard + self.client.output(), b""
        return heard

    def steps(self, count: int) -> Self:
        """Go so many steps of the handshake: header, NICK, INFO, SYNC."""
        four = self.kind.protocol == 4
        header = np.words(self.kind.implementation, 0x40008, 1, 0) if four else np.host_header(protocol=5)
        info = CONTENT.info(self.kind)
        for data in (header, np.nick("relay"), info, sync_four() if four else sync_five())[:count]:
            self.say(data)
        return self

    def playing(self) -> Self:
        """Bring the client into a game at frame 10, as player 2 beside player 1."""
        self.steps(4)
        if self.kind.protocol == 4:
            self.say(np.command(0x26, np.words(10, 1 | 1 << 16 | 1 << 17)))
        else:
            self.say(np.mode(frame=10, number=2))
        assert self.client.playing
        return self
