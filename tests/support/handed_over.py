"""What a relay hands to the next program, taken up by one, and what shows that everybody in it goes on.

python -m tests.support.handed_over FILE: writes down what a relay of this checkout hands over, never over a file.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from relay import upgrade
from relay.daemon import Daemon
from relay.logs import Events
from relay.net import listeners, sockets
from tests.support import netplay, wire
from tests.support.every_state import CONFIG, CUT, GONE, HOST, HOST_SAYS, OLD_SAYS, PIECE, Ends, everything
from tests.support.relays import Clock, Relay, started


def leave(relay: Relay, state: dict[str, Any]) -> None:
    """End a relay as an exec does: nothing is said to anybody, and what it has handed over stays open."""
    state["listeners"] = [os.dup(fd) for fd in state["listeners"]]
    for entry in state["conns"]:
        entry["fd"] = os.dup(entry["fd"])
    state["spool"]["fd"] = os.dup(state["spool"]["fd"])
    state["farewells"] = [[os.dup(fd), waiting] for fd, waiting in state["farewells"]]
    server, loop = relay.server, asyncio.get_running_loop()
    timers = [server._timer, *server._farewells._left.values(), *(timer for _, timer in server.hall._timers.values())]
    for timer in timers:
        if timer:
            timer.cancel()
    server._readiness.close()
    for sock in server._farewells._left:
        loop.remove_reader(sock)
        loop.remove_writer(sock)
    ends, seats = list(server._forwarder), server.hall.seats._by_conn.values()
    linked = [each.sock for each in (*ends, *seats)]
    for sock in (*server.entrance.listeners, *server._socks.values(), *linked, *server._farewells._left):
        sock.close()
    if server.entrance._reserve is not None:
        os.close(server.entrance._reserve)
    server.stop = lambda: None  # type: ignore[method-assign]


@contextlib.asynccontextmanager
async def taken_over(state: dict[str, Any], now: float) -> AsyncIterator[Relay]:
    """Run a relay that goes on with a state, at a time, until the end of the block; then nothing may be left."""
    kept = [sockets.inherit(fd) for fd in state["listeners"]]
    relay = started(CONFIG, kept, Clock(now), state)
    try:
        yield relay
    finally:
        relay.server.stop()
    relay.assert_empty()


async def assert_all_go_on(relay: Relay, ends: Ends, kept: bytes) -> None:
    """Let everybody go on where they were, in a program that has taken over; kept is the id that is kept for GONE."""
    board = relay.server.board
    (session,) = board.sessions.values()
    assert session.joins == 3
    ends.send("opening", wire.header()[10:])
    assert (await ends.read("host", 16))[:4] == b"RATL", "half a header was kept"
    await _goes_on_waiting(relay, ends)
    ends.send("host", b"er-issued")
    assert (await ends.read("host", 32))[:16] == b"RATAnever-issued", "half a question was kept"
    assert (await ends.read("claiming", 16))[:4] == b"RATS", "the host lives, so the other one has a room of its own"
    ends.connect("gone host again", relay.address, relay.port, GONE)
    ends.send("gone host again", wire.HOST_HELLO)
    assert await ends.read("gone host again", 16) == b"RATS" + kept, "the invitation is still good"
    await _links_go_on(relay, ends)
    ends.send("anna", netplay.game_input(0, 1, 0, 0, 0)[9:])
    assert await ends.read("anna", 12) == netplay.no_input(0)
    ends.send("ben", netplay.info() * 2)
    assert await ends.read("ben", 76) == netplay.info(), "its nick was kept"
    assert {outcome.value for outcome in board.outcomes} == {"left", "peer-left", "host-left"}


async def _goes_on_waiting(relay: Relay, ends: Ends) -> None:
    (client,) = [conn for conn in relay.server.board._waiting.values() if conn.head != wire.header()]
    ends.connect("waiting's link", relay.address, relay.port, HOST)
    ends.send("waiting's link", wire.link(client.client_id))
    assert await ends.read("waiting's link", 24 + 9) == wire.header() + b" and more"


async def _links_go_on(relay: Relay, ends: Ends) -> None:
    ends.send("friend", CUT[13:])
    assert await ends.read("friend's link", len(CUT) - 13) == CUT[13:]
    seen = [end.watcher.seen for end in relay.server._forwarder if end.watcher and end.to_host]
    (friend,) = [each for each in seen if each.client.nick == "friend"]
    assert (friend.host.nick, friend.client_frame, friend.stopped) == ("player", 77, False), "it is watched on"
    ends.send("old", OLD_SAYS[60:])
    ends.send("old's link", HOST_SAYS[100:])
    assert await ends.read("old's link", 76) == netplay.info(), "INFO is put into the other's order"
    assert await ends.read("old", 76) == netplay.old_info(version="1.52.0")
    for name in ("old", "orphan", "friend"):
        ends.send(name, b"from the client")
        assert await ends.read(f"{name}'s link", 15) == b"from the client"
        ends.send(f"{name}'s link", b"from the host")
        assert await ends.read(name, 13) == b"from the host"
    ends.socks["slow's link"].close()
    for name in ("slow", "left"):
        late = await ends.rest(name)
        assert len(late) == ends.owed[name] > 0, f"something waits for {name}, and it has it whole"
        assert (PIECE * (1 + len(late) // len(PIECE))).endswith(late)


def handed_over(relay: Relay) -> dict[str, Any]:
    """Return what its program would hand to the next one: the daemon's own way of it, but for the exec."""
    daemon = Daemon(CONFIG, None, Events(blurred=False))
    daemon._server = relay.server
    daemon._listeners = listeners.Listeners(relay.server.entrance.listeners)
    daemon._control = None
    written: list[dict[str, Any]] = []
    real = upgrade.become_new
    upgrade.become_new = lambda state, _: written.append(state)
    try:
        assert daemon._exec() == ""
    finally:
        upgrade.become_new = real
    state: dict[str, Any] = json.loads(json.dumps(written[0]))
    return state


