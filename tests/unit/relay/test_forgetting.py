"""What the relay keeps of those who have gone: no more than it needs, and no longer."""

from __future__ import annotations

import ipaddress
import itertools

from relay.limits import Buffers, Limits, Timeouts
from relay.outcomes import Outcome
from relay.switchboard.connection import State
from relay.switchboard.machine import Switchboard
from relay.switchboard.rooms import RoomTable
from tests.support import wire

PORT = 55435
BEN = ipaddress.ip_address("203.0.113.2")


def board(**limits: int) -> Switchboard:
    numbers = itertools.count(1)

    def new_id() -> bytes:
        return next(numbers).to_bytes(12, "big")

    rooms = RoomTable((), new_id, Timeouts().host_return)
    return Switchboard(rooms, new_id, Limits(**limits), Timeouts(), Buffers())


def test_who_connected_once_is_forgotten_a_second_later() -> None:
    relay = board()
    for number in range(500):
        conn, _ = relay.connected(ipaddress.ip_address(f"198.51.{number // 250}.{number % 250}"), 1, PORT, 0.0)
        relay.lost(conn, 0.0)
    relay.tick(0.5)
    assert len(relay._admission.allowances) == 500
    relay.tick(1.0)
    assert not relay._admission.allowances


def test_who_connects_too_fast_is_not_forgotten_in_between() -> None:
    relay = board(setups_per_second=4)
    let_in, now = 0, 0.0
    for _ in range(40):
        conn, _ = relay.connected(BEN, 1, PORT, now)
        let_in += conn.state is State.OPENING
        relay.lost(conn, now)
        now += 0.0625
        relay.tick(now)
    assert let_in == 4 + 9, "the burst, and then one in each quarter of a second"


def test_an_id_that_nobody_came_back_for_is_forgotten_with_the_next_tick() -> None:
    relay = board()
    host, _ = relay.connected(BEN, 1, PORT, 0.0)
    relay.received(host, wire.HOST_HELLO, 0.0)
    relay.lost(host, 10.0, Outcome.HOST_LEFT)
    relay.tick(69.75)
    assert len(relay.rooms.kept_ids()) == 1
    relay.tick(70.0)
    assert relay.rooms.kept_ids() == []
