"""The blocks in which what waits lies: each is one connection's at a time, and what is counted is what is there."""

from __future__ import annotations

import os

import pytest

from relay.spool import BLOCK, KEPT, Backlog, Blob, Spool, SpoolFullError

NOW = 1000.0


def a_backlog(spool: Spool, data: bytes) -> Backlog:
    backlog = Backlog(spool, NOW)
    backlog.add(data)
    return backlog


def handed_over(old: Spool) -> Spool:
    """Return the spool of the next program, which has yet to find out whose blocks these are."""
    new = Spool(old.most)
    saved = old.save()
    new.restore({**saved, "fd": os.dup(saved["fd"])})
    return new


@pytest.mark.parametrize("blocks", [1, 2, 5])
def test_what_waits_in_words_of_an_older_program_has_blocks_of_its_own(blocks: int) -> None:
    """Version 2 had no memory file: what waited came as text, and is put into blocks while the state is read."""
    spool = Spool(100 * BLOCK)
    kept = a_backlog(spool, b"a" * (blocks * BLOCK))
    spool.restored()
    other = a_backlog(spool, b"b" * (blocks * BLOCK))
    assert bytes(kept) == b"a" * (blocks * BLOCK)
    assert bytes(other) == b"b" * (blocks * BLOCK)


@pytest.mark.parametrize("blocks", [1, 2, 5])
def test_what_is_put_aside_while_a_state_is_read_is_nobody_else_s(blocks: int) -> None:
    old = Spool(100 * BLOCK)
    waits = a_backlog(old, b"a" * 1000)
    new = handed_over(old)
    taken_over = Backlog.load(new, waits.save(), NOW)
    put_aside = a_backlog(new, b"c" * (blocks * BLOCK))
    new.restored()
    a_backlog(new, b"b" * (2 * blocks * BLOCK))
    assert bytes(taken_over) == b"a" * 1000
    assert bytes(put_aside) == b"c" * (blocks * BLOCK)


@pytest.mark.parametrize("blocks", [1, 2, 5])
def test_what_is_sent_while_a_state_is_read_gives_its_blocks_back_once(blocks: int) -> None:
    old = Spool(100 * BLOCK)
    waits = a_backlog(old, b"a" * (blocks * BLOCK))
    new = handed_over(old)
    Backlog.load(new, waits.save(), NOW).clear()
    new.restored()
    assert new.held == 0
    assert sorted(new.take() for _ in range(blocks)) == list(range(blocks))


@pytest.mark.parametrize("blocks", [0, 1, 3])
def test_where_no_block_is_left_nothing_is_counted_that_is_not_there(blocks: int) -> None:
    spool = Spool(100 * BLOCK)
    spool.blocks = blocks
    waits = Backlog(spool, NOW)
    with pytest.raises(SpoolFullError):
        waits.add(bytes((blocks + 1) * BLOCK))
    assert spool.held == len(waits) == len(bytes(waits))
    waits.clear()
    assert (spool.held, len(waits)) == (0, 0)


# The bound.


def test_what_is_more_than_may_be_held_is_taken_from_somebody_at_once() -> None:
    spool = Spool(4 * BLOCK)
    waits = [a_backlog(spool, bytes(BLOCK)) for _ in range(3)]
    asked: list[int] = []

    def relieve() -> None:
        asked.append(spool.held)
        waits[0].close()

    spool.relieve = relieve
    last = a_backlog(spool, bytes(BLOCK))
    assert not asked, "so much may be held"
    last.add(b"x")
    assert asked == [4 * BLOCK + 1]
    assert spool.held == 3 * BLOCK + 1
    state = Blob(spool)
    state.append(bytes(BLOCK))
    assert asked == [4 * BLOCK + 1] * 2, "a savestate that arrives counts as well"


def test_what_many_are_sent_is_held_once_and_for_as_long_as_one_of_them_has_not_got_it() -> None:
    spool = Spool(100 * BLOCK)
    state = Blob(spool)
    state.append(bytes(10 * BLOCK))
    state.ready = True
    waits = [Backlog(spool, NOW) for _ in range(15)]
    for each in waits:
        each.add_blob(state)
    del state
    for each in waits:
        assert spool.held == 10 * BLOCK
        each.clear()
    assert spool.held == 0


def test_free_memory_goes_back_to_the_kernel_a_little_at_a_time_but_for_the_last() -> None:
    spool = Spool(400 * BLOCK)
    waits = a_backlog(spool, b"a" * (300 * BLOCK))
    waits.clear()
    assert spool.resident == 300 * BLOCK
    left = []
    while spool.untidy:
        spool.trim()
        left.append(spool.resident // BLOCK)
    assert left == [236, 172, 108, 44, KEPT]
    assert bytes(a_backlog(spool, b"b" * (300 * BLOCK))) == b"b" * (300 * BLOCK)
    assert spool.resident == 300 * BLOCK, "what was given back is taken again"
