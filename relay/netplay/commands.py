"""What the commands of netplay mean to somebody who watches: the client's and the host's, each in its direction.

Sizes, and what is looked at, stand in RULES: a command that is not in it is skipped, one whose body has a size that
RetroArch itself would not take ends the watching (docs/protocol.md, Netplay stream). Chat is in neither.
"""

from __future__ import annotations

import struct
import sys
from typing import ClassVar

from relay.netplay import releases
from relay.netplay.framing import INPUT, LEAST_INPUT, MOST_BODY, MOST_INPUT, Direction, Rule
from relay.netplay.observed import Peer, Role, Seen, clean

NOINPUT = 0x04
NICK = 0x20
PASSWORD = 0x21
INFO = 0x22
SYNC = 0x23
MODE = 0x26
REQUEST_SAVESTATE = 0x41
LOAD_SAVESTATE = 0x42
PAUSE = 0x43
RESUME = 0x44
STALL = 0x45
RESET = 0x46
PING_REQUEST = 0x1100

WORD = 4
NICK_SIZE = 32
PASSWORD_SIZE = 64
INFO_SIZE = 68
MODE_SIZE = 60
# Without the saved game that may follow.
SYNC_SIZE = 184
SYNC_NICK = SYNC_SIZE - NICK_SIZE
PAUSED = 1 << 31
YOU = 1 << 31
PLAYING = 1 << 30
CLIENT_NUMBER = 0xFFFF
PADS = 16
# A state that a player loads by hand is sent twice, a frame or two apart.
FRAMES_OF_A_LOAD = 3
INPUT_SIZES = range(LEAST_INPUT, MOST_INPUT + 1)

# From this protocol on (RetroArch 1.21) a client asks for a savestate after every MODE, to have achievements agree:
# after another's, and after its own unless that says that it watches (seen in 1.22.2). It asks in the next of its
# frames; this many of the host's allow for a way of seconds, and for a machine that stands still meanwhile.
ASKS_AFTER_MODE = 7
ASKS_WITHIN = 600

REFUSALS = {b"FULL": "full", b"DENY": "banned"}

_pair = struct.Struct(">2I").unpack_from
_triple = struct.Struct(">3I").unpack_from


class ToHost(Direction):
    """What a client says."""

    __slots__ = ("_who",)

    def __init__(self, seen: Seen, names: bool) -> None:
        super().__init__(seen, names)
        self._who = 0

    def opened(self, word3: int, word4: int, word5: int) -> None:
        """Take the client's header: words 3 and 4 are the protocols it offers, of which the host chooses."""
        self.seen.client.retroarch = releases.guess(word5)
        self.seen.asks_after_mode = word3 >= ASKS_AFTER_MODE

    def refused(self, magic: bytes) -> bool:
        """Clients open with a header and with nothing else."""
        return False

    def played(self, frame: int, who: int) -> None:
        """Take the client's input of a frame."""
        self.seen.client_frame = frame
        self._who = who

    def newest(self) -> tuple[int, int] | None:
        """Return the client's number and the newest frame of its input."""
        frame = self.seen.client_frame
        return (self._who, frame) if self._who and frame is not None else None

    def glanced(self, frame: int) -> None:
        """Take the client's input up to a frame."""
        self.seen.client_frame = frame

    def nick(self, body: bytes, _length: int) -> None:
        """NICK: the client's name; the host may choose another one (SYNC)."""
        self.seen.client.nick = clean(body)

    def password(self, _body: bytes, _length: int) -> None:
        """PASSWORD: only that there was one."""
        self.seen.password_sent = True

    def info(self, body: bytes, _length: int) -> None:
        """INFO: the client's core and content."""
        _tell_info(self.seen.client, body)

    def request_savestate(self, _body: bytes, _length: int) -> None:
        """REQUEST_SAVESTATE: the client's game differs from the host's, or it is one that asks after every MODE."""
        seen = self.seen
        if seen.modes and (seen.frame or 0) <= seen.mode_frame + ASKS_WITHIN:
            seen.modes -= 1
        else:
            seen.modes = 0
            seen.desyncs += 1
            seen.happened("asked")

    def pause(self, _body: bytes, _length: int) -> None:
        """PAUSE: the client's player pauses; a host does not listen when somebody pauses who does not play."""
        self.seen.client_paused = self.seen.role is Role.PLAYING
        self.seen.happened("client-paused")

    def resume(self, _body: bytes, _length: int) -> None:
        """RESUME: the client's player goes on."""
        self.seen.client_paused = False
        self.seen.happened("client-resumed")

    def ping(self, _body: bytes, _length: int) -> None:
        """PING_REQUEST: comes every 3 seconds."""
        self.seen.pings += 1

    RULES: ClassVar[dict[int, Rule]] = {
        INPUT: Rule(INPUT_SIZES, LEAST_INPUT, LEAST_INPUT, lambda way, body, _: way.played(*_pair(body))),
        NICK: Rule((NICK_SIZE,), NICK_SIZE, 0, nick),
        PASSWORD: Rule((PASSWORD_SIZE,), 0, 0, password),
        INFO: Rule((0, INFO_SIZE), INFO_SIZE, INFO_SIZE, info),
        REQUEST_SAVESTATE: Rule((0,), 0, 0, request_savestate),
        PAUSE: Rule((NICK_SIZE,), 0, 0, pause),
        RESUME: Rule((0,), 0, 0, resume),
        PING_REQUEST: Rule((0,), 0, 0, ping),
    }


