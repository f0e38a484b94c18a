"""The assembler, the ROM image and the reader of the test program's RAM."""

from __future__ import annotations

import struct

import pytest

from tests.support import rom
from tests.support.nes import layout
from tests.support.nes.assembler import AssemblyError, assemble
from tests.support.nes.layout import Button, Row, next_check


def test_each_addressing_mode_becomes_its_bytes() -> None:
    source = """
    start:  lda #$12        ; immediate
            lda low         ; page zero, chosen by itself
            lda far
            lda low,x
            lda low,y       ; exists in the long form alone
            sta (low),y
            asl a
            rts
    """
    code, labels = assemble(source, 0xC000, {"low": 0x10, "far": 0x2002})
    assert code == bytes.fromhex("a912 a510 ad0220 b510 b91000 9110 0a 60")
    assert labels == {"start": 0xC000}


def test_branches_and_jumps_reach_labels_before_and_after_them() -> None:
    code, _ = assemble("back: bne on\n bne back\non: jmp back", 0xC000, {})
    assert code == bytes.fromhex("d002 d0fc 4c00c0")


def test_bytes_of_addresses_and_sums_are_understood() -> None:
    code, _ = assemble("lda #<ring\nlda #>ring\nlda ring+1\n.word ring", 0xC000, {"ring": 0x0234})
    assert code == bytes.fromhex("a934 a902 ad3502 3402")


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("\n nop", "line 2: nop is not an instruction"),
        ("lda nowhere", "line 1: what is 'nowhere'"),
        ("lda #300", "line 1: 300 does not fit in 1 byte"),
        ("rts #1", "line 1: rts has no form for '#1'"),
        ("here: rts\nhere: rts", "line 2: here is defined twice"),
        ("top: rts\n" + "jmp top\n" * 50 + "bne top", "line 52: the branch is too long"),
        ("1 + 1", "line 1: 1 is not an instruction"),
    ],
)
def test_a_mistake_names_its_line(source: str, complaint: str) -> None:
    with pytest.raises(AssemblyError, match=complaint):
        assemble(source, 0xC000, {})


def test_the_image_is_whole_and_starts_where_its_code_is() -> None:
    image = rom.image()
    assert len(image) == 16 + 24 * 1024
    assert image == rom.image()
    assert image[:8] == b"NES\x1a\x01\x01\0\0"
    frame, reset, interrupt = struct.unpack_from("<HHH", image, 16 + 16 * 1024 - 6)
    assert reset == interrupt == 0xC000
    assert image[16] == 0x78, "sei is the first instruction"
    assert 0xC000 < frame < 0xFFFA


def ram_after(frames: list[bytes]) -> bytes:
    """Build the RAM as the program leaves it after these frames of pads."""
    ram = bytearray(layout.RAM_SIZE)
    check = 0
    for number, pads in enumerate(frames):
        check = next_check(check, Row(number, pads, 0))
        place = layout.RING + layout.ROW_SIZE * (number % layout.ROWS)
        struct.pack_into("<H4sH", ram, place, number, pads, check)
    struct.pack_into("<HH4s", ram, layout.FRAME, len(frames), check, frames[-1] if frames else bytes(4))
    ram[layout.NEXT_ROW] = len(frames) % layout.ROWS
    ram[layout.MARK : layout.MARK + 4] = layout.MARK_BYTES
    return bytes(ram)


def test_a_short_history_is_read_whole() -> None:
    snapshot = layout.read(ram_after([bytes(4), b"\x80\0\0\0", b"\x80\x01\0\0"]))
    assert snapshot is not None
    assert [row.frame for row in snapshot.rows] == [0, 1, 2]
    assert snapshot.rows[-1].check == snapshot.check
    assert snapshot.held(1, Button.A)
    assert snapshot.held(2, Button.RIGHT)
    assert not snapshot.held(2, Button.A)


def test_of_a_long_history_the_ring_shows_the_newest_frames_in_order() -> None:
    snapshot = layout.read(ram_after([bytes([number % 251, 0, 0, 0]) for number in range(1000)]))
    assert snapshot is not None
    assert [row.frame for row in snapshot.rows] == list(range(1000 - layout.ROWS + 1, 1000))
    assert all(row.pads[0] == row.frame % 251 for row in snapshot.rows)


def test_before_the_program_runs_there_is_nothing_to_read() -> None:
    assert layout.read(bytes([0xFF]) * layout.RAM_SIZE) is None


def test_the_check_value_tells_every_single_bit_and_never_forgets() -> None:
    plain = next_check(0, Row(7, bytes(4), 0))
    for bit in range(32):
        spoiled = next_check(0, Row(7, (1 << bit).to_bytes(4, "big"), 0))
        assert spoiled != plain
        for frame in range(8, 300):
            plain_later, spoiled = (next_check(one, Row(frame, bytes(4), 0)) for one in (plain, spoiled))
            assert spoiled != plain_later
            break
    assert len({next_check(check, Row(9, b"\x01\0\0\0", 0)) for check in range(1 << 16)}) == 1 << 16