def spooled(state: dict[str, Any]) -> dict[str, str]:
    """Return what lies in the blocks that a state speaks of, in base64 by their numbers."""
    waiting = [*(conn.get("waiting", []) for conn in state["conns"]), *(left for _, left in state["farewells"])]
    blocks = sorted({piece[0] for each in waiting if not isinstance(each, str) for piece in each})
    fd, size = state["spool"]["fd"], state["spool"]["block"]
    return {str(block): b64encode(os.pread(fd, size, block * size).rstrip(b"\0")).decode() for block in blocks}


def spool_of(written: dict[str, str], data: dict[str, Any]) -> int:
    """Return a memory file with such blocks."""
    fd = os.memfd_create("test")
    os.ftruncate(fd, data["blocks"] * data["block"])
    for block, text in written.items():
        os.pwrite(fd, b64decode(text), int(block) * data["block"])
    return fd


def names(relay: Relay, ends: Ends, state: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Return whose end each descriptor of a state is the relay's end of."""
    by_port = {sock.getsockname()[1]: name for name, sock in ends.socks.items() if sock.fileno() >= 0}
    for conn, entry in zip(state["board"]["conns"], state["conns"], strict=True):
        yield by_port[conn["port"]], entry["fd"]
    for fd, _ in state["farewells"]:
        with socket.socket(fileno=fd) as sock:
            name = by_port[sock.getpeername()[1]]
            sock.detach()
        yield name, fd


async def record(path: Path) -> None:
    """Write a state down, with the names of the connections in the order of its descriptors."""
    async with everything() as (relay, ends):
        state = handed_over(relay)
        whose = [name for name, _ in names(relay, ends, state)]
        facts = {"ports": relay.ports, "now": relay.clock.now, "names": whose, "state": state, "spool": spooled(state)}
        with path.open("x") as file:
            json.dump(facts, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    asyncio.run(record(Path(sys.argv[1])))
