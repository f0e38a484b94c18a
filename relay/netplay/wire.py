"""Netplay protocols 4 and 5 as bytes: what a core-less room says (docs/protocol.md, Core-less sessions).

All integers are big-endian words of 32 bits. A command is its number, the size of its body, its body.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

NAK = 0x01
DISCONNECT = 0x02
INPUT = 0x03
NOINPUT = 0x04
NICK = 0x20
INFO = 0x22
SYNC = 0x23
SPECTATE = 0x24
PLAY = 0x25
MODE = 0x26
MODE_REFUSED = 0x27
REQUEST_SAVESTATE = 0x41
LOAD_SAVESTATE = 0x42
PAUSE = 0x43
RESUME = 0x44
STALL = 0x45
RESET = 0x46
NETPACKET = 0x48
SETTING_ALLOW_PAUSING = 0x2000

# The highest protocol of those who send a state before they load it: RetroArch 1.21 and newer.
LOADS_LATE = 7

MAGIC = b"RANP"
FULL = b"FULL"
HEAD = 8
NICK_SIZE = 32
MOST_NICK = 31
INFO_SIZE = 68
PADS = 16
MOST_CLIENTS = 31
NO_SLOTS = 2
# Words of INPUT for each type of device; the core's own kinds of a device (257 and so on) count as what they are of.
WORDS = {0: 0, 1: 1, 2: 2, 3: 5, 4: 2, 5: 3}

YOU = 1 << 31
PLAYING = 1 << 30
PAUSED = 1 << 31
# The same of protocol 4.
OLD_YOU = 1 << 16
OLD_PLAYING = 1 << 17

one = struct.Struct(">I")
two = struct.Struct(">2I")
three = struct.Struct(">3I")
_header = struct.Struct(">4s5I")
_old_header = struct.Struct(">4I")


def command(number: int, body: bytes = b"") -> bytes:
    """Return a command with its head."""
    return two.pack(number, len(body)) + body


def header(protocol: int, implementation: int, platform: int, compression: int, word0: bytes = MAGIC) -> bytes:
    """Return the relay's header: no salt, which would ask for a password."""
    if protocol == 4:
        return _old_header.pack(implementation, platform, compression, 0)
    return _header.pack(word0, platform, compression, 0, protocol, implementation)


def words_of(device: int) -> int:
    """Return how many words a device takes in INPUT; 0 for what no pad can be."""
    return WORDS.get(device & 0xFF, 0)


def input_size(protocol: int, pads: int, devices: Sequence[int]) -> int:
    """Return the size of a player's INPUT command, head and all; pads is a bit for each of its pads."""
    if protocol == 4:
        return HEAD + 20
    return HEAD + 8 + 4 * sum(words_of(devices[pad]) for pad in range(PADS) if pads >> pad & 1)


def noinput(frame: int) -> bytes:
    """Return NOINPUT: the relay itself plays nothing in this frame, and every other input for it may be known."""
    return three.pack(NOINPUT, 4, frame)


def nick(name: bytes) -> bytes:
    """Return NICK."""
    return command(NICK, name.ljust(NICK_SIZE, b"\0"))


def sync(
    protocol: int, frame: int, number: int, paused: bool, devices: Sequence[int], players: Iterable[tuple[int, int]],
    name: bytes,
) -> bytes:  # fmt: skip
    """Return SYNC; players are (client number, pads) of all whose input from frame on the newcomer will be sent."""
    types = struct.pack(">16I", *devices)
    text = name.ljust(NICK_SIZE, b"\0")
    if protocol == 4:
        mapped = sum(1 << (player - 1) for player, _ in players)
        return command(SYNC, three.pack(frame, mapped | (PAUSED if paused else 0), 0) + types + text)
    of_pad = [0] * PADS
    for player, pads in players:
        for pad in range(PADS):
            if pads >> pad & 1:
                of_pad[pad] |= 1 << player
    first = two.pack(frame, number | (PAUSED if paused else 0))
    return command(SYNC, first + types + bytes(PADS) + struct.pack(">16I", *of_pad) + text)


def mode(protocol: int, frame: int, number: int, pads: int, name: bytes, *, you: bool) -> bytes:
    """Return MODE: from frame on this client plays on these pads, or on none and watches."""
    if protocol == 4:
        bits = (OLD_YOU if you else 0) | (OLD_PLAYING if pads else 0) | (number - 1)
        return command(MODE, two.pack(frame, bits))
    bits = (YOU if you else 0) | (PLAYING if pads else 0) | number
    return command(MODE, three.pack(frame, bits, pads) + bytes(PADS) + name.ljust(NICK_SIZE, b"\0"))


def load_savestate(frame: int, raw_size: int, state: bytes) -> bytes:
    """Return LOAD_SAVESTATE; state is as long as raw_size or, where compression was agreed, a zlib stream of it."""
    return load_savestate_head(frame, raw_size, len(state)) + state


def load_savestate_head(frame: int, raw_size: int, size: int) -> bytes:
    """Return the head of LOAD_SAVESTATE before a state of size bytes, as it is sent."""
    return two.pack(LOAD_SAVESTATE, HEAD + size) + two.pack(frame, raw_size)


def stall(frames: int) -> bytes:
    """Return STALL: wait this many frames (60 at most)."""
    return three.pack(STALL, 4, frames)


def pause(name: bytes) -> bytes:
    """Return PAUSE, by whom."""
    return command(PAUSE, name.ljust(NICK_SIZE, b"\0"))


ASK_STATE = command(REQUEST_SAVESTATE)
ASK_INFO = command(INFO)
RESUMED = command(RESUME)
REFUSED_FULL = command(MODE_REFUSED, one.pack(NO_SLOTS))
NO_PAUSING = command(SETTING_ALLOW_PAUSING, one.pack(0))
