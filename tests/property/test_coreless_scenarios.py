"""Core-less rooms as people use them, each scenario with strict simulated clients: who comes, goes, pauses, fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from relay.coreless import CorelessSettings
from tests.support import netplay as np
from tests.support.netplay import kinds
from tests.support.netplay.endings import How
from tests.support.netplay.greeting import Content
from tests.support.netplay.machine import Machine
from tests.support.netplay.table import Table

if TYPE_CHECKING:
    from tests.support.netplay.client import Client
    from tests.support.netplay.kinds import Kind

SECOND = 60
EVERY = pytest.mark.parametrize("kind", [*kinds.FIVE, kinds.RA_1_7_0], ids=lambda kind: kind.release)
FIVE = pytest.mark.parametrize("kind", kinds.FIVE, ids=lambda kind: kind.release)
OLD, NEW = kinds.RA_1_9_14, kinds.RA_1_14


def a_table(*who: Kind, settings: CorelessSettings | None = None, **options: object) -> tuple[Table, list[Client]]:
    """Return a room in which they play, one after the other."""
    table = Table(settings or CorelessSettings())
    clients = [joined(table, kind, **options) for kind in who]
    table.settle()
    return table, clients


def joined(table: Table, kind: Kind, **options: object) -> Client:
    """Let another come and wait until it plays, or watches."""
    client = table.join(kind, **options)
    watches = bool(options.get("spectator"))
    table.run_until(lambda: client.game is not None and client.playing != watches, what=f"{client.nick} to be in")
    return client


def assert_it_goes_on(table: Table, clients: list[Client]) -> None:
    """Assert that all of them play on, in step, with nobody else's help."""
    frames = [client.timeline.settled for client in clients]
    table.run(2 * SECOND)
    table.settle()
    for client, before in zip(clients, frames, strict=True):
        assert client.ending is None, client.ending
        assert client.timeline.settled >= before + SECOND, f"{client.nick} stands still: {table.describe()}"


# Coming.


@EVERY
def test_four_of_a_kind_play_in_step(kind: Kind) -> None:
    table, clients = a_table(kind, kind, kind, kind)
    assert_it_goes_on(table, clients)
    shared = set.intersection(*(set(client.timeline.heard) for client in clients))
    assert {number for _, number in shared} == {1, 2, 3, 4}


def test_all_releases_of_protocol_5_play_in_one_room() -> None:
    table, clients = a_table(*kinds.FIVE)
    assert_it_goes_on(table, clients)


def test_all_come_at_once() -> None:
    table = Table()
    clients = [table.join(kind, "bob") for kind in kinds.FIVE]
    table.run_until(lambda: all(client.playing for client in clients), what="all to play")
    assert_it_goes_on(table, clients)
    nicks = [client.game.nick for client in clients if client.game]
    assert len(set(nicks)) == len(clients)


@EVERY
def test_who_comes_late_gets_the_game_as_it_is(kind: Kind) -> None:
    table, (first, _) = a_table(kind, kind)
    table.run(20 * SECOND)
    late = joined(table, kind, late=4)
    assert late.timeline.epoch[0] == "state"
    assert late.timeline.epoch[1] > 20 * SECOND
    table.settle()
    assert late.timeline.epoch == first.timeline.epoch
    assert late.timeline.state[0] > 15 * SECOND, "the game is older than the newcomer"


@pytest.mark.parametrize("third", [1, 5, 257], ids=["a plain pad", "an analog pad", "a pad of the core's own"])
def test_the_third_and_the_fourth_have_pads_of_their_own(third: int) -> None:
    table, clients = a_table(NEW, OLD, OLD, NEW, settings=CorelessSettings(devices=(5, 5, *[third] * 14)))
    assert [client.game.pad for client in clients if client.game] == [1, 2, 4, 8]
    words = [{len(words) for (_, who), words in clients[0].timeline.heard.items() if who == n} for n in (1, 2, 3, 4)]
    size = 3 if third == 5 else 1
    assert words == [{3}, {3}, {size}, {size}]
    assert_it_goes_on(table, clients)


def test_who_finds_no_pad_watches() -> None:
    table, clients = a_table(NEW, OLD, settings=CorelessSettings(pads=2))
    third = table.join(OLD)
    table.run(SECOND)
    assert third.game is not None
    assert third.game.refusals == [2]
    assert_it_goes_on(table, [*clients, third])


def test_one_too_many_is_told_that_the_room_is_full() -> None:
    table, clients = a_table(*[NEW] * 3, settings=CorelessSettings(players=3))
    fourth = table.join(NEW)
    table.run(10)
    assert fourth.ending is not None
    assert "full" in fourth.ending.why
    table.seat(fourth).client = table.join(NEW)  # who is refused is of no interest to the check
    assert all(client.ending is None for client in clients)


