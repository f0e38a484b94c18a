"""Whatever comes over the wire, or stands in a state that an older program left: answered or refused, never a crash.

Messages of the protocol are bent, cut, doubled and mixed, for bytes at random alone never come past the first word.
More of it than CI has time for: `pytest tests/property/test_fuzz_relay.py --hypothesis-profile=fuzz`.
"""

from __future__ import annotations

import contextlib
import copy
import ipaddress
import itertools
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from relay.limits import Buffers, Limits, Timeouts
from relay.switchboard import snapshot
from relay.switchboard.connection import Close, Conn, State
from relay.switchboard.machine import Switchboard
from relay.switchboard.rooms import Mode, Room, RoomTable
from tests.support import netplay, wire

# A profile that asks for more gets more.
EXAMPLES = max(300, settings().max_examples)
ADDRESSES = [ipaddress.ip_address(text) for text in ("203.0.113.1", "203.0.113.7", "2001:db8::7")]
BUFFERS = Buffers(waiting_client=4096)
ROOM = b"friday-night"
# What both ends of a link say that the relay looks at, because the client is old.
HANDSHAKE = [netplay.host_header(protocol=5), netplay.nick("anna"), netplay.info(), netplay.old_info(), netplay.sync()]
MESSAGES = [
    wire.HOST_HELLO,
    wire.header(),
    wire.join(ROOM),
    wire.OLD_HEADER,
    wire.join(ROOM, wire.OLD_HEADER),
    wire.link((1).to_bytes(12, "big")),
    wire.link((2).to_bytes(12, "big")),
    wire.address_query((1).to_bytes(12, "big")),
    wire.address_query(wire.ZERO),
    wire.PING,
    *HANDSHAKE,
    b"POKE",
    b"\0\0\x04\x69" + bytes(12),
]


@st.composite
def bent(draw: st.DrawFn) -> bytes:
    """Return some messages behind each other, with a byte changed, put in or left out here and there."""
    data = bytearray(b"".join(draw(st.lists(st.sampled_from(MESSAGES), min_size=1, max_size=3))))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(data) - 1))
        data[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
        data = data or bytearray(1)
    return bytes(data)


CHUNKS = st.one_of(bent(), bent(), st.binary(min_size=1, max_size=64), st.just(b"\xff" * 5000))
# The way to an introduction: by chance alone hardly any example finds it.
INTRODUCED = [
    (1, wire.HOST_HELLO, 1),
    (0, wire.join(ROOM, wire.OLD_HEADER), 7),
    (2, wire.link((1).to_bytes(12, "big")), 3),
]
STEPS = st.lists(st.tuples(st.integers(0, 7), CHUNKS, st.integers(1, 5000)), max_size=30).flatmap(
    lambda steps: st.sampled_from([steps, [*INTRODUCED, *steps]])
)


def a_board(mode: Mode = Mode.TUNNEL) -> Switchboard:
    numbers = itertools.count(1)
    table = RoomTable([Room(ROOM, 55440)], lambda: next(numbers).to_bytes(12, "big"), 60, mode)
    return Switchboard(table, lambda: next(numbers).to_bytes(12, "big"), Limits(), Timeouts(), BUFFERS)


def played(board: Switchboard, steps: list[tuple[int, bytes, int]]) -> list[Conn]:
    """Let eight connections say what the steps say, each chunk cut at a place; return them."""
    conns = [board.connected(ADDRESSES[n % 3], 40000, 55440 if n == 1 else 55435, 0.0, n != 7)[0] for n in range(8)]
    for now, (index, chunk, place) in enumerate(steps):
        for piece in (chunk[:place], chunk[place:]):
            conn = conns[index]
            if piece and (conn.state not in (State.CLOSED, State.LINKED) or conn.introduction):
                board.received(conn, piece, now / 10)
    return conns


def test_the_way_to_an_introduction_leads_there() -> None:
    board = a_board()
    conns = played(board, INTRODUCED)
    assert [conn.introduction is not None for conn in conns[:4]] == [True, False, True, False]


@given(STEPS, st.sampled_from(Mode))
@settings(max_examples=EXAMPLES)
def test_nothing_that_is_said_breaks_the_switchboard_or_is_kept_beyond_its_bound(
    steps: list[tuple[int, bytes, int]], mode: Mode
) -> None:
    board = a_board(mode)
    conns = played(board, steps)
    for conn in conns:
        assert len(conn.head) <= BUFFERS.waiting_client + 64, "the first bytes of a client are bounded"
        assert conn.opening.size <= 64, "an opening is at most a message and a header"
        assert len(conn.control.rest) < 16, "a host's stream is kept up to a message"
        if conn.state is State.LINKED and conn.introduction:
            assert conn.introduction.size <= BUFFERS.waiting_client, "so is what is looked at first on a link"
    board.tick(1000.0)
    assert not any(conn.state in (State.OPENING, State.WAITING, State.CLAIMING) for conn in conns)
    ended = [action.conn for action in board.shutdown(1000.0) if isinstance(action, Close)]
    assert len(ended) == len(set(ended))
    assert board.connections == 0
    assert not board.busy


@given(STEPS, st.data())
@settings(max_examples=EXAMPLES // 3)
def test_a_state_that_is_whole_is_taken_and_a_broken_one_fails_only_as_is_expected_of_it(
    steps: list[tuple[int, bytes, int]], data: st.DataObject
) -> None:
    board = a_board()
    played(board, steps)
    state = json.loads(json.dumps(snapshot.dump(board)[0]))
    snapshot.load(copy.deepcopy(state), a_board())
    spoil(state, data)
    with contextlib.suppress(snapshot.BROKEN):
        snapshot.load(state, a_board())


def spoil(state: Any, data: st.DataObject) -> None:
    """Replace or remove something in it, somewhere."""
    while True:
        keys = list(state) if isinstance(state, dict) else list(range(len(state)))
        key = data.draw(st.sampled_from(keys))
        inner = state[key]
        if isinstance(inner, (dict, list)) and inner and data.draw(st.booleans()):
            state = inner
        elif isinstance(state, dict) and data.draw(st.booleans()):
            del state[key]
            return
        else:
            state[key] = data.draw(st.sampled_from([None, -1, 9999, 0.5, "", "x", "AAAA", [], {}, [[]], True]))
            return
