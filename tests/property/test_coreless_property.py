"""Whatever players and networks do to a core-less room: all see the same inputs, and nobody is sent what ends its game.

Strict simulated clients of many releases come and go, pause, load states, reset, watch, freeze and lag; bytes are cut
and connections overtake each other; the relay is upgraded under them.
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
    from tests.support.netplay.table import Seat

MOST_CLIENTS = 6
OTHER_GAME = Content(core="Gambatte")
KINDS = st.sampled_from(kinds.FIVE)
STEPS = st.sampled_from([1, 2, 3, 7, 20, 40])
LATE = st.sampled_from([0, 0, 1, 3, 9])
# By how many steps a packet may come later than the line makes it.
JITTER = st.sampled_from([[0], [0], [0, 0, 1], [0] * 20 + [12]])
RATES = st.sampled_from([0.9, 0.98, 1.0, 1.02, 1.2])
# What a room answers to somebody whom it has to turn away.
TURNED_AWAY = ("other-core", "other-protocol", "no-state")


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


def somebody_takes_part(machine: CorelessMachine) -> bool:
    return bool(machine.table.synced)


def there_is_room(machine: CorelessMachine) -> bool:
    return len(machine.table.present) < MOST_CLIENTS


class CorelessMachine(RuleBasedStateMachine):
    """Rules are what people and networks do; a step of time is a sixtieth of a second."""

    # Who watches from the menu lags by as long as it is there, and does so again with each time.
    catches_up = True

    @initialize(seed=st.integers(0, 2**32), kind=KINDS, jitter=JITTER)
    def open(self, seed: int, kind: kinds.Kind, jitter: list[int]) -> None:
        numbers = random.Random(seed)
        self.table = Table(cut=cutter(numbers))
        self.table.order = lambda seats: numbers.sample(seats, len(seats))
        self.table.jitter = lambda: numbers.choice(jitter)
        self.enter(kind, 0, 30, False)

    def enter(self, kind: kinds.Kind, late: int, steps: int, watch: bool) -> None:
        self.table.join(kind, "same" if kind.old_info else "", late=late, spectator=watch)
        self.table.run(steps)

    def someone(self, data: st.DataObject) -> Client:
        return data.draw(st.sampled_from(self.table.synced), label="who")

    # Coming and going.

    @precondition(there_is_room)
    @rule(kind=KINDS, late=LATE, steps=STEPS, watch=st.booleans())
    def join(self, kind: kinds.Kind, late: int, steps: int, watch: bool) -> None:
        self.enter(kind, late, steps, watch and bool(self.table.present))

    @precondition(lambda self: somebody_takes_part(self) and there_is_room(self))
    @rule(kind=KINDS)
    def join_with_another_core(self, kind: kinds.Kind) -> None:
        self.table.join(kind, "stranger", content=OTHER_GAME)

    @precondition(lambda self: len(self.table.present) > 1)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.table.present), label="who").leave()

    # What a player does.

    @precondition(somebody_takes_part)
    @rule(data=st.data(), times=st.integers(1, 3), steps=st.integers(0, 3))
    def toggle(self, data: st.DataObject, times: int, steps: int) -> None:
        client = self.someone(data)
        for _ in range(times):
            client.toggle()
            self.table.run(steps)

    @precondition(somebody_takes_part)
    @rule(data=st.data(), steps=st.integers(1, 150))
    def pause(self, data: st.DataObject, steps: int) -> None:
        client = self.someone(data)
        if client.pause():
            self.table.run(steps)
            client.resume()

    @precondition(lambda self: self.catches_up and len(self.table.players) > 1)
    @rule(data=st.data(), steps=st.integers(1, 3))
    def pause_together(self, data: st.DataObject, steps: int) -> None:
        """Several pause, one after the other; each goes on, watches from the menu, or leaves."""
        pausers = []
        for client in data.draw(st.permutations(self.table.players), label="who"):
            if client.pause():
                pausers.append(client)
                self.table.run(steps)
        for client in data.draw(st.permutations(pausers), label="who goes on"):
            what = data.draw(st.sampled_from(["watch", "leave", "go on"]), label="how")
            if what == "leave" and len(self.table.present) > 1:
                client.leave()
            elif what == "watch" and client.playing:
                client.toggle()
                self.table.run(steps)
            client.resume()
            self.table.run(steps)

    @precondition(somebody_takes_part)
    @rule(data=st.data(), ticks=st.integers(1, 9), other_size=st.booleans())
    def load_a_state(self, data: st.DataObject, ticks: int, other_size: bool) -> None:
        self.someone(data).load_state((ticks, ticks), 64 if other_size else None)

    @precondition(somebody_takes_part)
    @rule(data=st.data())
    def reset(self, data: st.DataObject) -> None:
        self.someone(data).reset()

    # What machines and networks do.

    @precondition(somebody_takes_part)
    @rule(data=st.data(), steps=st.sampled_from([1, 5, 20, 45]))
    def freeze(self, data: st.DataObject, steps: int) -> None:
        client = self.someone(data)
        client.frozen = True
        self.table.run(steps)
        client.frozen = False
        # One who is frozen again and again without a word in between is gone, and makes way for a newcomer.
        self.table.run(2)

    @precondition(somebody_takes_part)
    @rule(data=st.data(), rate=RATES)
    def run_at_another_speed(self, data: st.DataObject, rate: float) -> None:
        self.table.seat(self.someone(data)).rate = rate

    @rule(steps=STEPS)
    def play(self, steps: int) -> None:
        self.table.run(steps)

    @rule()
    def upgrade(self) -> None:
        self.table.upgrade()

    @precondition(lambda self: len(self.table.synced) > 1)
    @rule()
    def settle(self) -> None:
        self.table.settle()

    @invariant()
    def nobody_is_wronged(self) -> None:
        if hasattr(self, "table"):
            for seat in self.table.seats:
                self.table.check_seat(seat)
                assert not wrongly_closed(seat), f"{seat.client.nick}: {seat.outcome}\n{self.table.describe()}"

    def teardown(self) -> None:
        if not hasattr(self, "table"):
            return
        self.table.settle()
        for client in self.table.present:
            client.leave()
        self.table.run(60)
        assert self.table.room.empty
        assert self.table.room.next_deadline() is None


def wrongly_closed(seat: Seat) -> bool:
    """Whether the room closed a connection without need."""
    if seat.client.ending is None or seat.client.ending.how is not How.HUNG_UP:
        return False
    return not (seat.outcome or "").startswith(TURNED_AWAY)


class ProtocolFourMachine(CorelessMachine):
    """The same with the last release of protocol 4, which shares a room with no other."""

    catches_up = False

    @initialize(seed=st.integers(0, 2**32), kind=st.just(kinds.RA_1_7_0), jitter=JITTER)
    def open(self, seed: int, kind: kinds.Kind, jitter: list[int]) -> None:
        super().open(seed, kind, jitter)

    def enter(self, kind: kinds.Kind, late: int, steps: int, watch: bool) -> None:
        super().enter(kinds.RA_1_7_0, late, steps, watch)


COMMON = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
CorelessMachine.TestCase.settings = settings(COMMON, max_examples=50, stateful_step_count=40)
ProtocolFourMachine.TestCase.settings = settings(COMMON, max_examples=15, stateful_step_count=30)
TestCoreless = CorelessMachine.TestCase
TestProtocolFour = ProtocolFourMachine.TestCase
