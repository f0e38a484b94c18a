"""What makes a long list of blocked addresses quick to judge gives the same answers as the slow way."""

from __future__ import annotations

import ipaddress
import shlex

from hypothesis import given
from hypothesis import strategies as st

from relay.addresses import Network
from relay.gate.foreign.iptables import _words
from relay.gate.foreign.nft import _network
from relay.gate.foreign.packet import within

# Few bits, so that networks meet.
NETWORKS = st.builds(
    lambda version, value, length: ipaddress.ip_network(
        (value << (24 if version == 4 else 120), length), strict=False
    ) if version == 4 else ipaddress.ip_network((ipaddress.IPv6Address(value << 120), length), strict=False),
    st.sampled_from([4, 6]), st.integers(0, 7), st.integers(4, 12),
)  # fmt: skip


@given(NETWORKS, NETWORKS)
def test_whether_a_network_lies_in_another_is_told_by_numbers(network: Network, other: Network) -> None:
    expected: bool | None = False
    if network.version == other.version and network.overlaps(other):
        expected = True if network.network_address in other and network.prefixlen >= other.prefixlen else None
    assert within(network, other) is expected


@given(st.text(st.sampled_from("-As ab\"'\\\t\r\x00\x0b\x0c\x1c\x1f\x7f\x85\xa0é#,!\u2003"), max_size=12))
def test_a_rule_is_split_as_a_shell_splits_it(line: str) -> None:
    try:
        expected = tuple(shlex.split(line))
    except ValueError:
        return
    assert _words(line) == expected


def test_an_address_that_is_compared_again_is_read_once() -> None:
    """Fifty friends against a list of fifty thousand addresses took a minute."""
    _network.cache_clear()
    assert [_network("203.0.113.7") for _ in range(50)] == [ipaddress.ip_network("203.0.113.7")] * 50
    assert _network.cache_info().misses == 1
