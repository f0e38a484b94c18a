"""What a client of protocol 5 does with each command after SYNC: every rule whose breach it answers with NAK."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from tests.support import netplay as np
from tests.support.netplay.endings import NakError
from tests.support.netplay.framing import text_of, words_of
from tests.support.netplay.pace import Pace

if TYPE_CHECKING:
    from tests.support.netplay.kinds import Kind
    from tests.support.netplay.timeline import Timeline

# How many frames a client holds in its buffer, and by how many it may be told to wait at most.
BUFFER = 62
MOST_STALL = 60
CLIENTS = 32
YOU, PLAYING, SLAVE = 1 << 31, 1 << 30, 1 << 29
# Words of INPUT by device type, of which the low byte counts.
WORDS = {0: 0, 1: 1, 2: 2, 3: 5, 4: 2, 5: 3}


def need(fine: bool, what: str) -> None:
    """Raise NakError with ``what`` unless all is fine."""
    if not fine:
        raise NakError(what)


class Game:
    """A client's view of a game. Frames are numbered as on the wire.

    Attributes: ``server`` (the frame of the next NOINPUT), ``over`` (that of the last, plus 1), ``expected`` (of each
    who plays, by client number: the frame of the next INPUT), ``devices`` (the pads of each), ``here`` (the frame whose
    input it gives next), ``run`` (the frame it runs next, behind ``here`` after a RESET only), ``mode`` (playing,
    spectating), ``number`` and ``pad`` (its own).
    """

    sync_size = 184

    def __init__(self, kind: Kind, timeline: Timeline, compressed: bool, protocol: int = 5) -> None:
        self.kind, self.timeline, self.compressed, self.protocol = kind, timeline, compressed, protocol
        self.server = self.here = self.run = self.over = 0
        self.expected: dict[int, int] = {}
        self.devices: dict[int, int] = {}
        self.types: tuple[int, ...] = (0,) * 16
        self.mode, self.number, self.pad = "spectating", 0, 0
        self.nick = ""
        self.captured = False
        self.silent_until = self.forced = 0
        self.remote_paused = False
        self.may_pause = True
        self.pace = Pace()
        self.state_wanted = False
        self.refusals: list[int] = []
        self.skipped: list[int] = []
        self.out: list[bytes] = []
        self.zeros: list[int] = []
        self._handlers = {
            0x01: self._goodbye,
            0x02: self._goodbye,
            0x03: self.on_input,
            0x04: self.on_no_input,
            0x26: self.on_mode,
            0x27: self.on_refused,
            0x40: self._fixed(8, "CRC"),
            0x41: self.on_request,
            0x42: self.on_load,
            0x43: self.on_pause,
            0x44: self.on_resume,
            0x45: self.on_stall,
            0x46: self.on_reset,
        }
        if kind.modern:
            self._handlers[0x2000] = self.on_may_pause
            self._handlers[0x2001] = self._fixed(8, "SETTING_INPUT_LATENCY_FRAMES")
            self._handlers[0x1100] = self.on_ping
            self._handlers[0x1101] = self._fixed(0, "PING_RESPONSE")
        self.gone = False

    # SYNC and what follows from it.

    def on_sync(self, body: bytes) -> None:
        """Take SYNC: from now on this client takes part."""
        need(len(body) >= self.sync_size, f"SYNC of {len(body)} bytes, not {self.sync_size}")
        frame, flags = words_of(body[:8])
        self.number = flags & 0x7FFFFFFF
        need(0 < self.number < CLIENTS, f"SYNC gives it the client number {self.number}")
        self._paused(bool(flags & YOU))
        self.types = words_of(body[8:72])
        for device, clients in enumerate(words_of(body[88:152])):
            for client in range(CLIENTS):
                if clients >> client & 1:
                    self.devices[client] = self.devices.get(client, 0) | 1 << device
        self.nick = text_of(body[152:184])
        self._begin(frame)

    def _begin(self, frame: int) -> None:
        self.server = self.here = self.run = frame
        self.expected = dict.fromkeys(self.devices, frame)
        self.timeline.start(frame)

    # The frames.

    def unread(self) -> int:
        """Return the frame from which on something is missing."""
        playing = self.mode == "playing"
        others = (frame for client, frame in self.expected.items() if client != self.number or not playing)
        return min(self.server, min(others, default=self.server))

    def ready(self, frame: int) -> bool:
        """Whether the buffer has room for a frame: its place is still taken by one that may be played again."""
        older = frame - BUFFER
        return older < self.timeline.settled or not (older <= self.here or self.timeline.holds(older))

    def size_for(self, pad: int) -> int:
        """Return how many words of INPUT go with the pads of a bitmap."""
        return sum(WORDS.get(kind & 0xFF, 0) for device, kind in enumerate(self.types) if pad >> device & 1)

    def give(self, frame: int, words: tuple[int, ...]) -> None:
        """Put its own input into the game and send it."""
        self.timeline.put(frame, self.number, (self.pad, words))
        self.expected[self.number] = frame + 1
        self.out.append(np.command(0x03, np.words(frame, self.number, *words)))

    def force_future(self, *, unasked: bool) -> None:
        """Take its own present frame for the beginning of all: for a state that its player loads or a room asks.

        What is on its way to it then, and belongs to an older frame, can end its game; where it was not asked, nobody
        is to blame.
        """
        self.run = self.here
        if unasked:
            self.forced = self.here
        for client, frame in self.expected.items():
            self.expected[client] = max(frame, self.here)
        self.server = max(self.server, self.here)

    # Commands. Each returns False where it has to wait, and is then looked at again.

    def handle(self, number: int, body: bytes) -> bool:
        """Take a command. Returns False where it, and all behind it, has to wait. Raises NakError."""
        handler = self._handlers.get(number)
        if handler is None:
            need(self.kind.skips, f"a command {number:#x}, which it does not know")
            need(number not in (0x24, 0x25), f"a command {number:#x}, which only a client sends")
            self.skipped.append(number)
            return True
        return handler(body) is not False

    def on_input(self, body: bytes) -> bool | None:
        """INPUT: of a client that plays, of its size, and the next one of that client."""
        need(len(body) >= 8 and len(body) % 4 == 0, f"INPUT of {len(body)} bytes")
        frame, client, *words = words_of(body)
        client &= 0xFFFF
        need(client < CLIENTS and client in self.expected, f"INPUT of client {client}, who does not play")
        size = self.size_for(self.devices[client])
        need(len(words) == size, f"INPUT with {len(words)} words of client {client}, whose pads have {size}")
        if frame < self.expected[client]:
            return True
        need(frame == self.expected[client], f"INPUT {frame} of client {client} instead of {self.expected[client]}")
        if not self.ready(frame):
            return False
        self.timeline.put(frame, client, (self.devices[client], tuple(words)))
        self.expected[client] = frame + 1
        if client == 0:
            self.server = frame + 1
        return True

    def on_no_input(self, body: bytes) -> None:
        """NOINPUT: the next one."""
        need(len(body) == 4, f"NOINPUT of {len(body)} bytes")
        frame = words_of(body)[0]
        need(frame <= self.server, f"NOINPUT {frame} instead of {self.server}")
        self.server = max(self.server, frame + 1)
        self.over = frame + 1

    def on_mode(self, body: bytes) -> None:
        """MODE: who begins to play does so exactly now; nobody is made a player twice, or a spectator unasked."""
        need(len(body) == 60, f"MODE of {len(body)} bytes")
        frame, flags, pad = words_of(body[:12])
        self._mode(frame, flags & 0xFFFF, pad, you=bool(flags & YOU), playing=bool(flags & PLAYING))

    def _mode(self, frame: int, client: int, pad: int, *, you: bool, playing: bool) -> None:
        need(client < CLIENTS, f"MODE for client {client}")
        if playing:
            self._is_now(frame, "MODE")
            need(not you or self.mode != "playing", "MODE makes it a player though it is one")
            self.expected[client], self.devices[client] = frame, pad
            if you:
                self._play(frame, client, pad)
            return
        if you:
            need(self.mode == "spectating", "MODE makes it a spectator unprompted")
        self.expected.pop(client, None)
        self.devices.pop(client, None)

    def _play(self, frame: int, client: int, pad: int) -> None:
        self.mode, self.number, self.pad = "playing", client, pad
        if frame <= self.here:
            self.zeros = [0] * self.size_for(pad)
            for past in range(frame, self.here + 1):
                self.give(past, tuple(self.zeros))
            self.captured = True
        else:
            self.silent_until = frame

    def on_refused(self, body: bytes) -> None:
        """MODE_REFUSED: stay a spectator."""
        need(len(body) == 4, f"MODE_REFUSED of {len(body)} bytes")
        self.refusals.append(words_of(body)[0])

    def on_request(self, body: bytes) -> None:
        """REQUEST_SAVESTATE: answered at the beginning of the next frame."""
        need(not body, f"REQUEST_SAVESTATE of {len(body)} bytes")
        self.state_wanted = True

    def on_load(self, body: bytes) -> bool | None:
        """LOAD_SAVESTATE: at the server's frame, of its own core's size, of bounded bulk."""
        need(len(body) >= 8, f"LOAD_SAVESTATE of {len(body)} bytes")
        frame, size = words_of(body[:8])
        self._loads_at(frame, "LOAD_SAVESTATE")
        machine = self.timeline.machine
        machine.size = size if machine.size is None else machine.size
        need(len(body) - 8 <= 2 * machine.size, f"a savestate of {len(body) - 8} bytes, whose core has {machine.size}")
        if not self.ready(frame):
            return False
        need(size == machine.size, f"a savestate for {size} bytes, whose core has {machine.size}")
        self._jump(frame)
        self.timeline.load(frame, machine.load(self._inflated(body[8:], size)), "state")
        return True

    def _loads_at(self, frame: int, what: str) -> None:
        self._is_now(frame, what)

    def _is_now(self, frame: int, what: str) -> None:
        if frame != self.server:
            raise NakError(f"{what} at frame {frame} instead of {self.server}", nobodys_fault=frame < self.forced)

    def _inflated(self, blob: bytes, size: int) -> bytes:
        try:
            raw = zlib.decompress(blob) if self.compressed else blob
        except zlib.error as error:
            raise NakError(f"a savestate that cannot be inflated: {error}") from None
        need(len(raw) == size, f"a savestate of {len(raw)} bytes that promises {size}")
        return raw

    def on_reset(self, body: bytes) -> bool | None:
        """RESET: at the server's frame."""
        need(len(body) == 4, f"RESET of {len(body)} bytes")
        frame = words_of(body)[0]
        self._loads_at(frame, "RESET")
        if not self.ready(frame):
            return False
        self._jump(frame)
        self.run = frame - 1
        self.timeline.load(frame, (0, 0), "reset")
        return True

    def _jump(self, frame: int) -> None:
        """Be at least at a frame, and expect nothing older of anybody."""
        if frame > self.run:
            self.run = frame - 1
            if frame > self.here:
                self.here, self.captured = frame - 1, False
        for client, expected in self.expected.items():
            self.expected[client] = max(expected, frame)

    def on_pause(self, body: bytes) -> None:
        """PAUSE: with the nick of who paused."""
        need(len(body) == 32, f"PAUSE of {len(body)} bytes")
        self._paused(True)

    def on_resume(self, body: bytes) -> None:
        """RESUME: releases since 1.10 do not wake from it."""
        need(not body, f"RESUME of {len(body)} bytes")
        if self.kind.wakes:
            self._paused(False)

    def _paused(self, paused: bool) -> None:
        self.remote_paused = paused

    def on_stall(self, body: bytes) -> None:
        """STALL: so many frames at most, and only when it does not wait already."""
        need(len(body) == 4, f"STALL of {len(body)} bytes")
        self.pace.ask(min(MOST_STALL, words_of(body)[0]))

    def on_may_pause(self, body: bytes) -> None:
        """SETTING_ALLOW_PAUSING."""
        need(len(body) == 4, f"SETTING_ALLOW_PAUSING of {len(body)} bytes")
        self.may_pause = bool(words_of(body)[0])

    def on_ping(self, body: bytes) -> None:
        """PING_REQUEST: answered at once, from protocol 6 on."""
        need(not body, f"PING_REQUEST of {len(body)} bytes")
        if self.protocol >= 6:
            self.out.append(np.PING_RESPONSE)

    def _goodbye(self, _: bytes) -> None:
        self.gone = True

    def _fixed(self, size: int, name: str):  # noqa: ANN202 - a handler like the methods around it
        def handler(body: bytes) -> None:
            need(len(body) == size, f"{name} of {len(body)} bytes")

        return handler
