"""What the kernel knows about a connection."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import closing

import pytest

from relay.net import tcpinfo
from relay.net.tcpinfo import TcpInfo
from tests.support.deaf import deaf
from tests.support.waiting import wait_for

WHOLE = (
    struct.pack("=8B", 8, 0, 0, 0, 0, 0, 0, 0)
    + struct.pack("=15I", *range(100, 115))
    + struct.pack("=2I", 25_000, 3_500)
    + struct.pack("=6I", *range(200, 206))
    + struct.pack("=I", 17)
    + struct.pack("=4Q", 1, 2, 5_000_000_000, 6_000_000_000)
)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Give the two ends of a TCP connection on loopback."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        client = socket.create_connection(listener.getsockname(), timeout=5)
        server, _ = listener.accept()
    with client, server:
        yield client, server


def test_a_structure_is_read_at_the_kernel_s_places() -> None:
    assert tcpinfo.decode(WHOLE) == TcpInfo(
        "close-wait", 0.025, 0.0035, 17, 5_000_000_000, 6_000_000_000, unacked=104, heard=0.111
    )


def test_what_a_newer_kernel_adds_changes_nothing() -> None:
    assert tcpinfo.decode(WHOLE + bytes(100)) == tcpinfo.decode(WHOLE)


def test_what_an_older_kernel_does_not_say_is_none_at_every_length() -> None:
    for length in range(len(WHOLE)):
        info = tcpinfo.decode(WHOLE[:length])
        if length < 76:
            assert info is None
            continue
        assert info is not None
        assert (info.state, info.rtt, info.jitter) == ("close-wait", 0.025, 0.0035)
        assert info.retransmits == (17 if length >= 104 else None)
        assert info.acked == (5_000_000_000 if length >= 128 else None)
        assert info.received is None


def test_a_state_no_kernel_has_yet_is_shown_as_its_number() -> None:
    info = tcpinfo.decode(b"\x63" + WHOLE[1:])
    assert info is not None
    assert info.state == "unknown (99)"


def test_a_real_connection_has_a_round_trip_and_its_bytes_are_counted(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    client, server = pair
    client.sendall(bytes(1000))
    received = 0
    while received < 1000:
        received += len(server.recv(4096))
    server.sendall(b"x")
    assert client.recv(1) == b"x"

    def confirmed() -> TcpInfo | None:
        info = tcpinfo.of(client)
        # The byte that opens a connection is counted as confirmed too.
        return info if info and info.acked is not None and info.acked >= 1000 else None

    info = wait_for(confirmed, 5.0, "the kernel to confirm 1000 bytes")
    assert info.state == "established"
    assert 0 < info.rtt < 1
    assert 0 <= info.jitter < 1
    assert info.retransmits == 0
    assert info.received == 1
    other = tcpinfo.of(server)
    assert other is not None
    assert other.received == 1000


def test_what_was_lost_is_counted_when_it_is_sent_again(pair: tuple[socket.socket, socket.socket]) -> None:
    client, server = pair
    way = tcpinfo.way(client)
    assert way
    assert way["retransmits"] == 0
    with deaf(server):
        client.sendall(b"lost at first")

        def sent_again() -> bool:
            now = tcpinfo.way(client)
            return bool(now and now["retransmits"])

        wait_for(sent_again, 5.0, "the kernel to send again what nobody has confirmed")
    assert server.recv(100) == b"lost at first"


def test_an_end_that_was_closed_shows_at_the_other(pair: tuple[socket.socket, socket.socket]) -> None:
    client, server = pair
    server.close()
    assert client.recv(1) == b""
    info = tcpinfo.of(client)
    assert info is not None
    assert info.state == "close-wait"


def test_what_is_not_tcp_or_is_closed_has_none(pair: tuple[socket.socket, socket.socket]) -> None:
    client, _ = pair
    client.close()
    assert tcpinfo.of(client) is None
    for family, kind in ((socket.AF_UNIX, socket.SOCK_STREAM), (socket.AF_INET, socket.SOCK_DGRAM)):
        with socket.socket(family, kind) as other:
            assert tcpinfo.of(other) is None
