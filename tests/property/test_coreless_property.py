"""Whatever players and networks do to a core-less room: all see the same inputs, and nobody is sent what ends its game.

Strict simulated clients of many releases come and go, pause, load states, reset, watch, freeze and lag; bytes are cut
and connections overtake each other.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.netplay import kinds
from tests.support.netplay.endings import How
from tests.support.netplay.greeting import Content
from tests.support.netplay.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.support.netplay.client import Client

MOST_CLIENTS = 6
# What a room that everybody has left may keep, and what it may keep for each who is there.
SMALL = 4096
OTHER_GAME = Content(core="Gambatte")


def cutter(numbers: random.Random) -> Callable[[bytes], Iterable[bytes]]:
    """Return what cuts data anywhere, now and then into single bytes."""

    def cut(data: bytes) -> Iterable[bytes]:
        how = numbers.random()
        if how < 0.5:
            return (data,)
        if how < 0.55 and len(data) < 300:
            return (data[place : place + 1] for place in range(len(data)))
        place = numbers.randrange(len(data) + 1)
        return (data[:place], data[place:])

    return cut


class CorelessMachine(RuleBasedStateMachine):
    """Rules are what people and networks do; a step of time is a sixtieth of a second."""

    @initialize(seed=st.integers(0, 2**32))
    def open(self, seed: int) -> None:
        numbers = random.Random(seed)
        self.table = Table(cut=cutter(numbers))
        self.table.order = lambda seats: numbers.sample(seats, len(seats))

    def someone(self, data: st.DataObject, among: list[Client]) -> Client | None:
        return data.draw(st.sampled_from(among), label="who") if among else None

    # Coming and going.

    @rule(kind=st.sampled_from(kinds.FIVE), late=st.sampled_from([0, 0, 1, 3, 9]), watch=st.booleans())
    def join(self, kind: kinds.Kind, late: int, watch: bool) -> None:
        if len(self.table.present) < MOST_CLIENTS:
            name = "same" if kind.old_info else ""
            self.table.join(kind, name, late=late, spectator=watch and bool(self.table.present))

    @rule(kind=st.sampled_from(kinds.FIVE))
    def join_with_another_core(self, kind: kinds.Kind) -> None:
        if self.table.synced:
            self.table.join(kind, "stranger", content=OTHER_GAME)

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        if client := self.someone(data, self.table.present):
            client.leave()

    # What a player does.

    @rule(data=st.data())
    def toggle(self, data: st.DataObject) -> None:
        if client := self.someone(data, self.table.synced):
            client.toggle()

    @rule(data=st.data(), steps=st.integers(1, 150))
    def pause(self, data: st.DataObject, steps: int) -> None:
        if (client := self.someone(data, self.table.synced)) and client.pause():
            self.table.run(steps)
            client.resume()

    @rule(data=st.data(), ticks=st.integers(1, 9), other_size=st.booleans())
    def load_a_state(self, data: st.DataObject, ticks: int, other_size: bool) -> None:
        if client := self.someone(data, self.table.synced):
            client.load_state((ticks, ticks), 64 if other_size else None)

    @rule(data=st.data())
    def reset(self, data: st.DataObject) -> None:
        if client := self.someone(data, self.table.synced):
            client.reset()

    # What machines and networks do.

    @rule(data=st.data(), steps=st.sampled_from([1, 5, 20, 45]))
    def freeze(self, data: st.DataObject, steps: int) -> None:
        if client := self.someone(data, self.table.present):
            client.frozen = True
            self.table.run(steps)
            client.frozen = False

    @rule(data=st.data(), rate=st.sampled_from([0.9, 0.98, 1.0, 1.02, 1.2]))
    def run_at_another_speed(self, data: st.DataObject, rate: float) -> None:
        if client := self.someone(data, self.table.present):
            self.table.seat(client).rate = rate

    @rule(steps=st.sampled_from([1, 1, 2, 5, 20, 60]))
    def play(self, steps: int) -> None:
        self.table.run(steps)

    @precondition(lambda self: hasattr(self, "table") and len(self.table.synced) > 1)
    @rule()
    def settle(self) -> None:
        for seat in self.table.seats:
            seat.rate = 1.0
        self.table.settle()

    @invariant()
    def nobody_is_wronged(self) -> None:
        if not hasattr(self, "table"):
            return
        for seat in self.table.seats:
            self.table.check_seat(seat)
            client = seat.client
            strange = client.nick == "stranger"
            closed = client.ending is not None and client.ending.how is How.HUNG_UP
            if closed and not strange and "other-core" not in (seat.outcome or ""):
                raise AssertionError(
                    f"the room closed {client.nick}: {seat.outcome}\n" + "\n".join(self.table.describe())
                )

    def teardown(self) -> None:
        if not hasattr(self, "table"):
            return
        self.table.run(30)
        self.table.check()
        for client in self.table.present:
            client.leave()
        self.table.run(30)
        assert self.table.room.empty
        assert self.table.room.status()["players"] == []


CorelessMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestCoreless = CorelessMachine.TestCase
