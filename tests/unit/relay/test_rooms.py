"""Which id a host gets."""

from __future__ import annotations

import ipaddress
import itertools

from relay.switchboard.rooms import Room, RoomTable

ANNA = ipaddress.ip_address("203.0.113.1")
BEN = ipaddress.ip_address("203.0.113.2")
FRIDAY, SUNDAY, OWN = b"friday-night", b"sunday-night", b"room-of-port"
MAIN = 55435


def table(*rooms: Room) -> RoomTable:
    numbers = itertools.count(1)
    return RoomTable(rooms, lambda: next(numbers).to_bytes(12, "big"), host_return=60)


def test_a_port_with_a_room_always_gives_that_rooms_id() -> None:
    rooms = table(Room(OWN, 55440))
    assert rooms.take(ANNA, 55440, 0) == OWN
    rooms.give_back(OWN, ANNA, -100, 10)
    assert rooms.take(BEN, 55440, 11) == OWN


def test_a_room_is_hosted_by_one() -> None:
    rooms = table(Room(OWN, 55440))
    rooms.take(ANNA, 55440, 0)
    assert rooms.take(BEN, 55440, 0) is None


def test_the_main_port_gives_the_free_rooms_in_order_then_random_ids() -> None:
    rooms = table(Room(OWN, 55440), Room(FRIDAY), Room(SUNDAY))
    assert [rooms.take(ANNA, MAIN, 0) for _ in range(4)] == [FRIDAY, SUNDAY, b"\0" * 11 + b"\1", b"\0" * 11 + b"\2"]


def test_a_host_that_comes_back_within_a_minute_gets_its_room_again() -> None:
    rooms = table(Room(FRIDAY), Room(SUNDAY))
    assert rooms.take(ANNA, MAIN, 0) == FRIDAY
    assert rooms.take(BEN, MAIN, 0) == SUNDAY
    rooms.give_back(FRIDAY, ANNA, -100, 0)
    rooms.give_back(SUNDAY, BEN, -100, 0)
    assert rooms.take(BEN, MAIN, 59) == SUNDAY
    assert rooms.take(ANNA, MAIN, 59) == FRIDAY


def test_a_random_id_is_kept_for_its_host_too() -> None:
    rooms = table()
    session = rooms.take(ANNA, MAIN, 0)
    assert session
    rooms.give_back(session, ANNA, -100, 0)
    assert rooms.take(ANNA, MAIN, 59) == session


def test_nobody_else_gets_a_room_that_is_kept() -> None:
    rooms = table(Room(FRIDAY))
    rooms.take(ANNA, MAIN, 0)
    rooms.give_back(FRIDAY, ANNA, -100, 0)
    assert rooms.take(BEN, MAIN, 59) != FRIDAY


def test_a_room_is_kept_for_a_minute_and_no_longer() -> None:
    rooms = table(Room(FRIDAY))
    rooms.take(ANNA, MAIN, 0)
    rooms.give_back(FRIDAY, ANNA, -100, 0)
    assert rooms.take(BEN, MAIN, 61) == FRIDAY
    rooms.forget_old(61)
    assert rooms.kept == 0


def test_a_room_with_a_port_is_not_given_out_on_the_main_port() -> None:
    rooms = table(Room(OWN, 55440))
    rooms.take(ANNA, 55440, 0)
    rooms.give_back(OWN, ANNA, -100, 0)
    assert rooms.take(ANNA, MAIN, 1) != OWN


def test_a_random_id_is_never_zero_nor_somebodys() -> None:
    given = iter([bytes(12), FRIDAY, b"x" * 12, b"x" * 12, b"y" * 12])
    rooms = RoomTable([Room(FRIDAY, 55440)], lambda: next(given), host_return=60)
    assert rooms.take(ANNA, MAIN, 0) == b"x" * 12
    assert rooms.take(BEN, MAIN, 0) == b"y" * 12


def test_a_random_id_that_is_kept_for_somebody_is_given_to_nobody_else() -> None:
    given = iter([b"x" * 12, b"x" * 12, b"y" * 12])
    rooms = RoomTable([], lambda: next(given), host_return=60)
    assert rooms.take(ANNA, MAIN, 0) == b"x" * 12
    rooms.give_back(b"x" * 12, ANNA, since=0, now=100)
    assert rooms.take(BEN, MAIN, 101) == b"y" * 12


def test_a_game_of_five_seconds_is_worth_keeping_and_a_shorter_one_is_not() -> None:
    rooms = table()
    for seconds, kept in ((4.9, 0), (5.0, 1)):
        session = rooms.take(ANNA, MAIN, 0)
        assert session
        rooms.give_back(session, ANNA, since=0, now=seconds)
        assert rooms.kept == kept


def test_whoever_only_looked_in_keeps_no_room_from_those_who_play() -> None:
    rooms = table(Room(FRIDAY))
    rooms.take(ANNA, MAIN, 0)
    rooms.give_back(FRIDAY, ANNA, since=0, now=0.2)
    assert rooms.take(BEN, MAIN, 1) == FRIDAY


def test_a_host_that_drops_twice_within_a_minute_keeps_its_invitation() -> None:
    rooms = table()
    session = rooms.take(ANNA, MAIN, 0)
    assert session
    rooms.give_back(session, ANNA, since=0, now=100)
    assert rooms.take(ANNA, MAIN, 110) == session
    rooms.give_back(session, ANNA, since=110, now=113)
    assert rooms.take(ANNA, MAIN, 120) == session


def test_two_hosts_of_a_house_both_come_back() -> None:
    rooms = table(Room(FRIDAY), Room(SUNDAY))
    assert [rooms.take(ANNA, MAIN, 0) for _ in range(2)] == [FRIDAY, SUNDAY]
    rooms.give_back(FRIDAY, ANNA, 0, 10)
    rooms.give_back(SUNDAY, ANNA, 0, 11)
    assert {rooms.take(ANNA, MAIN, 20), rooms.take(ANNA, MAIN, 20)} == {FRIDAY, SUNDAY}


def test_of_two_ids_that_are_kept_for_a_house_the_one_left_last_comes_back_first() -> None:
    rooms = table(Room(FRIDAY), Room(SUNDAY))
    assert [rooms.take(ANNA, MAIN, 0) for _ in range(2)] == [FRIDAY, SUNDAY]
    rooms.give_back(SUNDAY, ANNA, 0, 10)
    rooms.give_back(FRIDAY, ANNA, 0, 11)
    assert [rooms.take(ANNA, MAIN, 20) for _ in range(2)] == [FRIDAY, SUNDAY]


def test_hosting_on_a_rooms_port_does_not_cost_the_id_kept_on_the_main_port() -> None:
    rooms = table(Room(OWN, 55440), Room(FRIDAY))
    assert rooms.take(ANNA, MAIN, 0) == FRIDAY
    rooms.give_back(FRIDAY, ANNA, 0, 10)
    assert rooms.take(ANNA, 55440, 20) == OWN
    rooms.give_back(OWN, ANNA, 20, 30)
    assert rooms.take(ANNA, MAIN, 40) == FRIDAY
