"""Rooms of every kind in one form: what the relay itself tells of a game without a host, to those who show it."""

from __future__ import annotations

import asyncio
from typing import Any

from rich.console import Console

from relay.config import Config, Watch
from relay.monitoring import status as relay_status
from tests.support import wire
from tests.support.fakes import FakeClient, playing
from tests.support.relays import Relay, running
from toolkit.doctor import bundle, findings
from toolkit.doctor.case import Case
from toolkit.doctor.target import Target
from toolkit.join import rooms as join_rooms
from toolkit.status import rooms as roomview
from toolkit.status import show
from toolkit.watch import cards
from toolkit.watch.story import Card, Story


def state_of(relay: Relay, known: int = 0) -> dict[str, Any]:
    return relay_status.of(relay.server, Config(), known)


def drawn(what: Any) -> str:
    console = Console(width=160, force_terminal=False, soft_wrap=True)
    with console.capture() as captured:
        console.print(what)
    return captured.get()


async def test_a_game_without_a_host_is_shown_watched_and_examined_like_any_other() -> None:
    story = Story()
    async with running() as relay:
        assert list(story.feed({"relay": state_of(relay)}, 1.0)) == []
        client = await FakeClient.join(relay.address, relay.port)
        answer = await client.read(len(wire.header()))
        assert answer[:4] == b"RANP"
        await client.send(b"\0\0\0\x20\0\0\0\x20" + b"Wombat".ljust(32, b"\0"))
        await relay.until(lambda: roomview.rooms(state_of(relay))[0]["clients"][0]["seen"]["client"]["nick"], "a nick")

        state = state_of(relay)
        (room,) = roomview.rooms(state)
        assert (room["mode"], room["port"], room["host"]) == (roomview.WITHOUT_HOST, relay.port, None)
        assert (room["clients"][0]["address"], room["clients"][0]["state"]) == (relay.address, "linked")
        for words in ("Wombat", relay.address, "joining", roomview.WITHOUT_HOST):
            assert words in drawn(show.rooms(state)) + drawn(show.players(state))
        assert list(story.feed({"relay": state}, 2.0)) == [f"room port {relay.port}: opened on port {relay.port}"]

        host = {"relay": state, "problems": {}, "time": 0.0}
        case = Case(Target("203.0.113.10", (relay.port,)), ["203.0.113.10"], host=host)
        found = list(findings.every(case))
        assert not [finding for finding in found if "could not be judged" in finding.sentence]
        assert "Wombat" not in bundle.text(case, found)

        await client.close()
        await relay.until(lambda: relay.server.endings.count, "the end of the player")
        left, card = story.feed({"relay": state_of(relay)}, 3.0)
        assert "Wombat left after" in str(left)
        assert isinstance(card, Card)
        assert any("Wombat" in line for line in cards.lines(card.room, 200))


async def test_both_kinds_stand_beside_each_other() -> None:
    async with running() as relay, playing(relay.address, relay.port):
        await asyncio.sleep(0)
        (room,) = roomview.rooms(state_of(relay))
        assert room["host"]["address"] == relay.address
        assert "mode" not in room


async def test_who_plays_without_a_host_where_that_is_not_to_be_seen_is_shown_like_on_any_link() -> None:
    config = Config(watch=Watch(links=False))
    async with running(config) as relay:
        client = await FakeClient.join(relay.address, relay.port)
        await client.read(len(wire.header()))
        state = relay_status.of(relay.server, config)
        (room,) = roomview.rooms(state)
        (player,) = room["clients"]
        assert (player["address"], player["seen"]) == (relay.address, None)
        assert "linked" in drawn(show.players(state))
        assert join_rooms.rooms_of(state)[0].players == ("somebody",)
        story = Story()
        assert list(story.feed({"relay": state}, 1.0)) == []
        await client.close()
        await relay.until(lambda: relay.server.endings.count, "the end of the player")
        left, card = story.feed({"relay": relay_status.of(relay.server, config)}, 2.0)
        assert f"room port {relay.port}: 127.0.0.1 left after" in str(left)
        assert isinstance(card, Card)
        assert cards.lines(card.room, 200)


def test_a_relay_older_than_games_without_a_host_is_understood() -> None:
    assert roomview.rooms({"sessions": []}) == []
    entry = {"number": 1, "kind": "client", "session": "x"}
    assert roomview.ending(entry) is entry