@FIVE
def test_another_core_is_turned_away_and_the_game_goes_on(kind: Kind) -> None:
    table, clients = a_table(NEW, OLD)
    stranger = table.join(kind, content=Content(core="Gambatte"))
    table.run(SECOND)
    assert stranger.ending is not None
    assert stranger.ending.how is How.HUNG_UP
    assert (table.seat(stranger).outcome or "").startswith("other-core")
    assert_it_goes_on(table, clients)


def test_another_version_of_the_core_and_another_dump_may_join() -> None:
    table, clients = a_table(NEW, OLD)
    other = joined(table, kinds.RA_1_9_0, content=Content(version="1.50-WIP", crc=7))
    assert_it_goes_on(table, [*clients, other])


@pytest.mark.parametrize(("first", "second"), [(0, 1), (1, 0), (0, 0)])
def test_states_are_deflated_for_those_only_who_can_inflate_them(first: int, second: int) -> None:
    table = Table()
    clients = [joined(table, NEW, compression=first), joined(table, OLD, compression=second), joined(table, NEW)]
    assert_it_goes_on(table, clients)


# Going.


@EVERY
def test_the_master_leaves_and_the_game_goes_on(kind: Kind) -> None:
    table, (first, *others) = a_table(kind, kind, kind)
    first.leave()
    assert_it_goes_on(table, others)


@FIVE
def test_one_master_after_the_other_leaves_and_who_comes_then_gets_the_game(kind: Kind) -> None:
    table, clients = a_table(kind, NEW, OLD, kind)
    for _ in range(3):
        clients.pop(0).leave()
        table.run(7)
    assert_it_goes_on(table, clients)
    late = joined(table, kind)
    assert_it_goes_on(table, [*clients, late])
    assert late.timeline.state[0] > 2 * SECOND


