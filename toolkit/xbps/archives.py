"""Tar archives whose bytes depend on their content alone, wrapped as gzip and zstd.

Both wrappers store instead of compressing: compressors give other bytes from one version to the next, and what is
signed or named by its hash must come out the same on every machine. Both are what any unpacker reads.
"""

from __future__ import annotations

import io
import struct
import tarfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

# RFC 1952: magic, deflate, no flags, no time, no hint, made on Unix.
_GZIP_HEAD: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"
_STORED_MOST: Final = 0xFFFF
# RFC 8878: magic; one segment, the size in eight bytes, no checksum; a raw block holds at most 128 KiB.
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_ZSTD_HEAD: Final = 0b1110_0000
_ZSTD_MOST: Final = 128 * 1024


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of an archive: a file with its content, or (target set) a symbolic link."""

    name: str
    content: bytes = b""
    mode: int = 0o644
    target: str = ""


def tar(members: Iterable[Member], *, mtime: int = 0) -> bytes:
    """Return the members as a tar archive, in their order, everything owned by root; mtime in seconds since 1970."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member in members:
            entry = tarfile.TarInfo(member.name)
            entry.uname = entry.gname = "root"
            entry.mtime = mtime
            entry.mode = 0o777 if member.target else member.mode
            if member.target:
                entry.type, entry.linkname = tarfile.SYMTYPE, member.target
            else:
                entry.size = len(member.content)
            archive.addfile(entry, io.BytesIO(member.content))
    return buffer.getvalue()


def gzip(data: bytes) -> bytes:
    """Return data as a gzip file (RFC 1952 around the stored blocks of RFC 1951)."""
    pieces = [data[at : at + _STORED_MOST] for at in range(0, len(data), _STORED_MOST)] or [b""]
    blocks = b"".join(
        struct.pack("<BHH", number == len(pieces) - 1, len(piece), len(piece) ^ 0xFFFF) + piece
        for number, piece in enumerate(pieces)
    )
    return _GZIP_HEAD + blocks + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)


def zstd(data: bytes) -> bytes:
    """Return data as one zstd frame of raw blocks (RFC 8878)."""
    pieces = [data[at : at + _ZSTD_MOST] for at in range(0, len(data), _ZSTD_MOST)] or [b""]
    blocks = b"".join(
        (len(piece) << 3 | (number == len(pieces) - 1)).to_bytes(3, "little") + piece
        for number, piece in enumerate(pieces)
    )
    return _ZSTD_MAGIC + struct.pack("<BQ", _ZSTD_HEAD, len(data)) + blocks
