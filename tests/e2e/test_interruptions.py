"""What comes over a running game: a pause, a friend who hangs, a new relay in the place of the old one."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.play import play_in_step, play_through, read, snapshot_of
from tests.support.retroarch_settings import host_through, join, may_pause, watching
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from typing import Any

    from tests.e2e.conftest import StartMachine
    from tests.support.namespace import PrivateNetwork
    from tests.support.plain_relay import PlainRelay

pytestmark = [pytest.mark.retroarch, pytest.mark.timeout(60)]
PINGED_OFTEN = "[timeouts]\nping = 1\n"
# Longer than any of RetroArch's own limits (5 s for a player who is behind, 10 s for a host who is silent), and than a
# good many pings that stay without an answer.
PAUSE = 20.0
# As small as sockets get: with 40 bytes for each frame of two players all is full in a few seconds.
KERNEL, WAITING = 4096, 4096
SMALL = f"[buffers]\nslow_client = {WAITING}\nsocket = {KERNEL}\n"
BYTES_PER_FRAME = 40
UPGRADES = 5


@pytest.mark.parametrize("relay_toml", [PINGED_OFTEN], ids=["pinged every second"])
def test_a_pause_ends_neither_the_session_nor_the_link(
    network: PrivateNetwork, relay: PlainRelay, start: StartMachine
) -> None:
    player = start("player", may_pause(host_through("127.0.0.1", relay.port)), network.command)
    player.wait_until_joined()
    friend = start("friend", join("127.0.0.1", relay.port), network.command)
    friend.wait_until_joined()
    paused = player.pause()
    friend.wait_until_paused()
    until = relay.status()["sessions"][0]["age"] + PAUSE
    wait_for(lambda: relay.status()["sessions"][0]["age"] >= until, PAUSE + 5, f"{PAUSE:g} s to pass")
    state = relay.status()
    assert (session_of(state)[1:], state["connections"]["now"], state["outcomes"]) == ((1, 1), 3, {})
    (client,) = relay.clients()
    assert client["seen"]["paused_by"] == "player"
    assert snapshot_of(player) == paused

    player.resume()
    player.wait_for_ram(lambda snapshot: snapshot.frame > paused.frame, 5, "the game to go on")
    wait_for(lambda: not relay.clients()[0]["seen"]["paused"], 5, "the host's word that it goes on")
    assert relay.clients()[0]["bytes_from_host"] > client["bytes_from_host"]
    # RetroArch 1.14 itself never lets a client go on after a pause, not without a relay either. So the friend leaves
    # by the link that has outlived the pause, and joins again the session that has.
    friend.quit()
    player.wait_for_log('"friend" has disconnected', within=5)
    again = start("again", join("127.0.0.1", relay.port, relay.session()), network.command)
    again.wait_until_joined()
    play_in_step([player, again])


@pytest.mark.parametrize("relay_toml", [SMALL], ids=["with small buffers"])
def test_a_friend_who_hangs_is_dropped_alone_and_slows_nobody(
    network: PrivateNetwork, relay: PlainRelay, start: StartMachine
) -> None:
    network.receive_buffers(KERNEL)
    player = start("player", host_through("127.0.0.1", relay.port), network.command)
    player.wait_until_joined()
    friend = start("friend", join("127.0.0.1", relay.port), network.command)
    friend.wait_until_joined()
    watcher = start("watcher", watching(join("127.0.0.1", relay.port)), network.command)
    wait_for(lambda: watches(relay), 5, "the watcher to watch")
    watcher.console.freeze()
    frozen, waiting = snapshot_of(player), []

    def dropped() -> dict[str, int]:
        read([player, friend])
        waiting.append(sum(client["waiting_bytes"] for client in relay.clients()))
        return dict(relay.status()["outcomes"])

    wait_for(dropped, 40, "the watcher to be dropped")
    # When its sockets are full, it would be the host who waits, if the relay did not.
    # The read that comes to the bound is kept whole; then the link is not read. The kernel has so much for one read.
    assert 0 < max(waiting) <= WAITING + KERNEL
    assert snapshot_of(player).frame - frozen.frame >= WAITING // BYTES_PER_FRAME
    player.wait_for_log('"watcher" has disconnected', within=5)
    assert [client["seen"]["client"]["nick"] for client in relay.clients()] == ["friend"]
    assert relay.status()["outcomes"] == {"overrun": 1, "peer-left": 1}
    play_in_step([player, friend])

    watcher.console.thaw()
    watcher.wait_for_log("Netplay disconnected", within=5)


def watches(relay: PlainRelay) -> bool:
    return "watching" in [client["seen"]["role"] for client in relay.clients() if client["seen"]]


def test_a_game_goes_on_through_upgrades_of_the_relay(
    network: PrivateNetwork, relay: PlainRelay, start: StartMachine
) -> None:
    player = start("player", host_through("127.0.0.1", relay.port), network.command)
    player.wait_until_joined()
    friend = start("friend", join("127.0.0.1", relay.port), network.command)
    friend.wait_until_joined()
    before = relay.status()

    def upgrade() -> None:
        assert relay.run("upgrade").endswith(": 1 sessions, 1 links\n")

    def hang_up() -> None:
        os.kill(relay.pid, signal.SIGHUP)
        wait_for(lambda: upgrades(relay) == UPGRADES + 1, 10, "the upgrade to be over")

    play_through([player, friend], upgrade, UPGRADES)
    assert upgrades(relay) == UPGRADES
    play_through([player, friend], hang_up, 1)

    after = relay.status()
    assert after["pid"] == before["pid"] == relay.pid
    assert after["outcomes"] == {}
    assert session_of(after) == session_of(before)
    seen = after["sessions"][0]["clients"][0]["seen"]
    assert (seen["client"]["nick"], seen["role"], seen["stopped"]) == ("friend", "playing", False)


def upgrades(relay: PlainRelay) -> int:
    return relay.log.read_text().count("upgraded in place")


def session_of(state: dict[str, Any]) -> tuple[str, int, int]:
    """Return the id of the only session, how many joined, and how many are in it."""
    (session,) = state["sessions"]
    return session["id"], session["joins"], len(session["clients"])