def test_the_master_leaves_while_its_state_is_awaited() -> None:
    table, (first, second) = a_table(OLD, NEW)
    first.frozen = True
    late = table.join(OLD)
    table.run(SECOND // 2)
    assert not late.playing
    first.leave()
    first.frozen = False
    table.run_until(lambda: late.playing, what="the newcomer to play")
    assert_it_goes_on(table, [second, late])


def test_an_empty_room_forgets_its_game() -> None:
    table, clients = a_table(NEW, OLD)
    for client in clients:
        client.leave()
    table.run(5)
    assert table.room.empty
    assert table.room.next_deadline() is None
    other = joined(table, kinds.RA_1_9_0, content=Content(core="Gambatte"))
    assert other.game is not None
    assert other.timeline.epoch[1] == 0


def test_protocol_4_and_5_share_no_room_but_follow_each_other() -> None:
    table, (first,) = a_table(kinds.RA_1_7_0)
    new = table.join(NEW)
    table.run(SECOND)
    assert (table.seat(new).outcome or "").startswith("other-protocol")
    first.leave()
    table.run(5)
    assert joined(table, NEW).playing


def test_in_protocol_4_nobody_comes_in_without_the_first_but_the_game_goes_on() -> None:
    table, (first, *others) = a_table(*[kinds.RA_1_7_0] * 3)
    first.leave()
    table.run(10)
    late = table.join(kinds.RA_1_7_0)
    table.run(SECOND)
    assert late.ending is not None
    assert_it_goes_on(table, others)


# Playing and watching.


@EVERY
def test_the_master_watches_and_plays_again(kind: Kind) -> None:
    table, (first, second) = a_table(kind, kind)
    first.toggle()
    assert_it_goes_on(table, [first, second])
    assert not first.playing
    first.toggle()
    table.run_until(lambda: first.playing, what="it to play again")
    assert_it_goes_on(table, [first, second])


@FIVE
def test_all_watch_for_long_and_then_play_again(kind: Kind) -> None:
    table, clients = a_table(kind, OLD, NEW)
    for client in clients:
        client.toggle()
    table.run(30 * SECOND)
    assert all(client.ending is None for client in clients), table.describe()
    for client in reversed(clients):
        client.toggle()
    table.run_until(lambda: len(table.players) == 3, what="all to play again")
    assert_it_goes_on(table, clients)


def test_who_only_watches_sees_the_same() -> None:
    table, (first, second) = a_table(OLD, NEW)
    for kind in kinds.FIVE:
        joined(table, kind, spectator=True)
    table.run(SECOND)
    first.leave()
    table.run(SECOND)
    assert second.playing
    assert_it_goes_on(table, [seat.client for seat in table.seats[1:]])


# Pauses.


@pytest.mark.parametrize("kind", kinds.LEGACY, ids=lambda kind: kind.release)
def test_older_releases_pause_for_as_long_as_they_like(kind: Kind) -> None:
    table, (first, second, third) = a_table(kind, OLD, kind)
    for client in (first, second):
        assert client.pause()
        table.run(90 * SECOND)
        client.resume()
        assert_it_goes_on(table, [first, second, third])


def test_two_pause_and_the_game_goes_on_when_the_last_of_them_does() -> None:
    table, (first, second, third) = a_table(OLD, OLD, OLD)
    first.pause()
    table.run(30)
    second.pause()
    table.run(12 * SECOND)
    first.resume()
    table.run(12 * SECOND)
    frame = third.timeline.settled
    table.run(SECOND)
    assert third.timeline.settled == frame
    second.resume()
    assert_it_goes_on(table, [first, second, third])


def test_who_comes_into_a_pause_plays_when_it_is_over() -> None:
    table, (first, second) = a_table(OLD, OLD)
    first.pause()
    table.run(SECOND)
    late = table.join(OLD)
    table.run(8 * SECOND)
    assert late.ending is None
    first.resume()
    table.run_until(lambda: late.playing, what="it to play")
    assert_it_goes_on(table, [first, second, late])


def test_a_modern_client_is_held_while_an_older_one_pauses_and_the_pause_ends() -> None:
    table, (first, second) = a_table(NEW, OLD)
    assert not first.pause(), "it was asked not to"
    assert second.pause()
    table.run(25 * SECOND)
    assert first.ending is None, "it is held"
    table.run(20 * SECOND)
    assert (table.seat(second).outcome or "").startswith("paused-too-long")
    assert_it_goes_on(table, [first])


def test_a_modern_client_that_watches_sits_out_a_short_pause_of_an_older_one() -> None:
    table, (first, second) = a_table(OLD, OLD)
    watcher = joined(table, NEW, spectator=True)
    first.pause()
    table.run(8 * SECOND)
    first.resume()
    assert_it_goes_on(table, [first, second, watcher])


def test_a_master_that_has_jumped_ahead_does_not_run_away_from_a_slow_player() -> None:
    table, (first, second, third) = a_table(OLD, OLD, NEW)
    slow = joined(table, OLD, late=12)
    watcher = joined(table, OLD, spectator=True)
    table.settle()
    first.frozen = slow.frozen = True
    table.run(45)
    second.reset()
    table.run(40)
    first.leave()
    table.run(40)
    slow.frozen = False
    assert_it_goes_on(table, [second, third, slow, watcher])


def test_who_lags_when_another_pauses_comes_to_hear_that_the_game_goes_on() -> None:
    table, (first, second) = a_table(NEW, OLD)
    watcher = joined(table, OLD, spectator=True)
    table.settle()
    watcher.frozen = True
    table.run(50)
    watcher.frozen = False
    second.pause()
    table.run(25 * SECOND)
    second.resume()
    assert_it_goes_on(table, [first, second, watcher])


def test_who_paused_and_goes_away_pauses_nobody_any_more() -> None:
    table, (first, second, third) = a_table(OLD, OLD, OLD)
    first.pause()
    table.run(SECOND)
    first.leave()
    assert_it_goes_on(table, [second, third])


@pytest.mark.parametrize("kind", [*kinds.LEGACY, kinds.RA_1_7_0], ids=lambda kind: kind.release)
def test_the_last_player_begins_to_watch_while_it_has_the_game_paused(kind: Kind) -> None:
    table, (first, second) = a_table(kind, kind)
    watcher = joined(table, kind, spectator=True)
    table.run(SECOND)
    second.pause()
    table.run(3)
    first.pause()
    table.run(3)
    second.leave()
    table.run(3)
    first.toggle()
    table.run(3)
    first.resume()
    assert_it_goes_on(table, [first, watcher])
    assert table.room.game.master is None
    first.toggle()
    table.run_until(lambda: first.playing, what="it to play again")
    assert_it_goes_on(table, [first, watcher])


# States and resets.


@FIVE
def test_a_reset_is_everybodys_when_it_is_the_masters_and_undone_when_not(kind: Kind) -> None:
    table, clients = a_table(kind, kind, OLD)
    watcher = joined(table, NEW, spectator=True)
    table.run(5 * SECOND)
    clients[1].reset()
    table.run(5)
    assert_it_goes_on(table, [*clients, watcher])
    assert clients[1].timeline.state[0] > 5 * SECOND
    clients[0].reset()
    assert_it_goes_on(table, [*clients, watcher])
    assert watcher.timeline.state[0] < 5 * SECOND, "all play from the beginning"


@pytest.mark.parametrize("second_size", [None, 64], ids=["the same size", "another size"])
def test_a_state_that_the_master_loads_is_everybodys(second_size: int | None) -> None:
    table, clients = a_table(OLD, NEW, kinds.RA_1_9_0)
    clients[0].load_state((5000, 77), second_size)
    assert_it_goes_on(table, clients)
    assert all(client.timeline.state[0] > 5000 for client in clients)


def test_a_state_that_another_loads_is_undone() -> None:
    table, clients = a_table(OLD, OLD, NEW)
    clients[1].load_state((5000, 77))
    assert_it_goes_on(table, clients)
    assert all(client.timeline.state[0] < 5000 for client in clients)


def test_a_core_without_states_keeps_newcomers_out_and_the_game_goes_on() -> None:
    table, (first, second) = a_table(NEW, OLD)
    first.mute = True
    late = table.join(OLD)
    table.run(12 * SECOND)
    assert (table.seat(late).outcome or "").startswith("no-state")
    first.mute = False
    assert_it_goes_on(table, [first, second])


# Trouble.


@FIVE
@pytest.mark.parametrize("which", [0, 1, 2], ids=["the master", "a player", "the last"])
def test_a_frozen_player_goes_alone(kind: Kind, which: int) -> None:
    table, clients = a_table(kind, NEW, OLD)
    frozen = clients.pop(which)
    frozen.frozen = True
    table.run(12 * SECOND)
    assert (table.seat(frozen).outcome or "").startswith("frozen"), table.describe()
    assert_it_goes_on(table, clients)


def test_a_frozen_spectator_disturbs_nobody() -> None:
    table, clients = a_table(NEW, OLD)
    watcher = joined(table, OLD, spectator=True)
    watcher.frozen = True
    table.run(30 * SECOND)
    assert all(client.ending is None for client in clients)
    watcher.frozen = False
    for _ in range(40):
        table.seat(watcher).rate = 4
        table.run(SECOND)
    assert_it_goes_on(table, [*clients, watcher])


@pytest.mark.parametrize("late", [1, 6, 15], ids=lambda late: f"{late * 1000 // 30} ms there and back")
def test_a_slow_line_and_clocks_that_differ_are_no_trouble(late: int) -> None:
    table = Table()
    clients = [joined(table, kind, late=late) for kind in (NEW, OLD, NEW)]
    for client, rate in zip(clients, (1.0, 1.01, 0.99), strict=True):
        table.seat(client).rate = rate
    table.run(30 * SECOND)
    assert all(client.ending is None for client in clients), table.describe()
    assert_it_goes_on(table, clients)


def test_what_a_player_sends_for_frames_far_ahead_ends_its_game_not_the_others() -> None:
    table, (first, second) = a_table(NEW, OLD)
    bad = joined(table, OLD)
    key, frame = table.seat(bad).key, bad.game.here if bad.game else 0
    bad.frozen = True
    table.run(12)
    for ahead in range(400):
        if table.seat(bad).gone:
            break
        table.perform(table.room.receive(key, np.game_input(frame + ahead, 3, 0), table.now))
    table.run(5)
    assert table.seat(bad).gone
    bad.frozen = False
    table.run(5)
    assert_it_goes_on(table, [first, second])


def test_a_room_of_a_minute_keeps_no_more_than_one_of_ten_seconds() -> None:
    table, _ = a_table(OLD, NEW, OLD)
    table.run(10 * SECOND)
    early = len(str(table.room.save()))
    table.run(50 * SECOND)
    assert len(str(table.room.save())) < 2 * early + 1000


def test_nobody_is_sent_more_than_the_others_inputs() -> None:
    table, clients = a_table(NEW, OLD, OLD)
    before = [seat.sent for seat in table.seats]
    table.run(10 * SECOND)
    sent = [seat.sent - old for seat, old in zip(table.seats, before, strict=True)]
    # Per frame: INPUT of the two others (28 bytes with an analog pad) and NOINPUT (12).
    assert [bytes_ / (10 * SECOND) for bytes_ in sent] == pytest.approx([68, 68, 68], abs=1)
    assert len(clients) == 3


def test_a_machine_of_another_size_of_states_joins_no_game() -> None:
    table, clients = a_table(NEW, OLD)
    odd = table.join(OLD, machine=Machine(128))
    table.run(2 * SECOND)
    assert odd.ending is not None, "the real one refuses the state, whoever sends it"
    assert odd.ending.how is How.NAK
    table.seats.remove(table.seat(odd))
    assert all(client.ending is None for client in clients)
