"""A client's way from its first byte to SYNC, strictly in order, as all releases go it."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support import netplay as np
from tests.support.netplay.endings import RefusedError
from tests.support.netplay.framing import text_of, words_of

if TYPE_CHECKING:
    from tests.support.netplay.framing import Stream
    from tests.support.netplay.kinds import Kind

PLATFORM, ZLIB = 0x00040008, 1
NICK, PASSWORD, INFO, SYNC = 0x20, 0x21, 0x22, 0x23
REFUSALS = {b"FULL": "the host is full", b"DENY": "it is banned from this host"}


@dataclass(frozen=True)
class Content:
    """What a client plays: core and its version, and the checksum of the game."""

    core: str = "Nestopia"
    version: str = "1.52.0"
    crc: int = np.CRC

    def info(self, kind: Kind) -> bytes:
        """Return INFO in the order of a release."""
        return (np.old_info if kind.old_info else np.info)(self.core, self.version, self.crc)

    @classmethod
    def read(cls, body: bytes, kind: Kind) -> Content:
        """Return what an INFO says to a release, which knows its own order only."""
        crc, rest = (body[64:], body[:64]) if kind.old_info else (body[:4], body[4:])
        return cls(text_of(rest[:32]), text_of(rest[32:]), words_of(crc)[0])


@dataclass
class Handshake:
    """Reads up to SYNC and answers. Attributes: ``compressed``, ``protocol``, ``waits_for`` (the next step)."""

    kind: Kind
    nick: str
    content: Content
    password: str | None = None
    compression: int = ZLIB
    platform: int = PLATFORM
    waits_for: str = "header"
    protocol: int = 0
    compressed: bool = False
    host: str = ""
    _hello: bytes = field(default=b"", repr=False)

    def header(self) -> bytes:
        """Return what is sent as soon as the connection stands."""
        kind = self.kind
        if kind.protocol == 4:
            return np.words(kind.implementation, self.platform, self.compression, 0)
        return b"RANP" + np.words(self.platform, self.compression, kind.highest, 5, kind.implementation)

    def step(self, stream: Stream) -> bytes | None:
        """Take one step: return what to answer, None where more has to come first.

        SYNC itself is left in the stream, and ``waits_for`` is 'sync'. Raises RefusedError.
        """
        if self.waits_for == "header":
            return self._take_header(stream)
        head = stream.head()
        if head is None:
            return None
        number, size = head
        if self.waits_for == "nick":
            self._expect(number == NICK and size == 32, f"NICK of 32 bytes, not {number:#x} of {size}")
            return self._take_nick(stream)
        if self.waits_for == "password":
            return None  # its player does not type, and nothing goes on
        if self.waits_for == "info":
            self._expect(number == INFO and size in (0, 68), f"INFO of 0 or 68 bytes, not {number:#x} of {size}")
            return self._take_info(stream)
        self._expect(number == SYNC, f"SYNC, not {number:#x} of {size}")
        return None

    def _expect(self, fine: bool, what: str) -> None:
        if not fine:
            raise RefusedError(f"it waits for {what}")

    def _take_header(self, stream: Stream) -> bytes | None:
        size = 16 if self.kind.protocol == 4 else 24
        data = stream.take(size)
        if data is None:
            return None
        salt = self._check_four(data) if self.kind.protocol == 4 else self._check_five(data)
        self.waits_for = "nick"
        answer = np.nick(self.nick)
        if salt:
            self.waits_for = "nick" if self.password is not None else "password"
            if self.password is not None:
                digest = hashlib.sha256(f"{salt:08X}{self.password}".encode()).hexdigest()
                answer += np.command(PASSWORD, digest.encode())
        return answer

    def _check_five(self, data: bytes) -> int:
        magic, (_, compression, salt, protocol, _) = data[:4], struct.unpack(">5I", data[4:])
        if magic in REFUSALS and self.kind.modern:
            raise RefusedError(REFUSALS[magic])
        self._expect(magic == b"RANP", f"RANP, not {magic!r}: it takes the peer for something else than RetroArch")
        self._expect(protocol >= 5, f"protocol 5 or more, not {protocol}: it takes the peer for an old RetroArch")
        self._expect(not self.kind.modern or protocol <= self.kind.highest, f"a protocol it knows, not {protocol}")
        self.protocol, self.compressed = protocol, bool(compression & self.compression & ZLIB)
        return salt

    def _check_four(self, data: bytes) -> int:
        implementation, _, compression, salt = struct.unpack(">4I", data)
        self._expect(implementation == self.kind.implementation, "its own release, and no other")
        self.protocol, self.compressed = 4, bool(compression & self.compression & ZLIB)
        return salt

    def _take_nick(self, stream: Stream) -> bytes | None:
        command = stream.command()
        if command is None:
            return None
        stream.drop(32)
        self.host, self.waits_for = text_of(command[1]), "info"
        return b""

    def _take_info(self, stream: Stream) -> bytes | None:
        command = stream.command()
        if command is None:
            return None
        body = command[1]
        stream.drop(len(body))
        if body:
            self._check_content(Content.read(body, self.kind))
            self.waits_for = "sync"
        return self.content.info(self.kind)

    def _check_content(self, room: Content) -> None:
        mine, theirs = self.content.core, room.core
        if self.kind.modern:
            mine, theirs = mine.lower(), theirs.lower()
        self._expect(mine == theirs, f"the core {mine!r}, not {theirs!r}: they have different cores")
        if self.kind.protocol == 4:
            self._expect(self.content.version == room.version, f"version {self.content.version!r} of the core")
            same = self.content.crc == room.crc or 0 in (self.content.crc, room.crc)
            self._expect(same, f"the same game: {self.content.crc:08x}, not {room.crc:08x}")
