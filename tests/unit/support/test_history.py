"""Settled frames, and the comparison of two machines."""

from __future__ import annotations

from tests.support.history import SETTLED_AFTER, History, compare
from tests.support.nes.layout import Row, Snapshot


def snapshot(frame: int, first: int = 0, check: int = 0) -> Snapshot:
    """Build a snapshot with the rows ``first`` to ``frame`` - 1, all with the same check value."""
    rows = tuple(Row(number, bytes(4), check) for number in range(first, frame))
    return Snapshot(frame, check, bytes(4), (bytes(8),) * 4, rows)


def test_frames_that_a_rollback_may_change_are_left_out() -> None:
    history = History("player")
    history.add(snapshot(SETTLED_AFTER))
    assert not history.rows
    history.add(snapshot(SETTLED_AFTER + 3))
    assert list(history.rows) == [0, 1, 2]


def test_snapshots_add_up() -> None:
    history = History("player")
    history.add(snapshot(200))
    history.add(snapshot(300, first=110))
    assert list(history.rows) == list(range(300 - SETTLED_AFTER))
    assert not history.rewritten


def test_a_settled_frame_that_changes_is_reported() -> None:
    history = History("player")
    history.add(snapshot(SETTLED_AFTER + 2))
    history.add(snapshot(SETTLED_AFTER + 2, check=1))
    assert [before.frame for before, _ in history.rewritten] == [0, 1]


def test_the_newest_frame_stays_so_while_older_ones_are_played_again() -> None:
    history = History("player")
    for frame in (200, 203, 198):
        history.add(snapshot(frame))
    assert history.newest == 203


def test_only_common_frames_are_compared() -> None:
    left, right = History("left"), History("right")
    left.add(snapshot(200))
    right.add(snapshot(250, first=100))
    comparison = compare(left, right)
    assert comparison.common == tuple(range(100, 200 - SETTLED_AFTER))
    assert comparison.equal
    assert str(comparison) == "36 common frames, all equal"


def test_the_first_difference_is_shown() -> None:
    left, right = History("left"), History("right")
    left.add(snapshot(SETTLED_AFTER + 5))
    right.add(snapshot(SETTLED_AFTER + 5))
    right.rows[3] = Row(3, b"\x01\0\0\0", 0)
    comparison = compare(left, right)
    assert not comparison.equal
    assert str(comparison).startswith("1 of 5 common frames differ, first Row(frame=3, pads=b'\\x00")
