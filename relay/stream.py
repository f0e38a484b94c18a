"""Watches netplay go by on one link: who plays what with whom, whether it is in step, paused, or has failed.

Sans-I/O and passive: it is shown the bytes after they were sent on, changes none, delays none, never raises, and stops
by itself where it no longer understands them. It knows RetroArch's netplay protocols 5, 6 and 7 (docs/protocol.md,
Netplay stream). Chat is counted past, never read; names are kept only where they may be.

Cost: 1 microsecond for a message (tests/benchmarks are not needed to see it: python -m relay.stream prints it).
"""

from __future__ import annotations

import struct
from typing import Any, ClassVar

from relay import stream_versions
from relay.stream_framing import INPUT, LEAST_INPUT, MOST_BODY, MOST_INPUT, Data, Direction, Rule
from relay.stream_seen import Peer, Role, Seen, clean

__all__ = ["Peer", "Role", "Seen", "Watcher"]

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

NICK_SIZE = 32
PASSWORD_SIZE = 64
INFO_SIZE = 68
MODE_SIZE = 60
MODE_NICK = 28
SYNC_SIZE = 184
SYNC_NICK = 152
SYNC_PAUSED = 1 << 31
MODE_YOU = 1 << 31
MODE_PLAYING = 1 << 30
CLIENT_NUMBER = 0xFFFF
PADS = 16
INPUT_SIZES = range(LEAST_INPUT, MOST_INPUT + 1)

REFUSALS = {b"FULL": "full", b"DENY": "banned"}

_word = struct.Struct(">I").unpack_from
_pair = struct.Struct(">2I").unpack_from
_triple = struct.Struct(">3I").unpack_from


def _tell_info(peer: Peer, body: bytes) -> None:
    if not body:
        return  # "tell me yours"
    name, version, crc = body[4:36], body[36:68], body[:4]
    # Up to RetroArch 1.9.0 the CRC comes last. Where it comes first, the byte at 32 is one near the end of the core's
    # name, and names are short.
    first = body[:32].rstrip(b"\0")
    if body[32] and first.isascii() and first.decode("ascii").isprintable():
        name, version, crc = body[:32], body[32:64], body[64:]
    peer.core, peer.core_version, peer.content_crc = clean(name), clean(version), int.from_bytes(crc, "big")


class ToHost(Direction):
    """What the client says."""

    __slots__ = ("_seen",)

    def __init__(self, seen: Seen, names: bool) -> None:
        super().__init__(names)
        self._seen = seen

    def opened(self, word3: int, word4: int, word5: int) -> None:
        """Take the client's header."""
        self._seen.client.retroarch = stream_versions.guess(word5)

    def not_opened(self, magic: bytes) -> None:
        """Take it that no client is there."""
        self._seen.stopped = True

    def gave_up(self) -> None:
        """Take it that nothing of what follows is understood."""
        self._seen.stopped = True

    def played(self, frame: int, who: int) -> None:
        """Take the client's input of a frame."""
        self._seen.client_frame = frame

    def _input(self, body: bytes, _length: int) -> None:
        self.played(*_pair(body))

    def _nick(self, body: bytes, _length: int) -> None:
        self._seen.client.nick = clean(body)

    def _password(self, _body: bytes, _length: int) -> None:
        self._seen.password_sent = True

    def _info(self, body: bytes, _length: int) -> None:
        _tell_info(self._seen.client, body)

    def _request_savestate(self, _body: bytes, _length: int) -> None:
        self._seen.desyncs += 1

    def _pause(self, _body: bytes, _length: int) -> None:
        # A host does not listen when somebody who only watches pauses.
        self._seen.client_paused = self._seen.role is Role.PLAYING

    def _resume(self, data: Data) -> int:
        return super()._resume(data)

    def _ping(self, _body: bytes, _length: int) -> None:
        self._seen.pings += 1
