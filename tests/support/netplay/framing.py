"""Commands cut out of a stream, and the words in them."""

from __future__ import annotations

import struct


class Stream:
    """Bytes that have arrived and are not used yet."""

    def __init__(self) -> None:
        self._held = bytearray()

    def __len__(self) -> int:
        return len(self._held)

    def add(self, data: bytes) -> None:
        """Append what has arrived."""
        self._held += data

    def take(self, size: int) -> bytes | None:
        """Return and remove that many bytes; None while there are fewer."""
        if len(self._held) < size:
            return None
        data = bytes(self._held[:size])
        del self._held[:size]
        return data

    def head(self) -> tuple[int, int] | None:
        """Return number and size of the next command, without removing them."""
        if len(self._held) < 8:
            return None
        number, size = struct.unpack_from(">2I", self._held)
        return number, size

    def command(self) -> tuple[int, bytes] | None:
        """Return the next command when all of it is there, without removing it."""
        head = self.head()
        if head is None or len(self._held) < 8 + head[1]:
            return None
        return head[0], bytes(self._held[8 : 8 + head[1]])

    def drop(self, size: int) -> None:
        """Remove a command with a payload of that size."""
        del self._held[: 8 + size]


def words_of(data: bytes) -> tuple[int, ...]:
    """Return the big-endian words of 32 bits in data."""
    return struct.unpack(f">{len(data) // 4}I", data)


def text_of(data: bytes) -> str:
    """Return a NUL-padded text."""
    return data.split(b"\0")[0].decode(errors="replace")
