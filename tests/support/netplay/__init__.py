"""Netplay as RetroArch speaks it on a link, built byte for byte and without any of the relay's own code.

A Talk is a list of (to_host, bytes) in the order in which a relay sees them: what `handshake` returns is what two
RetroArch 1.14.0 were recorded saying.
"""

from __future__ import annotations

import struct

Talk = list[tuple[bool, bytes]]

RA_1_12 = 0x459
RA_1_14 = 0x469
RA_1_21 = 0x40D
RA_1_9_14 = 0x529
RA_1_9_0 = 0x259
CRC = 0x852CD204


def words(*values: int) -> bytes:
    """Return big-endian words of 32 bits."""
    return struct.pack(f">{len(values)}I", *values)


def client_header(implementation: int = RA_1_14, highest: int = 6) -> bytes:
    """Return a client's header; highest 0 is that of RetroArch 1.9.14 and older."""
    return b"RANP" + words(0x00040008, 1, highest, 5, implementation)


def host_header(implementation: int = RA_1_14, salt: int = 0, protocol: int = 6, magic: bytes = b"RANP") -> bytes:
    """Return a host's header; salt is not 0 where it asks for a password."""
    return magic + words(0x00040008, 1, salt, protocol, implementation)


def command(number: int, body: bytes = b"") -> bytes:
    """Return a command with its head."""
    return words(number, len(body)) + body


def text(value: str | bytes, size: int = 32) -> bytes:
    """Return a NUL-padded field."""
    raw = value.encode() if isinstance(value, str) else value
    assert len(raw) <= size
    return raw.ljust(size, b"\0")


def nick(name: str | bytes) -> bytes:
    """Return NICK."""
    return command(0x20, text(name))


def password() -> bytes:
    """Return PASSWORD: 64 digits that must never be seen again."""
    return command(0x21, b"5ecret00" * 8)


def info(core: str = "Nestopia", version: str = "1.52.0", crc: int = CRC) -> bytes:
    """Return INFO as of RetroArch 1.9.1."""
    return command(0x22, words(crc) + text(core) + text(version))


def old_info(core: str = "Nestopia", version: str = "1.50-WIP", crc: int = CRC) -> bytes:
    """Return INFO as of RetroArch 1.9.0 and older."""
    return command(0x22, text(core) + text(version) + words(crc))


def sync(name: str = "friend", number: int = 1, frame: int = 73, paused: bool = False, sram: bytes = b"") -> bytes:
    """Return SYNC."""
    devices = words(*[1] * 16) + bytes(16) + words(1, *[0] * 15)
    return command(0x23, words(frame, number | (paused << 31)) + devices + text(name) + sram)


def mode(
    *, playing: bool = True, you: bool = True, number: int = 1, pads: int = 2, name: str = "friend", frame: int = 75
) -> bytes:
    """Return MODE; pads is a bit for each."""
    flags = (you << 31) | (playing << 30) | number
    return command(0x26, words(frame, flags, pads) + bytes(16) + text(name))


def play() -> bytes:
    """Return PLAY."""
    return command(0x25, words(0))


def game_input(frame: int, who: int, *buttons: int) -> bytes:
    """Return INPUT of client who; 0 is the host."""
    return command(0x03, words(frame, who, *(buttons or (0,))))


def no_input(frame: int) -> bytes:
    """Return NOINPUT."""
    return command(0x04, words(frame))


def savestate(frame: int, size: int) -> bytes:
    """Return LOAD_SAVESTATE with a body of size bytes in all."""
    return command(0x42, words(frame, 5070) + bytes(number % 251 for number in range(size - 8)))


def pause(name: str | bytes) -> bytes:
    """Return PAUSE."""
    return command(0x43, text(name))


REQUEST_SAVESTATE = command(0x41)
RESUME = command(0x44)
STALL = command(0x45, words(10))
RESET = command(0x46, words(100))
PING_REQUEST = command(0x1100)
PING_RESPONSE = command(0x1101)
SETTINGS = command(0x2000, words(0)) + command(0x2001, words(0, 0))
CHECKSUM = command(0x40, words(120, 0xECD2A722))


def chat(message: bytes, name: bytes | None = None) -> bytes:
    """Return PLAYER_CHAT; the host's carries the name of who said it."""
    return command(0x1000, (text(name) if name is not None else b"") + message)


def netpacket(data: bytes, client: int = 0xFFFF) -> bytes:
    """Return NETPACKET, whose size does not count the client's id between head and data."""
    return words(0x48, len(data)) + words(client) + data


def handshake(client: bytes | None = None, host: bytes | None = None, wants_password: bool = False) -> Talk:
    """Return all up to the moment at which the client plays as player 2; client and host replace their headers."""
    salted = host_header(salt=0xA9390CDF) if wants_password else host_header()
    return [
        (True, client or client_header()),
        (False, host or salted),
        (True, nick("friend")),
        (False, nick("player")),
        *([(True, password())] if wants_password else []),
        (False, info()),
        (True, info()),
        (False, sync() + SETTINGS + game_input(73, 0)),
        (True, play()),
        (False, savestate(74, 769) + game_input(74, 0) + mode()),
    ]


def playing(first: int = 75, frames: int = 10) -> Talk:
    """Return frames of both sides."""
    talk: Talk = []
    for frame in range(first, first + frames):
        talk += [(True, game_input(frame, 1)), (False, game_input(frame, 0))]
    return talk
