"""Our own NES image: Debian ships no game and none may be copied, so the tests bring one that logs its pads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.nes.program import PRG_SIZE, program

if TYPE_CHECKING:
    from pathlib import Path

CHR_SIZE = 8 * 1024
# iNES header: 1 x 16 KiB of program, 1 x 8 KiB of (blank) pictures, mapper 0.
HEADER = b"NES\x1a" + bytes([PRG_SIZE // (16 * 1024), CHR_SIZE // (8 * 1024)]) + bytes(10)


def image() -> bytes:
    """Return the image: a header of 16 bytes and 24 KiB of contents, the same bytes each time."""
    return HEADER + program() + bytes(CHR_SIZE)


def write(path: Path) -> Path:
    """Write the image to ``path`` and return it."""
    path.write_bytes(image())
    return path
