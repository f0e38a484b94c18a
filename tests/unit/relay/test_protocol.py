"""The tunnel protocol as bytes."""

from __future__ import annotations

import base64
import ipaddress

import pytest

from relay import addresses
from relay.protocol import tunnel
from relay.protocol.tunnel import (
    AddressQuery,
    Broken,
    Control,
    HostHello,
    JoinHello,
    LinkHello,
    Opening,
    Pong,
    Reason,
    Unknown,
)
from tests.support import wire

ID = b"abcdefghijkl"

HELLOS = [
    (wire.HOST_HELLO, HostHello()),
    (wire.join(ID), JoinHello(ID, wire.header())),
    (wire.header(), JoinHello(None, wire.header())),
    (wire.header(word3=0), JoinHello(None, wire.header(word3=0))),
    (wire.link(ID), LinkHello(ID, b"")),
]


@pytest.mark.parametrize(("data", "hello"), HELLOS)
def test_each_kind_of_connection_is_known_by_its_first_bytes(data: bytes, hello: object) -> None:
    assert Opening().feed(data) == hello


@pytest.mark.parametrize(("data", "hello"), HELLOS)
def test_it_does_not_matter_where_the_first_bytes_are_cut(data: bytes, hello: object) -> None:
    for cut in range(1, len(data)):
        opening = Opening()
        assert opening.feed(data[:cut]) is None
        assert opening.size == cut
        assert opening.feed(data[cut:]) == hello


def test_what_a_client_sends_behind_its_header_is_kept_for_the_host() -> None:
    assert Opening().feed(wire.join(ID) + b"more") == JoinHello(ID, wire.header() + b"more")


def test_what_a_host_sends_behind_its_link_request_is_kept_for_the_client() -> None:
    assert Opening().feed(wire.link(ID) + b"more") == LinkHello(ID, b"more")


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\0\0\0\0",
        b"X",
        b"RAT?",
        b"RATA" + ID,
        b"RATP",
        wire.link(wire.ZERO),
        wire.HOST_HELLO + b"x",
        wire.join(ID, b"SSH-2.0-OpenSSH_9.2 and more"),
    ],
)
def test_anything_else_is_garbage_at_once(data: bytes) -> None:
    assert Opening().feed(data) == Unknown("garbage")


@pytest.mark.parametrize("data", [b"POKE", wire.join(ID, b"POKE")])
def test_a_lobbys_poke_is_told_apart(data: bytes) -> None:
    assert Opening().feed(data) == Unknown("poke")


def test_control_messages_are_cut_at_every_byte() -> None:
    stream = wire.PING + wire.address_query(ID) + wire.PING + wire.address_query(wire.ZERO)
    expected = [Pong(), AddressQuery(ID), Pong(), AddressQuery(wire.ZERO)]
    control = Control()
    assert [message for byte in stream for message in control.feed(bytes([byte]))] == expected
    assert Control().feed(stream) == expected
    assert control.rest == b""


@pytest.mark.parametrize("data", [b"x", b"RATS" + ID, b"RATL" + ID, b"RAN", b"\0"])
def test_a_control_stream_with_anything_else_in_it_is_broken(data: bytes) -> None:
    assert Control().feed(wire.PING + data) == [Pong(), Broken()]


def test_half_a_control_message_is_kept() -> None:
    control = Control()
    assert control.feed(b"RATAabc") == []
    assert control.rest == b"RATAabc"


def test_messages_have_the_sizes_of_the_protocol() -> None:
    assert len(tunnel.session_message(ID)) == 16
    assert len(tunnel.link_message(ID)) == 16
    assert len(tunnel.PING) == 4
    assert len(tunnel.address_message(ID, ipaddress.ip_address("203.0.113.7"))) == 32


def test_an_ipv4_address_is_told_in_ipv6_form() -> None:
    message = tunnel.address_message(ID, ipaddress.ip_address("203.0.113.7"))
    assert message == b"RATA" + ID + ipaddress.ip_address("::ffff:203.0.113.7").packed


def test_an_ipv6_address_is_told_as_it_is() -> None:
    address = ipaddress.ip_address("2001:db8::7")
    assert tunnel.address_message(ID, address)[16:] == address.packed


@pytest.mark.parametrize(
    ("reason", "word", "protocol_word"),
    [(Reason.FULL, b"FULL", 5), (Reason.DENIED, b"DENY", 5), (Reason.OLD_VERSION, b"RANP", 0)],
)
def test_a_refusal_is_a_header_whose_first_word_retroarch_shows(
    reason: Reason, word: bytes, protocol_word: int
) -> None:
    header = tunnel.refusal(reason)
    assert len(header) == 24
    assert header[:4] == word
    assert int.from_bytes(header[16:20], "big") == protocol_word


def test_a_refusal_without_a_reason_is_silent() -> None:
    assert tunnel.refusal(Reason.NONE) == b""


def test_a_session_is_sixteen_characters_to_a_player() -> None:
    session = base64.b64decode("FridayNightRoom1")
    assert tunnel.session_text(session) == "FridayNightRoom1"
    assert tunnel.session_id("FridayNightRoom1") == session


@pytest.mark.parametrize(
    "text", ["", "short", "A" * 16, "FridayNightRoom", "FridayNightRoom!", "FridayNightRoom1A", "é" * 16]
)
def test_other_texts_are_no_session(text: str) -> None:
    assert not tunnel.is_session_text(text)
    with pytest.raises(ValueError, match="not a session id"):
        tunnel.session_id(text)


@pytest.mark.parametrize(
    ("given", "address"),
    [("203.0.113.7", "203.0.113.7"), ("::ffff:203.0.113.7", "203.0.113.7"), ("fe80::1%eth0", "fe80::1")],
)
def test_a_peer_has_one_address_however_the_socket_writes_it(given: str, address: str) -> None:
    assert addresses.canonical(given) == ipaddress.ip_address(address)
