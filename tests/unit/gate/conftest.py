"""Hosts for the gate's tests with real packet filters."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gate_host import OTHER, PORT, GateHost


@pytest.fixture
def nft_host(tmp_path: Path) -> Iterator[GateHost]:
    """Give a host that has everything; its gate uses nftables."""
    with GateHost(tmp_path, {"nft", "conntrack", "iptables-nft", "iptables-legacy", "ipset"}) as made:
        made.listen(PORT)
        made.listen(OTHER)
        yield made
