"""The way to each player, as the relay shows it: what was lost counts for the way on which it was lost, no other."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from relay.config import Config
from relay.monitoring import status
from tests.support import netplay
from tests.support.deaf import deaf
from tests.support.fakes import FakeClient, Stream, playing
from tests.support.relays import Relay, running

WAYS = ("to_client", "to_host")


def kernel_socket(stream: Stream) -> socket.socket:
    sock: socket.socket = stream.writer.get_extra_info("socket")
    return sock


def lost(player: dict[str, Any]) -> list[str]:
    """Return the ways to a player, or between a player and its host, on which anything had to be sent again."""
    return [way for way in WAYS if player.get(way) and player[way]["retransmits"]]


@pytest.mark.parametrize("bad", WAYS)
async def test_what_is_sent_again_is_counted_on_the_way_on_which_it_was_lost(bad: str) -> None:
    def of_the_game(relay: Relay) -> list[str]:
        (session,) = status.of(relay.server, Config())["sessions"]
        (player,) = session["clients"]
        return lost(player)

    async with running() as relay, playing(relay.address, relay.port) as (_host, link, client):
        deaf_one, other = (client, link) if bad == "to_client" else (link, client)
        with deaf(kernel_socket(deaf_one)):
            await other.send(b"lost at first")
            await relay.until(lambda: of_the_game(relay), "it is sent again")
        assert of_the_game(relay) == [bad]
        assert await deaf_one.read(13) == b"lost at first"
        await other.close()
        await relay.until(lambda: relay.server.endings.count, "the end of the game is known")
        (ended,) = relay.server.endings.since(0)
        assert lost(ended) == [bad], "and is known when it is over"


async def test_in_a_room_without_a_host_it_is_counted_for_the_one_to_whom_it_was_lost() -> None:
    def of_the_room(relay: Relay) -> dict[int, list[str]]:
        (table,) = status.of(relay.server, Config())["tables"]
        return {player["port"]: lost(player) for player in table["players"]}

    async with running() as relay:
        one, other = [await FakeClient.join(relay.address, relay.port) for _ in range(2)]
        for stream in (one, other):
            assert await stream.read(24)
        with deaf(kernel_socket(other)):
            await other.send(netplay.nick("anna"))
            await relay.until(lambda: any(of_the_room(relay).values()), "the answer is sent again")
        expected = {one.source[1]: [], other.source[1]: ["to_client"]}
        assert of_the_room(relay) == expected
        for stream in (one, other):
            await stream.close()
        await relay.until(lambda: relay.server.endings.count == 3, "the end of the game is known")
        ended = [entry for entry in relay.server.endings.since(0) if entry["kind"] == "player"]
        assert {player["port"]: lost(player) for player in ended} == expected
