"""LAN discovery: what is answered, and above all what is not."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.protocol.lan import Room, Throttle, answer, is_listed

ASKER = ipaddress.ip_address("192.168.1.20")
ROOM = Room(
    name="FridayNightRoom1",
    port=55440,
    core="Nestopia",
    core_version="1.52.0",
    content_crc=0x852CD204,
    retroarch="1.14.0",
    password=True,
)


def answered(room: Room = ROOM) -> bytes:
    datagram = answer(b"RANQ", ASKER, room)
    assert datagram is not None
    return datagram


def text(datagram: bytes, start: int, size: int) -> bytes:
    field = datagram[start : start + size]
    assert field.endswith(b"\0"), "RetroArch reads a text up to its NUL"
    return field.rstrip(b"\0")


def word(datagram: bytes, start: int) -> int:
    return int.from_bytes(datagram[start : start + 4], "big")


# What is answered.


def test_an_answer_has_everything_at_the_place_where_retroarch_reads_it() -> None:
    datagram = answered()
    assert len(datagram) == 688
    assert datagram[:4] == b"RANS"
    assert [word(datagram, start) for start in (4, 8, 12)] == [0x852CD204, 55440, 1]
    places = {16: 32, 48: 32, 80: 32, 112: 32, 144: 32, 176: 256, 432: 256}
    assert [text(datagram, start, size) for start, size in places.items()] == [
        b"FridayNightRoom1",
        b"netplay-relay",
        b"Nestopia",
        b"1.52.0",
        b"1.14.0",
        b"N/A",
        b"N/A",
    ]


@pytest.mark.parametrize(("player", "spectator", "flags"), [(0, 0, 0), (1, 0, 1), (0, 1, 2), (1, 1, 3)])
def test_passwords_are_flags(player: int, spectator: int, flags: int) -> None:
    room = Room("room", 55435, password=bool(player), spectate_password=bool(spectator))
    assert word(answered(room), 12) == flags


def test_a_room_of_which_nothing_is_known_is_still_listed() -> None:
    datagram = answered(Room("room", 55435))
    release = tuple(int(part) for part in text(datagram, 144, 32).split(b"."))
    assert release >= (1, 9, 1), "RetroArch lists nobody who says less"
    assert word(datagram, 4) == 0


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("x" * 40, b"x" * 31),
        ("x" * 30 + "ë", b"x" * 30),
        ("a\0b", b"a"),
        ("\ud800", b"?"),
    ],
)
def test_a_name_is_cut_to_whole_characters(name: str, sent: bytes) -> None:
    assert text(answered(Room(name, 55435)), 16, 32) == sent


# What is not.


@pytest.mark.parametrize(
    "query",
    [b"", b"RAN", b"RANQ\0", b"RANS", b"ranq", b"RANQ" + bytes(520), b"RANS" + bytes(684)],
    ids=["nothing", "half", "too long", "an answer", "small letters", "1.9.14's query", "a whole answer"],
)
def test_only_the_four_bytes_are_a_query(query: bytes) -> None:
    assert answer(query, ASKER, ROOM) is None


@pytest.mark.parametrize("source", ["10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.254", "192.168.0.1"])
def test_private_addresses_are_answered(source: str) -> None:
    assert answer(b"RANQ", ipaddress.ip_address(source), ROOM) is not None


@pytest.mark.parametrize(
    "source",
    [
        "203.0.113.7",
        "9.255.255.255",
        "11.0.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.167.255.255",
        "192.169.0.0",
        "127.0.0.1",
        "100.64.0.1",
        "169.254.1.1",
        "0.0.0.0",  # noqa: S104 - a source nobody may have
        "255.255.255.255",
        "224.0.0.1",
        "::1",
        "fd00::1",
        "fe80::1",
        "2001:db8::1",
        "::ffff:192.168.1.20",
    ],
)
def test_nobody_else_is_answered_whatever_is_asked(source: str) -> None:
    assert answer(b"RANQ", ipaddress.ip_address(source), ROOM) is None
    assert not is_listed(ipaddress.ip_address(source))


@given(st.binary(max_size=8) | st.just(b"RANQ"), st.ip_addresses())
def test_no_query_gets_a_byte_sent_to_a_public_address(
    query: bytes, source: ipaddress.IPv4Address | ipaddress.IPv6Address
) -> None:
    datagram = answer(query, source, ROOM)
    assert datagram is None or (source.is_private and source.version == 4 and query == b"RANQ")


# How often.

OTHER = ipaddress.ip_address("192.168.1.21")


def test_a_source_gets_its_answers_of_a_second_and_no_more() -> None:
    throttle = Throttle(per_second=3)
    assert [throttle.allows(ASKER, 100.0) for _ in range(5)] == [True, True, True, False, False]
    assert throttle.allows(OTHER, 100.0), "what one source does costs no other"
    assert not throttle.allows(ASKER, 100.2)
    assert throttle.allows(ASKER, 100.5)


def test_asking_in_vain_does_not_prolong_the_wait() -> None:
    throttle = Throttle(per_second=1)
    assert throttle.allows(ASKER, 0.0)
    assert [throttle.allows(ASKER, tenth / 8) for tenth in range(1, 8)] == [False] * 7
    assert throttle.allows(ASKER, 1.0)


def test_silence_saves_up_no_more_than_one_second_s_answers() -> None:
    throttle = Throttle(per_second=2)
    throttle.allows(ASKER, 0.0)
    assert [throttle.allows(ASKER, 3600.0) for _ in range(3)] == [True, True, False]


def test_less_than_one_answer_a_second_is_a_rate_too() -> None:
    throttle = Throttle(per_second=0.5)
    assert [throttle.allows(ASKER, now) for now in (0.0, 1.0, 2.0)] == [True, False, True]


def test_forged_sources_cost_bounded_memory_and_bounded_answers() -> None:
    throttle = Throttle(per_second=2, sources=10)
    forged = [ipaddress.ip_address("10.0.0.0") + number for number in range(1000)]
    sent = sum(throttle.allows(source, 5.0) for source in forged for _ in range(4))
    assert sent == 20
    assert len(throttle) == 10
    assert not throttle.allows(ASKER, 5.5)
    assert throttle.allows(ASKER, 6.0), "a second later there is place again"
    assert len(throttle) <= 10


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 0.3)), max_size=80), st.integers(1, 5))
def test_never_are_more_answers_allowed_than_the_rate_gives(asked: list[tuple[int, float]], rate: int) -> None:
    throttle, now, sent = Throttle(rate), 0.0, dict.fromkeys(range(4), 0)
    for source, later in asked:
        now += later
        sent[source] += throttle.allows(ASKER + source, now)
    assert all(count <= rate + rate * now + 1e-6 for count in sent.values())
