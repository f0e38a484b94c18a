"""The faulty line changes one bit of one INPUT, and nothing else, however the bytes come in."""

from __future__ import annotations

import struct

import pytest

from tests.support.bitflip import Flipper

HEADER = b"RANP" + bytes(20)
SESSION = b"RATS" + b"twelve bytes"


def command(what: int, payload: bytes) -> bytes:
    return struct.pack(">II", what, len(payload)) + payload


def pad_input(frame: int, buttons: int) -> bytes:
    return command(3, struct.pack(">III", frame, 1, buttons))


NICK = command(0x20, b"friend".ljust(32, b"\0"))
STREAM = HEADER + NICK + pad_input(0, 0) + command(0x24, b"") + pad_input(1, 0x103) + pad_input(2, 0)
SPOILED = HEADER + NICK + pad_input(0, 0) + command(0x24, b"") + pad_input(1, 0x113) + pad_input(2, 0)


@pytest.mark.parametrize("greeting", [b"", SESSION], ids=["address alone", "session id"])
@pytest.mark.parametrize("size", [1, 3, 16, 1000])
def test_the_chosen_input_is_spoiled(greeting: bytes, size: int) -> None:
    flipper = Flipper(spoil=2)
    said = greeting + STREAM
    heard = b"".join(flipper.feed(said[place : place + size]) for place in range(0, len(said), size))
    assert heard == greeting + SPOILED
    assert flipper.flipped
    assert flipper.inputs == 3


def test_without_a_fault_nothing_changes() -> None:
    flipper = Flipper(spoil=0)
    assert flipper.feed(SESSION + STREAM) == SESSION + STREAM
    assert not flipper.flipped
