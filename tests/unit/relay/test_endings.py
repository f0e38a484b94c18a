"""What is told of those who have gone: why a core-less session let somebody go, and of the last ones only."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from relay.monitoring import subscribers
from relay.net.history import MOST, History
from tests.support import netplay
from tests.support.fakes import FakeClient
from tests.support.relays import BOUND, running


async def test_why_a_room_without_a_host_let_somebody_go_is_told_in_its_words() -> None:
    async with running() as relay:
        client = await FakeClient.join(relay.address, relay.port)
        await client.send(netplay.command(0x99))
        await relay.until(lambda: relay.server.endings.count, "it is let go")
        ended = next(entry for entry in relay.server.endings.since(0) if entry["kind"] == "player")
        assert (ended["outcome"], ended["reason"]) == ("broke-protocol", "command 0x99 in the handshake")
        await client.close()


async def test_a_follower_is_told_of_each_ending_once_however_long_nothing_else_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subscribers, "LONGEST", 0.001)
    monkeypatch.setattr(subscribers, "SHORTEST", 0.001)
    endings, asked, enough = History(), list[int](), asyncio.Event()
    endings.add("session")

    def look(known: int) -> dict[str, Any]:
        asked.append(known)
        if len(asked) == 5:
            enough.set()
        return {"ended": endings.since(known)}

    ours, theirs = socket.socketpair()
    with theirs:
        ours.setblocking(False)
        following = subscribers.Subscribers(look)
        await following.add(ours, {"every": 3600})
        await asyncio.wait_for(enough.wait(), BOUND)
        following.close()
        await asyncio.sleep(0)
    assert asked[:5] == [0, 1, 1, 1, 1]


def test_no_more_endings_are_kept_than_the_bound_and_each_has_its_number() -> None:
    endings = History()
    for number in range(MOST + 10):
        endings.add("session", outcome=f"the {number}th")
    kept = endings.since(0)
    assert [entry["number"] for entry in kept] == list(range(11, MOST + 11))
    assert [entry["number"] for entry in endings.since(MOST + 8)] == [MOST + 9, MOST + 10]
    assert kept[0]["outcome"] == "the 10th"
