"""Who comes, goes and comes back: the host's places for links, the ids of rooms, passwords."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.nes.layout import Button
from tests.support.play import play_in_step
from tests.support.retroarch_settings import asking, host_through, join, with_a_menu
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from tests.e2e.conftest import StartMachine
    from tests.support.namespace import PrivateNetwork
    from tests.support.plain_relay import PlainRelay
    from tests.support.retroarch import Machine

pytestmark = [pytest.mark.retroarch, pytest.mark.timeout(40)]
# RetroArch's places for links that are not complete; one that leaks is lost until the host stops hosting.
PLACES = 8
ROOM, ROOM_PORT = "FridayNightRoom1", 55440
A_ROOM = f'[[room]]\nid = "{ROOM}"\nport = {ROOM_PORT}\n'
# The password of one character that is under the cursor when RetroArch's dialog opens.
PASSWORD = "1"  # noqa: S105 - a test's
# The dialog opens in the frame in which the host's question arrives.
DIALOG_FRAMES = 10


def wait_for_outcome(relay: PlainRelay, outcome: str, count: int) -> None:
    wait_for(lambda: relay.status()["outcomes"].get(outcome) == count, 5, f"{count} times {outcome}")


def test_eight_friends_join_and_leave_and_a_ninth_plays(
    network: PrivateNetwork, relay: PlainRelay, start: StartMachine
) -> None:
    player = start("player", host_through("127.0.0.1", relay.port), network.command)
    player.wait_until_joined()
    for number in range(1, PLACES + 1):
        visitor = start(f"visitor{number}", join("127.0.0.1", relay.port), network.command)
        assert visitor.wait_until_joined() == 2
        assert visitor.quit() == 0
        player.wait_for_log(f'"visitor{number}" has disconnected', within=5)
    assert relay.status()["outcomes"] == {"left": PLACES, "peer-left": PLACES}
    friend = start("friend", join("127.0.0.1", relay.port), network.command)
    assert friend.wait_until_joined() == 2
    play_in_step([player, friend])
    assert relay.status()["sessions"][0]["joins"] == PLACES + 1


def test_eight_friends_leave_before_their_host_answers_and_a_ninth_plays(
    network: PrivateNetwork, relay: PlainRelay, start: StartMachine
) -> None:
    player = start("player", host_through("127.0.0.1", relay.port), network.command)
    player.wait_until_joined()
    player.console.freeze()
    for number in range(1, PLACES + 1):
        visitor = start(f"visitor{number}", join("127.0.0.1", relay.port), network.command)
        wait_for(relay.clients, 5, "the visitor to wait for its host")
        visitor.stop()
        wait_for_outcome(relay, "left-waiting", number)
    # Now it asks for the address of each, one after the other, and offers a link to each.
    player.console.thaw()
    wait_for_outcome(relay, "unclaimed", PLACES)
    friend = start("friend", join("127.0.0.1", relay.port), network.command)
    assert friend.wait_until_joined() == 2
    play_in_step([player, friend])


@pytest.mark.parametrize("relay_toml", [A_ROOM], ids=["a room with a port"])
def test_a_room_with_a_port_is_the_same_after_its_host_was_gone(
    network: PrivateNetwork, relay: PlainRelay, start: StartMachine
) -> None:
    # Somebody else hosts too, so an address alone would not do: it is the port that says which room is meant.
    start("other", host_through("127.0.0.1", relay.port), network.command).wait_until_joined()
    in_the_room = host_through("127.0.0.1", ROOM_PORT)
    invitations = [join("127.0.0.1", ROOM_PORT), join("127.0.0.1", relay.port, ROOM)]
    for evening, invitation in enumerate(invitations, start=1):
        player = start(f"player{evening}", in_the_room, network.command)
        player.wait_until_joined()
        assert [session["id"] for session in relay.status()["sessions"] if session["port"] == ROOM_PORT] == [ROOM]
        friend = start(f"friend{evening}", invitation, network.command)
        friend.wait_until_joined()
        play_in_step([player, friend])
        assert (player.quit(), friend.quit()) == (0, 0)
        wait_for(lambda: len(relay.status()["sessions"]) == 1, 5, "the room to be free")


@pytest.fixture
def asked(network: PrivateNetwork, relay: PlainRelay, start: StartMachine) -> tuple[Machine, Machine]:
    """Return a host with a password and a friend before whom RetroArch's dialog is open."""
    player = start("player", asking(host_through("127.0.0.1", relay.port), PASSWORD), network.command)
    player.wait_until_joined()
    friend = start("friend", with_a_menu(join("127.0.0.1", relay.port)), network.command)
    wait_for(lambda: any((client["seen"] or {}).get("password") for client in relay.clients()), 5, "the question")
    friend.wait_for_frames(DIALOG_FRAMES)
    return player, friend


def test_a_wrong_password_is_told_at_once(relay: PlainRelay, asked: tuple[Machine, Machine]) -> None:
    player, friend = asked
    friend.tap(Button.START)  # enters no password at all
    # RetroArch says so at the moment the host's close arrives, and would otherwise wait for the host.
    friend.wait_for_log("Incorrect password", within=2)
    assert player.logged("A client tried to connect with the wrong password")
    wait_for_outcome(relay, "peer-left", 1)
    assert relay.status()["outcomes"] == {"left": 1, "peer-left": 1}


def test_the_right_password_lets_a_friend_in(asked: tuple[Machine, Machine]) -> None:
    player, friend = asked
    friend.tap(Button.A)
    friend.tap(Button.START)
    friend.wait_until_joined()
    play_in_step([player, friend])
