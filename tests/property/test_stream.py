"""The netplay watcher against any bytes: it never fails, keeps next to nothing, and does not care how they are cut."""

from __future__ import annotations

import itertools
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from relay.netplay.framing import FOREVER, MOST_HELD
from relay.netplay.watcher import Watcher
from tests.support import netplay as np

WORDS = st.integers(0, 2**32 - 1)
NUMBERS = st.sampled_from([0, 1, 2, 3, 4, 0x20, 0x21, 0x22, 0x23, 0x26, *range(0x40, 0x49), 0x1000, 0x1100, 0x2000])
# As RetroArch sends them; the right head over any body; a body cut off or too long; anything.
COMMANDS = st.one_of(
    st.sampled_from(
        [
            np.nick("friend"),
            np.info(),
            np.old_info(),
            np.sync(sram=bytes(50)),
            np.mode(),
            np.mode(playing=False),
            np.pause("friend"),
            np.RESUME,
            np.STALL,
            np.RESET,
            np.REQUEST_SAVESTATE,
            np.PING_REQUEST,
            np.savestate(5, 300),
            np.netpacket(b"data"),
            np.chat(b"hello"),
            np.game_input(7, 0),
            np.game_input(8, 1, 1, 2),
            np.no_input(9),
        ]
    ),
    st.builds(lambda number, body: np.command(number, body), NUMBERS, st.binary(max_size=220)),
    st.builds(lambda number, size, body: np.words(number, size) + body, NUMBERS, WORDS, st.binary(max_size=40)),
    st.builds(
        lambda number, size: np.words(number) + np.words(size) + bytes(size), NUMBERS, st.sampled_from([32, 60, 68])
    ),
    st.binary(max_size=60),
)
HEADERS = st.one_of(
    st.sampled_from([np.client_header(), np.host_header(), np.host_header(salt=9), b"FULL", b"DENY", b""]),
    st.builds(lambda *rest: b"RANP" + np.words(*rest), WORDS, WORDS, WORDS, WORDS, WORDS),
    st.binary(max_size=30),
)
STREAMS = st.builds(lambda header, commands: header + b"".join(commands), HEADERS, st.lists(COMMANDS, max_size=12))
CUTS = st.lists(st.integers(0, 3000), max_size=12)
SIMPLE = (str, int, bool, type(None))


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def watched(to_host: list[bytes], to_client: list[bytes], names: bool = True) -> Watcher:
    watcher = Watcher(names)
    for data in to_client:
        watcher.feed(False, data)
    for data in to_host:
        watcher.feed(True, memoryview(data))
    return watcher


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in texts(item)]
    return [value] if isinstance(value, str) else []


@given(STREAMS, STREAMS, CUTS, CUTS, st.booleans())
def test_what_is_seen_does_not_depend_on_how_it_is_cut(
    to_host: bytes, to_client: bytes, host_cuts: list[int], client_cuts: list[int], names: bool
) -> None:
    whole = watched([to_host], [to_client], names).seen
    assert watched(pieces(to_host, host_cuts), pieces(to_client, client_cuts), names).seen == whole
    by_byte = [bytes([byte]) for byte in to_host], [bytes([byte]) for byte in to_client]
    assert watched(*by_byte, names).seen == whole


@given(STREAMS, STREAMS, CUTS)
def test_what_is_kept_is_bounded_and_what_is_told_is_fit_to_be_shown(
    to_host: bytes, to_client: bytes, cuts: list[int]
) -> None:
    watcher = watched(pieces(to_host, cuts), pieces(to_client, cuts))
    for way in (watcher._to_host, watcher._to_client):
        assert len(way._held) < MOST_HELD
        assert 0 <= way._skip <= FOREVER
    facts = watcher.seen.as_dict()
    assert json.loads(json.dumps(facts)) == facts
    for text in texts(facts):
        assert text.isprintable()
        assert len(text.encode()) <= 40


@given(STREAMS, STREAMS)
def test_without_leave_no_nick_comes_out(to_host: bytes, to_client: bytes) -> None:
    facts = watched([to_host], [to_client], names=False).seen.as_dict()
    assert facts["client"]["nick"] == facts["host"]["nick"] == ""
    assert facts["paused_by"] in ("", "client", "host")


@given(STREAMS, STREAMS, CUTS)
def test_a_successor_sees_what_the_watcher_would_have_seen(to_host: bytes, to_client: bytes, cuts: list[int]) -> None:
    stayed = watched([], [to_client])
    for data in pieces(to_host, cuts):
        stayed.feed(True, data)
    handed_over = watched([], [to_client])
    for data in pieces(to_host, cuts):
        handed_over = Watcher.restored(json.loads(json.dumps(handed_over.save())), names=True)
        handed_over.feed(True, data)
    assert handed_over.seen == stayed.seen


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["00ff", "playing"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
SEEN_FIELDS = st.sampled_from([*Watcher(names=True).seen.save(), "unknown"])
WAY_FIELDS = st.sampled_from(["skip", "held", "opened"])


@given(JSON, st.dictionaries(SEEN_FIELDS, JSON, max_size=3), st.dictionaries(WAY_FIELDS, JSON, max_size=3), STREAMS)
def test_no_state_and_no_bytes_after_it_make_a_successor_fail(
    anything: Any, seen: dict[str, Any], way: dict[str, Any], stream: bytes
) -> None:
    state = Watcher(names=True).save()
    state["seen"] |= seen
    state["to_host"] |= way
    for bad in (anything, state):
        watcher = Watcher.restored(bad, names=True)
        for data in pieces(stream, [9, 30]):
            watcher.feed(True, data)
            watcher.feed(False, data)
        watcher.seen.as_dict()
