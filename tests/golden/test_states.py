"""What a relay of each state version handed to the next program, written down once, is taken up by this one.

The files are never written anew: a relay that runs hands over what its own release wrote, whatever the sources say by
now. A new snapshot.VERSION N gets a file of its own: python -m tests.support.handed_over .../expected/states/N.json

2 was written by what was to become 0.1.0. From 3 on what waits lies in a memory file, whose blocks stand beside it.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from relay.switchboard import snapshot
from tests.support.every_state import CONFIG, Ends
from tests.support.handed_over import assert_all_go_on, spool_of, taken_over

WRITTEN = Path(__file__).parent / "expected" / "states"
# No release has ever written it.
NEVER_RELEASED = (1,)
VERSIONS = [version for version in snapshot.READS if version not in NEVER_RELEASED]


@contextlib.contextmanager
def on_this_machine(written: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Ends]]:
    """Give a recorded state with sockets and ports of this machine in the places of those that it was recorded with."""
    ends, names = Ends(), written["names"]
    with contextlib.ExitStack() as stack:
        stack.callback(ends.close)
        listening = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in written["ports"]]
        ports = [sock.getsockname()[1] for sock in listening]
        text = json.dumps(written["state"])
        state: dict[str, Any] = json.loads(text)
        for conn in state["board"]["conns"]:
            conn["room_port"] = ports[written["ports"].index(conn["room_port"])]
        for table in state["board"]["tables"]:
            table["port"] = ports[written["ports"].index(table["port"])]
        state["listeners"] = [os.dup(sock.fileno()) for sock in listening]
        for name, entry in zip(names, [*state["conns"], *state["farewells"]], strict=True):
            number, waiting = ("fd", "waiting") if isinstance(entry, dict) else (0, 1)
            entry[number] = relays_end(ends, name)
            ends.owed[name] = size_of(entry[waiting]) if isinstance(entry, list) or waiting in entry else 0
        if spool := state.get("spool"):
            spool["fd"] = spool_of(written["spool"], spool)
        yield state, ends


def size_of(waiting: str | list[Any]) -> int:
    """Return how many bytes wait: those of version 2 are there, later ones lie in blocks."""
    if isinstance(waiting, str):
        return len(b64decode(waiting))
    return sum(end - start for _, start, end in waiting)


def relays_end(ends: Ends, name: str) -> int:
    """Make a connection: the player's end is called that; return the other one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ends.connect(name, *server.getsockname(), "127.0.0.1")
        accepted, _ = server.accept()
    accepted.setblocking(False)
    return accepted.detach()


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_a_relay_of_that_version_left_goes_on(version: int) -> None:
    written = json.loads((WRITTEN / f"{version}.json").read_text())
    assert written["state"]["board"]["version"] == version
    kept = b64decode(written["state"]["board"]["kept"][0][1])
    with on_this_machine(written) as (state, ends):
        async with taken_over(state, written["now"]) as relay:
            await assert_all_go_on(relay, ends, kept)
            ends.close()


def test_the_version_that_is_written_now_is_among_them() -> None:
    assert snapshot.VERSION in VERSIONS
    assert CONFIG.buffers.socket < 65536, "or nothing would have waited, and the files would lack that"
