"""A QR code on the terminal and in files is the one that a phone reads."""

from __future__ import annotations

import shutil
import struct
import subprocess
import zlib
from typing import TYPE_CHECKING

from tests.support.needs import lack
from toolkit.join import qr

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "relay.example.org|55435|FridayNightRoom1"


def pixels(lines: list[str]) -> list[list[bool]]:
    """Return the light modules of a drawn code, two rows for each line."""
    upper = {"█": True, "▀": True, "▄": False, " ": False}
    lower = {"█": True, "▀": False, "▄": True, " ": False}
    return [[table[sign] for sign in line] for line in lines for table in (upper, lower)]


def grey(rows: list[list[bool]], scale: int) -> bytes:
    """Return rows as a PNG, light modules white."""
    wide = [bytes(255 if light else 0 for light in row for _ in range(scale)) for row in rows for _ in range(scale)]

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", len(wide[0]), len(wide), 8, 0, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in wide))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def read(path: Path) -> str:
    """Return what a reader of codes sees in a picture."""
    if shutil.which("zbarimg") is None:
        lack("zbarimg is missing; install with: apt-get install --no-install-recommends zbar-tools")
    argv = ["zbarimg", "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", "--nodbus", str(path)]
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=20).stdout.rstrip("\n")


def test_what_the_terminal_shows_is_read_by_a_reader_of_codes(tmp_path: Path) -> None:
    picture = tmp_path / "terminal.png"
    picture.write_bytes(grey(pixels(qr.drawn(qr.of(TEXT))), 6))
    assert read(picture) == TEXT


def test_a_code_with_a_rooms_id_fits_into_forty_columns() -> None:
    (wide,) = {len(line) for line in qr.drawn(qr.of("203.0.113.77|55435|FridayNightRoom1"))}
    assert wide <= 40


def test_the_written_picture_is_read_too(tmp_path: Path) -> None:
    picture = tmp_path / "room.png"
    qr.write(qr.of(TEXT), picture, "png")
    assert read(picture) == TEXT
    assert [path.name for path in tmp_path.iterdir()] == ["room.png"]


def test_a_terminal_that_cannot_show_it_says_so() -> None:
    code = qr.of(TEXT)
    assert "this terminal has 36" in str(qr.for_terminal(code, 36, "utf-8"))
    assert "no characters" in str(qr.for_terminal(code, 100, "ascii"))
    assert "no characters" in str(qr.for_terminal(code, 100, "no such encoding"))
