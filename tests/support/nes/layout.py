"""Where the test program keeps what: the one description of its RAM, used by the program and by its reader.

Page zero
    ``$10`` FRAME     2 bytes, number of the next frame, from 0, wraps after 65536 frames (18 minutes)
    ``$12`` CHECK     2 bytes, CRC-16 over all rows so far (frame, then the four pads): equal means equal histories
    ``$14`` PADS      4 bytes, pads 1 to 4 as read last; 3 and 4 are 0 without a four-player adapter
    ``$18`` SIGNATURE 2 bytes, what the four-player adapter says of itself behind pads 3 and 4
    ``$1A`` PREVIOUS  4 bytes, PADS of the frame before
    ``$20`` PRESSES   4 x 8 bytes, for each pad and button (bit 7 first) how often it went down, modulo 256
    ``$40`` NEXT_ROW  number of the row that the next frame fills
    ``$42`` ROW       2 bytes, pointer to that row
    ``$44`` EDGES     scratch: buttons that went down in this frame
    ``$48`` MARK      4 bytes, says that the program runs and that the rest has its meaning
Pages 2 to 7
    ``$0200`` RING    192 rows of 8 bytes, one for each frame (3.2 s): FRAME, PADS, CHECK after this frame
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum

RAM_SIZE = 0x800
FRAME, CHECK, PADS, SIGNATURE, PREVIOUS = 0x10, 0x12, 0x14, 0x18, 0x1A
PRESSES, NEXT_ROW, ROW, EDGES, MARK = 0x20, 0x40, 0x42, 0x44, 0x48
RING, ROW_SIZE, ROWS, PAD_COUNT = 0x200, 8, 192, 4
MARK_BYTES = b"LOG1"
# The four-player adapter answers these after the second pad on each of its two wires.
FOUR_PLAYERS = b"\x10\x20"
_ROW_FORMAT = struct.Struct("<H4sH")


class Button(Enum):
    """A button in the order of the wire: the value is its index in PRESSES and its bit, counted from bit 7."""

    A = 0
    B = 1
    SELECT = 2
    START = 3
    UP = 4
    DOWN = 5
    LEFT = 6
    RIGHT = 7

    @property
    def mask(self) -> int:
        """The button's bit in a pad byte."""
        return 0x80 >> self.value


@dataclass(frozen=True)
class Row:
    """What one frame did: its number, pads 1 to 4, and the check value over it and every frame before it."""

    frame: int
    pads: bytes
    check: int


@dataclass(frozen=True)
class Snapshot:
    """The program's RAM at one moment, between two frames.

    ``presses[pad][button.value]`` counts, ``rows`` are the newest frames in order, without a gap.
    """

    frame: int
    check: int
    pads: bytes
    presses: tuple[bytes, ...]
    rows: tuple[Row, ...]

    def held(self, pad: int, button: Button) -> bool:
        """Whether the button of pad 1..4 was down in the last frame."""
        return bool(self.pads[pad - 1] & button.mask)

    def pressed(self, pad: int, button: Button) -> int:
        """How often the button of pad 1..4 went down so far, modulo 256."""
        return self.presses[pad - 1][button.value]


def read(ram: bytes) -> Snapshot | None:
    """Decode the RAM; None while the program has not started."""
    if len(ram) != RAM_SIZE:
        raise ValueError(f"a NES has {RAM_SIZE} bytes of RAM, these are {len(ram)}")
    if ram[MARK : MARK + len(MARK_BYTES)] != MARK_BYTES:
        return None
    frame, check = struct.unpack_from("<HH", ram, FRAME)
    presses = tuple(ram[PRESSES + 8 * pad : PRESSES + 8 * pad + 8] for pad in range(PAD_COUNT))
    return Snapshot(frame, check, ram[PADS : PADS + PAD_COUNT], presses, _rows(ram, frame))


def _rows(ram: bytes, next_frame: int) -> tuple[Row, ...]:
    """Walk back from the newest row as long as the frame numbers run on; the rest of the ring is not written yet."""
    rows: list[Row] = []
    for age in range(1, ROWS):  # the oldest row is the one being overwritten next: left out
        place = RING + ROW_SIZE * ((ram[NEXT_ROW] - age) % ROWS)
        frame, pads, check = _ROW_FORMAT.unpack_from(ram, place)
        if frame != (next_frame - age) & 0xFFFF or age > next_frame:
            break
        rows.append(Row(frame, pads, check))
    return tuple(reversed(rows))


def next_check(check: int, row: Row) -> int:
    """Return the check value after ``row`` when it was ``check`` before: CRC-16 with polynomial 0x1021."""
    for byte in row.frame.to_bytes(2, "little") + row.pads:
        check ^= byte << 8
        for _ in range(8):
            check = (check << 1 ^ (0x1021 if check & 0x8000 else 0)) & 0xFFFF
    return check
