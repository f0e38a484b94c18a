"""What the relay says of a real game: who plays what with whom, and no name where names are not wanted."""

from __future__ import annotations

import json
import re
import subprocess
import time
import zlib
from typing import TYPE_CHECKING

import pytest

from relay.monitoring import follow
from tests.support import rom
from tests.support.retroarch_settings import host_through, join, may_pause
from tests.support.waiting import wait_for
from toolkit.watch import cards
from toolkit.watch.story import Card, Story

if TYPE_CHECKING:
    from typing import Any

    from tests.e2e.conftest import StartMachine
    from tests.support.namespace import PrivateNetwork
    from tests.support.plain_relay import PlainRelay
    from tests.support.retroarch import Machine

pytestmark = [pytest.mark.retroarch, pytest.mark.timeout(40)]
PINGED_OFTEN = "[timeouts]\nping = 0.5\n"
NO_NAMES = f"{PINGED_OFTEN}[watch]\nnames = false\n"
# Words that nothing else in the relay's answers has.
HOST, FRIEND = "Quetzal", "Wombat"


def retroarch_version() -> str:
    said = subprocess.run(["retroarch", "--version"], check=False, capture_output=True, text=True, timeout=10)
    version = re.search(r"\bv?(\d+\.\d+\.\d+)", said.stdout + said.stderr)
    assert version, said
    return version[1]


@pytest.fixture
def player(network: PrivateNetwork, relay: PlainRelay, start: StartMachine) -> Machine:
    """Return the host of a game that a friend has joined."""
    player = start(HOST, may_pause(host_through("127.0.0.1", relay.port)), network.command)
    player.wait_until_joined()
    start(FRIEND, join("127.0.0.1", relay.port), network.command).wait_until_joined()
    return player


def seen(relay: PlainRelay) -> dict[str, Any]:
    (client,) = relay.clients()
    return dict(client["seen"])


def pause(relay: PlainRelay, player: Machine) -> str:
    """Pause the game and return by whom the relay takes it to be paused."""
    player.pause()
    wait_for(lambda: seen(relay)["paused"], 5, "the relay to see the pause")
    return str(seen(relay)["paused_by"])


@pytest.mark.parametrize("relay_toml", [PINGED_OFTEN], ids=["pinged often"])
def test_status_tells_who_plays_what_with_whom(relay: PlainRelay, player: Machine) -> None:
    now = seen(relay)
    for end, nick in (("host", HOST), ("client", FRIEND)):
        said = now[end]
        assert (said["nick"], said["core"]) == (nick, "Nestopia")
        assert retroarch_version() in said["retroarch"].split(" or ")
        assert said["content_crc"] == f"{zlib.crc32(rom.image()):08X}"
    assert (now["role"], now["player"], now["password"]) == ("playing", 2, False)
    assert (now["desyncs"], now["stopped"], now["paused"]) == (0, False, False)
    wait_for(lambda: seen(relay)["frame"] > now["frame"], 5, "the game to go on in the relay's eyes")

    wait_for(lambda: relay.status()["sessions"][0]["host"]["rtt"], 5, "the host to answer a ping")
    (client,) = relay.clients()
    assert client["to_client"]["rtt"] > 0
    assert client["to_host"]["rtt"] > 0
    assert f"{FRIEND} playing as player 2, with {HOST}, Nestopia" in relay.run("status")

    assert pause(relay, player) == HOST
    assert f"paused by {HOST}" in relay.run("status")
    player.resume()
    wait_for(lambda: not seen(relay)["paused"], 5, "the relay to see the end of the pause")


@pytest.mark.parametrize("relay_toml", [PINGED_OFTEN], ids=["pinged often"])
def test_watch_tells_a_real_game_from_its_beginning_to_its_report(
    network: PrivateNetwork, relay: PlainRelay, start: StartMachine
) -> None:
    story, told, reports = Story(), [], []
    lines = follow.lines(relay.control, 0.2)

    def tells(words: str) -> bool:
        """Take the next line of the relay; whether these words have been told by now."""
        for what in story.feed(next(lines), time.monotonic()):
            if isinstance(what, Card):
                reports.append(" ".join(cards.lines(what.room, 200)))
            else:
                told.append(what)
        return any(words in one for one in [*told, *reports])

    tells("the first line")
    player = start(HOST, may_pause(host_through("127.0.0.1", relay.port)), network.command)
    player.wait_until_joined()
    wait_for(lambda: tells("opened by 127.0.0.1"), 10, "the room to be told")
    friend = start(FRIEND, join("127.0.0.1", relay.port), network.command)
    friend.wait_until_joined()
    wait_for(lambda: tells(f"{FRIEND} plays as player 2, Nestopia"), 10, "the friend to be told")
    player.pause()
    wait_for(lambda: tells(f"paused by {HOST}"), 10, "the pause to be told")
    player.resume()
    wait_for(lambda: tells("goes on"), 10, "the end of the pause to be told")
    player.stop()
    wait_for(lambda: tells("is over"), 15, "the report")
    assert f"hosted by {HOST}" in reports[0]
    assert f"{FRIEND}: " in reports[0]
    assert "1 pause" in reports[0]


@pytest.mark.parametrize("relay_toml", [NO_NAMES], ids=["without names"])
def test_no_nick_appears_where_names_are_not_wanted(relay: PlainRelay, player: Machine) -> None:
    assert seen(relay)["role"] == "playing"
    assert pause(relay, player) == "host"
    told = json.dumps(relay.status()) + relay.run("status") + relay.log.read_text()
    assert "Nestopia" in told
    assert HOST not in told
    assert FRIEND not in told
