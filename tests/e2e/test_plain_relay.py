"""Stock RetroArch plays through ``python3 -m relay serve``, with no package installed, on one machine's loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.play import play_in_step
from tests.support.retroarch_settings import host_through, join

if TYPE_CHECKING:
    from tests.e2e.conftest import StartMachine
    from tests.support.namespace import PrivateNetwork
    from tests.support.plain_relay import PlainRelay

pytestmark = [pytest.mark.retroarch, pytest.mark.timeout(40)]


@pytest.mark.parametrize("by_session", [True, False], ids=["with the session id", "with the address alone"])
def test_two_machines_play_in_step(
    network: PrivateNetwork, relay: PlainRelay, start: StartMachine, by_session: bool
) -> None:
    player = start("player", host_through("127.0.0.1", relay.port), network.command)
    player.wait_until_joined()
    session = relay.session() if by_session else ""
    friend = start("friend", join("127.0.0.1", relay.port, session), network.command)
    assert friend.wait_until_joined() == 2
    play_in_step([player, friend])


def test_a_friend_leaves_and_joins_again(network: PrivateNetwork, relay: PlainRelay, start: StartMachine) -> None:
    player = start("player", host_through("127.0.0.1", relay.port), network.command)
    player.wait_until_joined()
    visitor = start("visitor", join("127.0.0.1", relay.port, relay.session()), network.command)
    visitor.wait_until_joined()
    assert visitor.quit() == 0
    player.wait_for_log(r'"visitor" has disconnected', within=5)
    friend = start("friend", join("127.0.0.1", relay.port, relay.session()), network.command)
    friend.wait_until_joined()
    play_in_step([player, friend])


def test_an_unknown_session_is_refused_at_once(network: PrivateNetwork, relay: PlainRelay, start: StartMachine) -> None:
    player = start("player", host_through("127.0.0.1", relay.port), network.command)
    player.wait_until_joined()
    guesser = start("guesser", join("127.0.0.1", relay.port, "GuessedSession16"), network.command)
    guesser.wait_for_log("Failed to connect to host", within=5)
    assert not player.logged("Got connection from|Queued tunnel link connection")
