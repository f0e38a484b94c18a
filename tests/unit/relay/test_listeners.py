"""Where the relay listens after a change of relay.toml: the new addresses, and never nowhere."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import socket
from collections.abc import Iterator

import pytest

from relay.config import Config, Listen, RoomConfig
from relay.net import listeners, sockets
from relay.net.listeners import CannotListenError, Listeners
from tests.support import needs

SIX = "::1"


@contextlib.contextmanager
def left_by_an_older_program(*addresses: str) -> Iterator[tuple[int, dict[str, object]]]:
    """Give a port on which the addresses are listened on, and the state that says so."""
    needs.listener_on(SIX).close()
    opened = _opened(addresses)
    port = opened[0].getsockname()[1]
    descriptors = [sock.detach() for sock in opened]
    try:
        yield port, {"activated": False, "listeners": descriptors, "datagrams": []}
    finally:
        for fd in descriptors:
            with contextlib.suppress(OSError):
                os.close(fd)


def _opened(addresses: tuple[str, ...], tries: int = 10) -> list[socket.socket]:
    """Listen on a port that is free on all of the addresses: what is free on the first may be taken on another."""
    opened: list[socket.socket] = []
    try:
        for address in addresses:
            opened.append(sockets.listen(address, opened[0].getsockname()[1] if opened else 0, 4096))
    except OSError:
        for sock in opened:
            sock.close()
        if not tries:
            raise
        return _opened(addresses, tries - 1)
    return opened


def after(state: dict[str, object], port: int, *bind: str, rooms: tuple[int, ...] = ()) -> set[tuple[str, int]]:
    """Return where the next program listens that is to listen at these addresses, and close it all."""
    others = tuple(RoomConfig(f"FridayNightRoom{number}", other) for number, other in enumerate(rooms))
    config = dataclasses.replace(Config(), listen=Listen(port, bind), rooms=others)
    found = listeners.obtain(config, state)
    names = where(found)
    for sock in found.streams:
        sock.close()
    return names


def where(found: Listeners) -> set[tuple[str, int]]:
    """Return where sockets that really listen do so."""
    assert all(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) for sock in found.streams)
    return {sock.getsockname()[:2] for sock in found.streams}


EVERY, ONE = "0.0.0.0", "127.0.0.1"  # noqa: S104 - what relay.toml says by default


@pytest.mark.parametrize(("before", "then"), [(EVERY, ONE), (ONE, EVERY)], ids=["narrower", "wider"])
def test_an_address_that_covers_another_makes_way_for_it(before: str, then: str) -> None:
    with left_by_an_older_program(before, SIX) as (port, state):
        assert after(state, port, then, SIX) == {(then, port), (SIX, port)}


def test_several_addresses_make_way_for_the_one_that_covers_them_and_it_for_them() -> None:
    with left_by_an_older_program(ONE, "127.0.0.2") as (port, state):
        assert after(state, port, EVERY) == {(EVERY, port)}
    with left_by_an_older_program(EVERY) as (port, state):
        assert after(state, port, ONE, "127.0.0.2") == {(ONE, port), ("127.0.0.2", port)}


def test_ipv6_makes_way_too() -> None:
    with left_by_an_older_program(ONE, "::") as (port, state):
        assert after(state, port, ONE, SIX) == {(ONE, port), (SIX, port)}


@pytest.mark.parametrize("then", ["192.0.2.1", EVERY], ids=["not this machine's", "taken by another program"])
def test_an_address_that_is_not_to_be_had_leaves_the_old_one(then: str, caplog: pytest.LogCaptureFixture) -> None:
    with left_by_an_older_program(ONE, SIX) as (port, state), socket.socket() as other:
        other.bind(("127.0.0.9", port))
        other.listen()
        assert after(state, port, then, SIX) == {(ONE, port), (SIX, port)}
    assert f"cannot listen on {then}:{port}" in caplog.text
    assert f"port {port} stays open on {ONE}, as before" in caplog.text


def test_what_is_wanted_no_more_is_closed_and_what_is_new_is_opened() -> None:
    with socket.create_server((ONE, 0)) as free:
        new = free.getsockname()[1]
    with left_by_an_older_program(ONE, SIX) as (port, state):
        assert after(state, port, ONE, rooms=(new,)) == {(ONE, port), (ONE, new)}


def test_a_port_that_is_wanted_no_more_is_closed_even_where_its_successor_is_taken() -> None:
    with socket.create_server((ONE, 0)) as other, left_by_an_older_program(ONE) as (port, state):
        taken = other.getsockname()[1]
        assert after(state, taken, ONE) == {(ONE, port)}, "nothing else would be left"


def test_one_whose_own_address_is_taken_is_told_so() -> None:
    with socket.create_server((ONE, 0)) as other:
        config = Config(listen=Listen(other.getsockname()[1], (ONE,)))
        with pytest.raises(CannotListenError, match=os.strerror(errno.EADDRINUSE)):
            listeners.obtain(config, None)
