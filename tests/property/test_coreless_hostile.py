"""What is broken, cut short, silent or made up ends one connection at most, within bounds, and disturbs no game."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay.coreless import Close, CorelessRoom, CorelessSettings, Send
from tests.support import netplay as np
from tests.support.netplay import kinds
from tests.support.netplay.client import Client
from tests.support.netplay.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.netplay.kinds import Kind
    from tests.support.netplay.table import Seat

SECOND = 60
MIB = 1024 * 1024
KINDS = [kinds.RA_1_14, kinds.RA_1_9_14, kinds.RA_1_9_0, kinds.RA_1_7_0]
EACH = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.release)
# What a client may be sent, at most, for what it has said: a few commands each, or the whole clock it asked for.
MOST_SENT_BACK = 4096


def a_game(kind: Kind) -> tuple[Table, list[Client]]:
    """Return a room in which two play."""
    table = Table()
    clients = [table.join(kind, "anna"), table.join(kind, "ben")]
    table.run_until(lambda: len(table.players) == 2)
    return table, clients


def what_it_says(kind: Kind) -> bytes:
    """Return all that a client says on its way into that game."""
    table, _ = a_game(kind)
    said: list[bytes] = []
    client = table.join(kind, "chris")
    take = client.output

    def output() -> bytes:
        data = take()
        said.append(data)
        return data

    client.output = output  # type: ignore[method-assign]
    table.run_until(lambda: client.playing)
    return b"".join(said)


def a_connection(table: Table, kind: Kind) -> Seat:
    """Connect somebody who does nothing by itself: what it says is up to the test."""
    client = table.join(kind, "odd")
    client.frozen = True
    client.output()
    return table.seat(client)


def say(table: Table, seat: Seat, data: bytes) -> None:
    """Say something, unless the connection has been closed."""
    seat.spoken_for = True
    if not seat.gone:
        table.perform(table.room.receive(seat.key, data, table.now))


def hang_up(table: Table, seat: Seat) -> None:
    """End a connection, unless it has been closed."""
    if not seat.gone:
        table.perform(table.room.disconnect(seat.key, table.now))
    seat.gone = True
    seat.client.leave()


def assert_undisturbed(table: Table, clients: list[Client], seconds: int = 1) -> None:
    """Assert that the game goes on for those."""
    before = [client.timeline.settled for client in clients]
    table.run(seconds * SECOND)
    table.check()
    for client, frame in zip(clients, before, strict=True):
        assert client.ending is None
        assert client.timeline.settled >= frame + seconds * SECOND - 20


# Cut short.


@EACH
def test_a_connection_that_ends_at_any_byte_of_its_handshake_leaves_no_trace(kind: Kind) -> None:
    table, clients = a_game(kind)
    said = what_it_says(kind)
    assert len(said) > 200
    for place in range(0, len(said), 3):
        seat = a_connection(table, kind)
        say(table, seat, said[:place])
        table.run(2)
        hang_up(table, seat)
    table.settle()
    assert len(table.room.status()["players"]) == 2
    assert_undisturbed(table, clients)


@EACH
def test_a_handshake_and_a_game_cut_at_every_byte_are_the_same_game(kind: Kind) -> None:
    whole, _ = a_game(kind)
    table = Table(cut=lambda data: (data[place : place + 1] for place in range(len(data))))
    for name in ("anna", "ben"):
        table.join(kind, name)
    table.run_until(lambda: len(table.players) == 2)
    whole.run(SECOND)
    table.run(SECOND)
    for left, right in zip(whole.seats, table.seats, strict=True):
        assert left.client.timeline.heard == right.client.timeline.heard


# Silence.


@EACH
@pytest.mark.parametrize("after", [0, 1, 15, 30, 60, 100, 140, 200], ids=lambda after: f"after {after} bytes")
def test_who_falls_silent_in_its_handshake_is_closed_in_time(kind: Kind, after: int) -> None:
    table, clients = a_game(kind)
    said = what_it_says(kind)[:after]
    seat = a_connection(table, kind)
    say(table, seat, said)
    table.run(8 * SECOND)
    assert not seat.gone
    table.run(8 * SECOND)
    assert (seat.outcome or "").startswith("no-handshake"), seat.outcome
    seat.client.leave()
    assert_undisturbed(table, clients)


def test_a_room_of_silent_ones_alone_is_empty_in_time() -> None:
    room = CorelessRoom()
    for key in range(1, 6):
        room.connect(key, 0.0)
    now = 0.0
    while (due := room.next_deadline()) is not None:
        now = due
        room.tick(now)
    assert room.empty
    assert now <= 16


# Sizes.


@EACH
@pytest.mark.parametrize("number", [0x20, 0x21, 0x22, 0x23, 0x25, 0x03, 0x42, 0x77])
@pytest.mark.parametrize("size", [4097, 70_000, 2**31, 2**32 - 1])
def test_a_command_of_absurd_size_ends_its_connection_at_once(kind: Kind, number: int, size: int) -> None:
    table, clients = a_game(kind)
    said = what_it_says(kind)
    seat = a_connection(table, kind)
    handshake = 56 if kind.protocol == 4 else 64
    say(table, seat, (said if number in (0x03, 0x25, 0x42) else said[:handshake]) + np.words(number, size))
    if number != 0x42 or size > 64 * MIB:
        assert seat.gone, "by the size alone, before anything of it is kept"
    for _ in range(200):
        say(table, seat, bytes(1000))
    assert len(str(table.room.save())) < 100_000, "a state that nobody asked for is not kept"
    hang_up(table, seat)
    assert_undisturbed(table, clients)


# Anything.

NUMBERS = st.sampled_from([0, 1, 2, 3, 4, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, *range(0x40, 0x48), 0x1000])
FRAMES = st.sampled_from([0, 1, 9, 10, 11, 12, 60, 100, 2**31, 2**32 - 1])
COMMANDS = st.one_of(
    st.builds(np.command, NUMBERS, st.binary(max_size=80)),
    st.builds(lambda frame, who: np.game_input(frame, who, 0, 0, 0), FRAMES, FRAMES),
    st.builds(lambda frame, size: np.command(0x42, np.words(frame, size) + b"state"), FRAMES, FRAMES),
    st.builds(lambda frame: np.command(0x46, np.words(frame)), FRAMES),
    st.builds(lambda number, size: np.words(number, size), NUMBERS, FRAMES),
    st.sampled_from([np.play(), np.command(0x24), np.pause(b"\xff" * 32), np.RESUME, np.info(), np.old_info()]),
    st.sampled_from([np.nick(b"\x00" * 32), np.nick("x" * 32), np.info(""), np.info("\x1b[2J")]),
    st.binary(max_size=40),
)
HEADS = st.sampled_from([np.client_header(), np.client_header(np.RA_1_9_14, 0), np.words(0x241, 0x40008, 1, 0), b""])
SAID = [b"", *[what_it_says(kind) for kind in (kinds.RA_1_14, kinds.RA_1_9_0)]]
TALKS = st.builds(
    lambda start, length, head, rest: (start[: length or len(start)] or head) + b"".join(rest),
    st.sampled_from(SAID),
    st.sampled_from([0, 24, 64, 140, 216]),
    HEADS,
    st.lists(COMMANDS, max_size=10),
)
EVENTS = st.lists(
    st.tuples(
        st.integers(1, 4), st.sampled_from(["bytes", "bytes", "bytes", "tick", "end", "upgrade"]), st.integers(1, 60)
    ),
    max_size=40,
)


def pieces(talk: bytes, size: int) -> Iterator[bytes]:
    """Return a talk in pieces of a size."""
    return (talk[place : place + size] for place in range(0, len(talk), size))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(TALKS, min_size=4, max_size=4), EVENTS)
def test_no_bytes_in_any_order_make_a_room_fail_or_talk_without_end(
    talks: list[bytes], events: list[tuple[int, str, int]]
) -> None:
    room, now = CorelessRoom(CorelessSettings(players=3)), 0.0
    rest = {key: bytes(talk) for key, talk in enumerate(talks, 1)}
    there: set[int] = set()
    heard = sent = 0
    for key, what, size in events:
        actions = []
        if what == "tick":
            now += size / 10
            if (due := room.next_deadline()) is not None and due <= now:
                actions = room.tick(now)
        elif what == "end":
            there.discard(key)
            actions = room.disconnect(key, now)
        elif what == "upgrade":
            room = CorelessRoom.restored(room.save(), CorelessSettings(players=3))
        else:
            if key not in there:
                there.add(key)
                actions = room.connect(key, now)
            data, rest[key] = rest[key][: size * 8], rest[key][size * 8 :]
            heard += len(data)
            actions = [*actions, *room.receive(key, data, now)]
        for action in actions:
            if isinstance(action, Send):
                assert action.key in there
                sent += len(action.data)
            elif isinstance(action, Close):
                assert action.key in there
                there.discard(action.key)
        room.status()
    assert sent <= MOST_SENT_BACK + 40 * heard + 80 * 60 * sum(size / 10 for _, what, size in events if what == "tick")
    for key in list(there):
        room.disconnect(key, now)
    assert room.empty


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from([kinds.RA_1_14, kinds.RA_1_9_14]), st.lists(COMMANDS, max_size=12), st.integers(1, 90))
def test_a_player_who_says_anything_disturbs_nobody_else(kind: Kind, said: list[bytes], size: int) -> None:
    table, clients = a_game(kind)
    odd = table.join(kind, "odd")
    table.run_until(lambda: odd.playing)
    seat = table.seat(odd)
    for data in pieces(b"".join(said), size):
        say(table, seat, data)
        table.run(1)
    hang_up(table, seat)
    # A pause holds newer RetroArch with STALL, a second at a time: the last of it is still to be waited for.
    table.run(SECOND)
    assert_undisturbed(table, clients)
