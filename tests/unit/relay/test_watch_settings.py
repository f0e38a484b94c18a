"""What [watch] forbids to be seen is seen nowhere outside the game itself, whoever hosts, or nobody."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from relay.config import Config, Watch
from relay.monitoring import metrics, report, status
from relay.net import sockets
from tests.support import netplay
from tests.support.every_state import CONFIG, everything
from tests.support.fakes import FakeClient, Stream, playing
from tests.support.handed_over import handed_over, leave
from tests.support.relays import Clock, Relay, running, started

NICKS = ("Wombat", "Quokka")
CORE = ("Nestopia", "1.52.0", f"{netplay.CRC:08X}")
INFO = netplay.info() * 2
SYNCED = 24 + 40 + 8 + 76 + 192 + 12
MODE = 68


@dataclass
class Told:
    """All that a relay tells of itself: the newest status as data, and everything as one text."""

    relay: Relay
    config: Config
    log: pytest.LogCaptureFixture

    def state(self) -> dict[str, object]:
        return status.of(self.relay.server, self.config)

    def text(self) -> str:
        state = status.of(self.relay.server, self.config)
        return "\n".join([json.dumps(state), report.text(state), metrics.text(state), self.log.text])


def found(text: str, *words: str) -> list[str]:
    return [word for word in words if word in text]


@contextlib.asynccontextmanager
async def hosted(watch: Watch, log: pytest.LogCaptureFixture) -> AsyncIterator[Told]:
    """Run a relay in which Wombat, who has paused the game, plays with Quokka, who hosts it."""
    config = Config(watch=watch)
    async with running(config) as relay:
        async with playing(relay.address, relay.port) as (_host, link, client):
            for to_host, said in [*netplay.handshake()[1:], (True, netplay.pause("friend"))]:
                data = said.replace(netplay.text("friend"), netplay.text(NICKS[0]))
                data = data.replace(netplay.text("player"), netplay.text(NICKS[1]))
                await (client if to_host else link).send(data)
                assert await (link if to_host else client).read(len(data)) == data
            yield Told(relay, config, log)
        await relay.until_outcome("host-left")
        told = Told(relay, config, log)
        assert found(told.text(), *NICKS) == (list(NICKS) if watch.links and watch.names else [])


async def seated(relay: Relay, nick: str) -> FakeClient:
    """Let somebody play in the core-less session; return once it has been told so."""
    client = await FakeClient.join(relay.address, relay.port)
    await client.send(netplay.nick(nick) + INFO + netplay.play())
    return client


@contextlib.asynccontextmanager
async def without_host(watch: Watch, log: pytest.LogCaptureFixture) -> AsyncIterator[Told]:
    """Run a relay in which Wombat, who has paused the game, plays with Quokka, and nobody hosts."""
    config = Config(watch=watch)
    async with running(config) as relay:
        first = await seated(relay, NICKS[0])
        await first.read(SYNCED + MODE)
        second = await seated(relay, NICKS[1])
        await second.read(SYNCED)
        await first.send(netplay.savestate(0, 60) + netplay.game_input(0, 1, 0, 0, 0))
        await first.send(netplay.pause(NICKS[0]))
        assert NICKS[1].encode() in await told_of(first), "who plays learns who comes, whatever is shown"
        (table,) = relay.server.board.tables.at.values()
        await relay.until(lambda: table.room.game.paused, "the game is paused")
        yield Told(relay, config, log)
        for client in (first, second):
            await client.close()
        await relay.until_outcome("left", 2)
        assert found(Told(relay, config, log).text(), *NICKS) == []


async def told_of(client: Stream) -> bytes:
    """Read up to the MODE of another player."""
    data = b""
    while netplay.words(0x26, 60) not in data or len(data) < data.index(netplay.words(0x26, 60)) + MODE:
        data += await client.read(1)
    return data


# With a host.


async def test_a_hosted_game_is_seen_with_nicks_unless_that_is_forbidden(caplog: pytest.LogCaptureFixture) -> None:
    async with hosted(Watch(), caplog) as told:
        assert found(told.text(), *NICKS, *CORE, "paused by Wombat") == [*NICKS, *CORE, "paused by Wombat"]
        assert told.relay.server.lan_rooms()[0].name == "Quokka"


async def test_without_names_no_nick_of_a_hosted_game_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async with hosted(Watch(names=False), caplog) as told:
        assert found(told.text(), *NICKS, *CORE, "paused by client") == [*CORE, "paused by client"]
        (room,) = told.relay.server.lan_rooms()
        assert (room.core, room.content_crc) == ("Nestopia", netplay.CRC)
        assert room.name not in NICKS


async def test_without_links_nothing_of_a_hosted_game_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async with hosted(Watch(links=False), caplog) as told:
        assert found(told.text(), *NICKS, *CORE, "paused by", "playing") == []
        assert '"seen": null' in told.text()
        (room,) = told.relay.server.lan_rooms()
        assert room.content_crc == 0


# Without one.


async def test_a_game_without_a_host_is_seen_with_nicks_unless_that_is_forbidden(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with without_host(Watch(), caplog) as told:
        assert found(told.text(), *NICKS, *CORE, "paused by Wombat") == [*NICKS, *CORE, "paused by Wombat"]


async def test_without_names_no_nick_of_a_game_without_a_host_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async with without_host(Watch(names=False), caplog) as told:
        assert found(told.text(), *NICKS, *CORE, "paused by player 1", "playing as player 2") == [
            *CORE,
            "paused by player 1",
            "playing as player 2",
        ]


async def test_without_links_nothing_of_a_game_without_a_host_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async with without_host(Watch(links=False), caplog) as told:
        text = told.text()
        assert found(text, *NICKS, *CORE, "paused by", "playing", "keeps time", "frame 1") == []
        (table,) = json.loads(json.dumps(told.state()))["tables"]
        assert [player["address"] for player in table["players"]] == ["127.0.0.1"] * 2
        assert [player["retroarch"] for player in table["players"]] == ["", ""]
        assert all(player["bytes_from_client"] > 64 for player in table["players"])
        assert f"core-less session on port {told.relay.port}" in text


@pytest.mark.parametrize("watch", [Watch(), Watch(names=False), Watch(links=False)], ids=str)
async def test_a_lan_hears_what_is_played_without_a_host_and_never_by_whom(
    watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    async with without_host(watch, caplog) as told:
        (room,) = told.relay.server.lan_rooms()
        assert (room.core, room.core_version, room.content_crc) == ("Nestopia", "1.52.0", netplay.CRC)
        assert found(str(room), *NICKS) == []


# In the next program.


@pytest.mark.parametrize(
    ("watch", "nick"), [(Watch(), "friend"), (Watch(names=False), ""), (Watch(links=False), None)], ids=str
)
async def test_what_is_forbidden_by_now_is_not_told_by_a_new_program_either(watch: Watch, nick: str | None) -> None:
    async with everything() as (before, ends):
        state = handed_over(before)
        leave(before, state)
        kept = [sockets.inherit(fd) for fd in state["listeners"]]
        relay = started(dataclasses.replace(CONFIG, watch=watch), kept, Clock(before.clock.now), state)
        try:
            port = ends.socks["friend"].getsockname()[1]
            (conn,) = [conn for conn in relay.server.board.live() if conn.port == port]
            end = relay.server.end_of(conn)
            assert end
            assert (end.watcher.seen.client.nick if end.watcher else None) == nick
        finally:
            relay.server.stop()
    relay.assert_empty()
