"""What a client of protocol 4 (RetroArch 1.7.0 and older) does otherwise."""

from __future__ import annotations

from tests.support import netplay as np
from tests.support.netplay.framing import text_of, words_of
from tests.support.netplay.game import YOU, Game, need

PLAYERS = 16
YOU4, PLAYING4 = 1 << 16, 1 << 17
WORDS4 = 3


class GameFour(Game):
    """As Game; on the wire players are counted from 0, here from 1 as in protocol 5."""

    sync_size = 108

    def on_sync(self, body: bytes) -> None:
        """Take SYNC."""
        need(len(body) >= self.sync_size, f"SYNC of {len(body)} bytes, not {self.sync_size}")
        frame, flags, flip = words_of(body[:12])
        need(flip == 0, f"SYNC that flips the players at frame {flip}")
        self._paused(bool(flags & YOU))
        self.types = words_of(body[12:76])
        self.devices = {player + 1: 1 << player for player in range(PLAYERS) if flags >> player & 1}
        self.nick = text_of(body[76:108])
        self._begin(frame)

    def size_for(self, pad: int) -> int:
        """Return three words, whatever is plugged in."""
        return WORDS4

    def give(self, frame: int, words: tuple[int, ...]) -> None:
        """Put its own input into the game and send it."""
        self.timeline.put(frame, self.number, (self.pad, words))
        self.expected[self.number] = frame + 1
        self.out.append(np.command(0x03, np.words(frame, self.number - 1, *words)))

    def on_input(self, body: bytes) -> bool | None:
        """INPUT: as in protocol 5, always of three words; bit 31 of the player belongs to a server that plays."""
        need(len(body) == 8 + 4 * WORDS4, f"INPUT of {len(body)} bytes")
        frame, player = words_of(body[:8])
        need(player < PLAYERS, f"INPUT of player {player:#x}")
        return super().on_input(np.words(frame, player + 1) + body[8:])

    def on_mode(self, body: bytes) -> None:
        """MODE of 8 bytes."""
        need(len(body) == 8, f"MODE of {len(body)} bytes")
        frame, flags = words_of(body)
        player = flags & 0xFFFF
        need(player < PLAYERS, f"MODE for player {player}")
        self._mode(frame, player + 1, 1 << player, you=bool(flags & YOU4), playing=bool(flags & PLAYING4))

    def _loads_at(self, frame: int, what: str) -> None:
        super()._loads_at(frame, what)
        # It is put where the next input of player 0 belongs, whoever that was.
        first = self.expected.get(1)
        need(first == frame, f"{what} at frame {frame} while the first player is at {first}")
