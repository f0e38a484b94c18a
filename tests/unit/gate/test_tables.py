"""Empty tables are taken away without a program for it, and no others."""

from __future__ import annotations

import errno
import struct

import pytest

from relay.gate.backends import netlink
from tests.support.gate_host import GateHost

DROP = "import sys; from relay.gate.backends import netlink as tables; print(tables.drop_empty('ip', sys.argv[1]))"


def test_a_request_is_one_transaction_that_spares_what_is_not_empty() -> None:
    text = netlink.request(2, "filter")
    kinds, place = [], 0
    while place < len(text):
        length, kind, flags = struct.unpack_from("=IHH", text, place)
        kinds.append((kind, flags))
        assert length % 4 == 0, "the kernel reads messages at multiples of four"
        place += length
    assert kinds == [(0x10, 1), (0xA02, 1 | 4 | 0x100), (0x11, 1)]
    assert b"filter\0" in text


@pytest.mark.parametrize("answer", [b"", b"\0" * 19, struct.pack("=IHHIIi", 36, 3, 0, 1, 0, 0)])
def test_what_is_no_acknowledgement_is_no_success(answer: bytes) -> None:
    assert netlink.code(answer) is None


def test_an_acknowledgement_says_what_became_of_it() -> None:
    assert netlink.code(struct.pack("=IHHIIi", 36, 2, 0, 1, 0, 0)) == 0
    assert netlink.code(struct.pack("=IHHIIi", 36, 2, 0, 1, 0, -errno.EBUSY)) == -errno.EBUSY


@pytest.mark.lab
def test_the_kernel_drops_a_table_that_is_empty_and_spares_one_that_is_not(nft_host: GateHost) -> None:
    nft_host.run(["nft", "add table ip empty; add table ip full; add chain ip full somebodys"])
    before = nft_host.run(["nft", "list", "table", "ip", "full"])
    said = {name: nft_host.python(DROP, name).strip() for name in ("empty", "full", "missing")}
    assert said == {"empty": "True", "full": "False", "missing": "False"}
    assert nft_host.run(["nft", "list", "tables"]).split() == ["table", "ip", "full"]
    assert nft_host.run(["nft", "list", "table", "ip", "full"]) == before
