"""The parsers against anything: they never fail, never depend on how bytes are cut, never let wrong ones through."""

from __future__ import annotations

import ipaddress
import itertools
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from relay import allowlist
from relay.config import parse as parse_config
from relay.gate.policy.friends import NOBODYS, network
from relay.gate.policy.friends import parse as parse_friends
from relay.protocol import tunnel
from relay.protocol.tunnel import Control, Hello, HostHello, JoinHello, LinkHello, Opening, Unknown
from relay.tomlfile import ConfigError
from tests.support import wire

PIECES = st.sampled_from(
    [wire.HOST_HELLO, wire.header(), b"RATS", b"RATL", b"RANP", b"RATA", b"RATP", b"POKE", wire.ZERO]
)
STREAMS = st.lists(st.one_of(PIECES, st.binary(max_size=30)), max_size=6).map(b"".join)
IDS = st.binary(min_size=12, max_size=12).filter(lambda raw: raw != wire.ZERO)


def opened(chunks: list[bytes]) -> Hello | None:
    opening = Opening()
    for chunk in chunks:
        if hello := opening.feed(chunk):
            return hello
    return None


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@given(STREAMS)
@example(wire.join(b"abcdefghijkl"))
@example(wire.HOST_HELLO + tunnel.PROBE)
@example(wire.HOST_HELLO + tunnel.PROBE[:4])
@example(wire.HOST_HELLO + wire.PING)
def test_a_connection_is_judged_alike_byte_by_byte_and_at_once_until_it_is_known(data: bytes) -> None:
    at_once = opened([data]) if data else None
    by_byte = opened([bytes([byte]) for byte in data])
    if isinstance(at_once, JoinHello):
        # Byte by byte it is known at the last byte of the header; what comes behind is read later.
        assert isinstance(by_byte, JoinHello)
        assert by_byte.session == at_once.session
        assert at_once.head.startswith(by_byte.head)
    elif isinstance(at_once, LinkHello):
        assert isinstance(by_byte, LinkHello)
        assert by_byte.client == at_once.client
    elif at_once != by_byte:
        # Byte by byte a host is known before what it says behind its request. At once that is seen: a probe, the
        # beginning of one, or what no host may say.
        assert by_byte == HostHello()
        behind = data[tunnel.MESSAGE_SIZE :]
        if behind == tunnel.PROBE:
            assert at_once == HostHello(probe=True)
        elif tunnel.PROBE.startswith(behind):
            assert at_once is None
        else:
            assert isinstance(at_once, Unknown)


@given(STREAMS)
def test_a_client_is_never_known_without_a_whole_netplay_header(data: bytes) -> None:
    hello = opened([data]) if data else None
    if isinstance(hello, JoinHello):
        assert len(hello.head) >= 24
        assert hello.head.startswith(b"RANP")
        assert hello.session != wire.ZERO


@given(STREAMS, st.lists(st.integers(0, 200)))
def test_a_control_stream_means_the_same_however_it_is_cut(data: bytes, places: list[int]) -> None:
    whole = Control().feed(data) if data else []
    control, messages = Control(), []
    for chunk in cut(data, places):
        messages += control.feed(chunk)
        if messages and isinstance(messages[-1], tunnel.Broken):
            break
    assert messages == whole


@given(IDS)
def test_a_session_survives_being_typed(session: bytes) -> None:
    text = tunnel.session_text(session)
    assert len(text) == 16
    assert tunnel.session_id(text) == session


@given(st.text())
def test_any_text_as_configuration_is_read_or_refused_with_its_place(text: str) -> None:
    for parse in (parse_config, parse_friends):
        try:
            parse(text, Path("file.toml"))
        except ConfigError as error:
            assert str(error).startswith("file.toml")  # noqa: PT017 - most texts are refused, some are not


@given(
    st.ip_addresses(network="203.0.113.0/24")
    | st.ip_addresses(v=6).filter(lambda a: not any(a in nobodys for nobodys, _ in NOBODYS) and not a.ipv4_mapped)
)
def test_a_friend_s_own_address_is_always_within_what_their_entry_lets_in(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    assert address in network(str(address))


NETWORKS = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.integers(0, 32)), st.tuples(st.ip_addresses(v=6), st.integers(0, 128))
).map(lambda pair: ipaddress.ip_network(pair, strict=False))


@given(st.lists(NETWORKS, max_size=20), st.ip_addresses())
def test_the_allowlist_lets_in_exactly_those_its_lines_cover(
    networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network],
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    prefixes = allowlist.parse("".join(f"{entry}  # somebody\n" for entry in networks))
    assert (address in prefixes) == any(address in entry for entry in networks)
    for entry in networks:
        assert entry.network_address in prefixes
        assert entry.broadcast_address in prefixes
