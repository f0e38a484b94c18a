"""A core-less room and clients who talk to it by hand: what each was sent, as commands, and who was closed how.

They check nothing by themselves; simulated clients that do are in tests/support/netplay_clients.
"""

from __future__ import annotations

import struct
import zlib
from collections import defaultdict
from typing import TYPE_CHECKING

from relay.coreless import Close, Conversion, Convert, CorelessRoom, CorelessSettings, Note, Rest, Send
from tests.support import netplay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relay.coreless import Action

Command = tuple[int, bytes]
HEADERS = {5: 24, 4: 16}
PAD = {5: 3, 1: 1}
SPECTATE, PLAY = netplay.command(0x24), netplay.play()
INPUT, NOINPUT, NICK, INFO, SYNC, MODE, REFUSED, ASK, LOAD = 0x03, 0x04, 0x20, 0x22, 0x23, 0x26, 0x27, 0x41, 0x42
PAUSE, RESUME, STALL, RESET, ALLOW_PAUSING = 0x43, 0x44, 0x45, 0x46, 0x2000
STATE = b"the whole game" * 10


class Talk:
    """A room, and a clock that the test moves. sent and closed are by key; got returns what is new for one."""

    def __init__(self, settings: CorelessSettings | None = None) -> None:
        self.room = CorelessRoom(settings or CorelessSettings())
        self.now = 1000.0
        self.streams: defaultdict[int, bytes] = defaultdict(bytes)
        self.closed: dict[int, str] = {}
        self.notes: list[Note] = []
        self.resting: dict[int, float] = {}
        self.slices = 0
        self.later: list[tuple[Conversion, str]] = []
        self._key = 0

    def do(self, actions: Sequence[Action]) -> None:
        """Keep what the room wants done; assert that nothing is for a connection that is closed."""
        for action in actions:
            if isinstance(action, Send):
                assert action.key not in self.closed, "sent to somebody who is closed"
                assert action.data
                self.streams[action.key] += bytes(action.data)
            elif isinstance(action, Close):
                assert action.key not in self.closed, "closed twice"
                self.closed[action.key] = action.outcome
            elif isinstance(action, Convert):
                self.convert(action.conversion)
            elif isinstance(action, Rest):
                self.resting[action.key] = action.seconds
            else:
                self.notes.append(action)
        while self.later:
            self.do(self.room.converted(*self.later.pop(), self.now))

    def convert(self, conversion: Conversion) -> None:
        """Do all of a conversion at once."""
        failure = ""
        try:
            while not conversion.step():
                self.slices += 1
        except (ValueError, zlib.error) as error:
            failure = str(error)
        self.later.append((conversion, failure))

    def say(self, key: int, *data: bytes) -> None:
        """Have a client say something."""
        self.do(self.room.receive(key, b"".join(data), self.now))

    def leave(self, key: int) -> None:
        """Have a client go."""
        self.do(self.room.disconnect(key, self.now))

    def wait(self, seconds: float) -> None:
        """Let time pass, and the room do at each moment what is due then."""
        end = self.now + seconds
        while (due := self.room.next_deadline()) is not None and due <= end:
            assert due > self.now - 1, "a deadline that was not met"
            self.now = max(due, self.now)
            self.do(self.room.tick(self.now))
        self.now = end

    def connect(self, header: bytes) -> int:
        """Connect and show a header; return the key."""
        self._key += 1
        self.do(self.room.connect(self._key, self.now))
        if self._key not in self.closed:
            self.say(self._key, header)
        return self._key

    def join(
        self,
        name: str = "friend",
        header: bytes | None = None,
        info: bytes | None = None,
        play: bool = True,
    ) -> int:
        """Go through the whole handshake, and PLAY; return the key."""
        info = info or netplay.info()
        key = self.connect(header or netplay.client_header())
        self.say(key, netplay.nick(name))
        self.say(key, info)
        self.say(key, info)
        if play:
            self.say(key, PLAY)
        return key

    def legacy(self, name: str = "old", play: bool = True) -> int:
        """Join as RetroArch 1.9.14."""
        return self.join(name, netplay.client_header(netplay.RA_1_9_14, 0), play=play)

    def got(self, key: int) -> list[Command]:
        """Return the commands a client was sent since it was asked last; the header is left out."""
        data, self.streams[key] = self.streams[key], b""
        if data.startswith(b"RANP"):
            data = data[24:]
        found = []
        while data:
            number, size = struct.unpack_from(">2I", data)
            assert len(data) >= 8 + size, "half a command"
            found.append((number, data[8 : 8 + size]))
            data = data[8 + size :]
        return found

    def kinds(self, key: int) -> list[int]:
        """Return the numbers of those commands."""
        return [number for number, _ in self.got(key)]

    def play(self, key: int, frame: int, frames: int = 1, pads: int = 3) -> None:
        """Send a player's input of some frames; pads is how many words it has."""
        number = self.number(key)
        buttons = [0] * (pads - 1)
        for each in range(frame, frame + frames):
            self.say(key, netplay.game_input(each, number, key * 1000 + each, *buttons))

    def number(self, key: int) -> int:
        """Return a client's number."""
        return int(self.player(key)["number"])

    def player(self, key: int) -> dict[str, object]:
        """Return what status says of a client."""
        return next(player for player in self.room.status()["players"] if player["key"] == key)

    def two(self) -> tuple[int, int]:
        """Return two players in step, the other let in at frame 10; what they were sent is forgotten."""
        first = self.join("first")
        self.play(first, 0, 10)
        second = self.join("second")
        self.say(first, state(10))
        # Longer than the room waits before it asks for a state again.
        self.wait(0.2)
        self.got(first), self.got(second)
        return first, second


def load(frame: int, body: bytes = STATE, raw_size: int = 5070) -> bytes:
    """Return LOAD_SAVESTATE."""
    return netplay.command(LOAD, netplay.words(frame, raw_size) + body)


def state(frame: int, body: bytes = STATE, raw_size: int = 5070) -> bytes:
    """Return LOAD_SAVESTATE and something that means nothing: what comes behind it tells that it is an answer."""
    return load(frame, body, raw_size) + netplay.command(0)


def frames(commands: Sequence[Command], kind: int) -> list[int]:
    """Return the first word of every command of a kind."""
    return [struct.unpack_from(">I", body)[0] for number, body in commands if number == kind]


def words_of(body: bytes) -> tuple[int, ...]:
    """Return a body as words."""
    return struct.unpack(f">{len(body) // 4}I", body)
