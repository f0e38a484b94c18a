"""How connections come in: one at a time, and again after there was no descriptor to be had."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from typing import NoReturn

import pytest

from relay.net.sockets import Listener
from tests.support.fakes import Stream
from tests.support.relays import BOUND, running


async def test_of_many_that_come_at_once_a_wake_up_accepts_one_for_games_come_first() -> None:
    async with running() as relay:
        with contextlib.ExitStack() as crowd:
            # Without a turn of the event loop in between, so that all of them wait.
            for _ in range(5):
                crowd.enter_context(socket.create_connection((relay.address, relay.port), BOUND))
            for count in range(1, 6):
                relay.server.entrance._accept((relay.server.entrance.listeners[0], relay.port))
                assert relay.server.board.connections == count
        await relay.until_outcome("left-early", 5)


async def test_where_not_even_the_reserve_can_be_had_back_nothing_is_accepted_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nothing_left(*_: object) -> NoReturn:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async with running() as relay:
        door, listener, watched = (
            relay.server.entrance,
            relay.server.entrance.listeners[0],
            len(relay.server._readiness),
        )
        with monkeypatch.context() as patch:
            patch.setattr(Listener, "accept", nothing_left)
            patch.setattr(os, "open", nothing_left)
            door._accept((listener, relay.port))
        assert len(relay.server._readiness) == watched - 1, "or what waits there would wake the loop for ever"
        late = await Stream.open(relay.address, relay.port)
        await relay.until(lambda: relay.server.board.connections, "it is accepted all the same")
        await late.close()
        await relay.until_outcome("left-early")