class ToClient(Direction):
    """What a host says to one client."""

    __slots__ = ()

    def opened(self, word3: int, word4: int, word5: int) -> None:
        """Take the host's header: word 3 is the salt for a password, word 4 the protocol it chose (0: none)."""
        self.seen.host.retroarch = releases.guess(word5)
        self.seen.password = word3 != 0
        self.seen.protocol = word4
        if not word4:
            self.seen.refusal = "old version"

    def refused(self, magic: bytes) -> bool:
        """FULL and DENY come instead of a header."""
        self.seen.refusal = REFUSALS.get(magic, "")
        return magic in REFUSALS

    def played(self, frame: int, who: int) -> None:
        """Take somebody's input of a frame: the host's own comes once for each of its frames."""
        if not who:
            self.seen.frame = frame
            self.seen.frames += 1

    def newest(self) -> tuple[int, int] | None:
        """Return the host's number, 0, and the newest of its frames."""
        return None if self.seen.frame is None else (0, self.seen.frame)

    def glanced(self, frame: int) -> None:
        """Take the host's frames up to one."""
        if self.seen.frame is not None:
            self.seen.frames += frame - self.seen.frame
        self.seen.frame = frame

    def no_input(self, body: bytes, _length: int) -> None:
        """NOINPUT: a frame of a host who watches."""
        self.played(int.from_bytes(body, "big"), 0)

    def nick(self, body: bytes, _length: int) -> None:
        """NICK: the host's name."""
        self.seen.host.nick = clean(body)

    def info(self, body: bytes, _length: int) -> None:
        """INFO: the host's core and content."""
        _tell_info(self.seen.host, body)

    def sync(self, body: bytes, _length: int) -> None:
        """SYNC: the client is in, for now as one who watches, under the name the host settled on."""
        number = _pair(body)[1]
        self.seen.client_number = number & CLIENT_NUMBER
        self.seen.host_paused = bool(number & PAUSED)
        self.seen.client.nick = clean(body[SYNC_NICK:])
        self._role(Role.WATCHING)

    def mode(self, body: bytes, _length: int) -> None:
        """MODE: somebody begins or ceases to play. That of others is told on their own links."""
        _frame, flags, pads = _triple(body)
        if self.seen.asks_after_mode and flags & (YOU | PLAYING) != YOU:
            self.seen.modes += 1
            self.seen.mode_frame = self.seen.frame or 0
        if self._sent_state_within(FRAMES_OF_A_LOAD):
            # A state goes to everybody before somebody begins to play.
            self.seen.events.pop("state")
        self.seen.happened("mode" if flags & YOU else "joined")
        if flags & YOU:
            self._role(Role.PLAYING if flags & PLAYING else Role.WATCHING, pads)

    def load_savestate(self, _body: bytes, length: int) -> None:
        """LOAD_SAVESTATE: everybody's game is set to the host's."""
        self.seen.savestates += 1
        self.seen.savestate_bytes = length
        self.seen.happened("loaded" if self._sent_state_within(FRAMES_OF_A_LOAD) else "state")

    def pause(self, body: bytes, _length: int) -> None:
        """PAUSE: the host, or another client, pauses."""
        self.seen.host_paused = True
        self.seen.pauser = clean(body)
        self.seen.happened("host-paused")

    def resume(self, _body: bytes, _length: int) -> None:
        """RESUME: nobody but perhaps this client pauses any more."""
        self.seen.host_paused = False
        self.seen.pauser = ""
        self.seen.happened("host-resumed")

    def stall(self, _body: bytes, _length: int) -> None:
        """STALL: the client is asked to wait for somebody slow."""
        self.seen.stalls += 1

    def reset(self, _body: bytes, _length: int) -> None:
        """RESET: the host restarts the game."""
        self.seen.resets += 1
        self.seen.happened("reset")

    def _sent_state_within(self, frames: int) -> bool:
        at = self.seen.events.get("state")
        return at is not None and (self.seen.frame or 0) - at <= frames

    def _role(self, role: Role, pads: int = 0) -> None:
        self.seen.role = role
        playing = role is Role.PLAYING
        self.seen.pads = tuple(pad + 1 for pad in range(PADS) if pads >> pad & 1) if playing else ()
        self.seen.client_paused &= playing

    RULES: ClassVar[dict[int, Rule]] = {
        INPUT: Rule(INPUT_SIZES, LEAST_INPUT, LEAST_INPUT, lambda way, body, _: way.played(*_pair(body))),
        NOINPUT: Rule((WORD,), WORD, WORD, no_input),
        NICK: Rule((NICK_SIZE,), NICK_SIZE, 0, nick),
        INFO: Rule((0, INFO_SIZE), INFO_SIZE, INFO_SIZE, info),
        SYNC: Rule(range(SYNC_SIZE, MOST_BODY + 1), SYNC_SIZE, 2 * WORD, sync),
        MODE: Rule((MODE_SIZE,), 3 * WORD, 3 * WORD, mode),
        LOAD_SAVESTATE: Rule(range(2 * WORD, MOST_BODY + 1), 0, 0, load_savestate),
        PAUSE: Rule((NICK_SIZE,), NICK_SIZE, 0, pause),
        RESUME: Rule((0,), 0, 0, resume),
        STALL: Rule((WORD,), 0, 0, stall),
        RESET: Rule((WORD,), 0, 0, reset),
    }


def _tell_info(peer: Peer, body: bytes) -> None:
    if not body:
        return  # "tell me yours"
    name, version, crc = body[4:36], body[36:68], body[:4]
    # Up to RetroArch 1.9.0 the CRC comes last. Where it comes first, the byte at 32 is the last but three of the
    # core's name, and no core's name is that long.
    first = body[:32].rstrip(b"\0")
    if body[32] and first and first.isascii() and first.decode("ascii").isprintable():
        name, version, crc = body[:32], body[32:64], body[64:]
    # Both ends of a game have the same core: its name need not be kept twice.
    peer.core, peer.core_version = sys.intern(clean(name)), sys.intern(clean(version))
    peer.content_crc = int.from_bytes(crc, "big")
