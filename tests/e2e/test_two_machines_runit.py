"""Real RetroArch plays through a relay that ``deploy`` put on the stand-in for Void, where runit runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.lab_relay import LabRelay, a_lab_relay
from tests.support.play import play_in_step, play_through
from tests.support.retroarch_settings import host_through, join
from toolkit.lab.inits import VOIDLIKE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import StartMachine

# Deploying, which the first of these tests waits for, has bounds of its own.
pytestmark = [pytest.mark.retroarch, pytest.mark.lab, pytest.mark.timeout(60, func_only=True)]
UPGRADES = 3
# A connection that nobody answers is given up by RetroArch after 10 s, during which the game stands still.
REFUSED_WITHIN = 20.0


@pytest.fixture(scope="module")
def void(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabRelay]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("owner")))
        with a_lab_relay(VOIDLIKE) as relay:
            yield relay


def test_the_player_and_a_friend_play_in_step_while_the_relay_is_upgraded(void: LabRelay, start: StartMachine) -> None:
    before = void.opened()
    player = start("player", host_through(void.address, void.port), void.inside("player"))
    player.wait_until_joined()
    friend = start("friend", join(void.address, void.port, void.new_session(before)), void.inside("friend"))
    assert friend.wait_until_joined() == 2
    play_in_step([player, friend])
    pid, upgrades = void.pid(), void.log().count("upgraded in place")
    program = ("/usr/bin/python3", "-I", "/opt/netplay-relay/current/netplay-relay.pyz", "upgrade")
    play_through([player, friend], lambda: void.run(*program), UPGRADES)
    assert (void.pid(), void.log().count("upgraded in place")) == (pid, upgrades + UPGRADES)


def test_a_stranger_never_gets_a_game(void: LabRelay, start: StartMachine) -> None:
    before = void.opened()
    player = start("player", host_through(void.address, void.port), void.inside("player"))
    player.wait_until_joined()
    right = join(void.address, void.port, void.new_session(before))
    stranger = start("stranger", right, void.inside("stranger"), within=REFUSED_WITHIN)
    stranger.wait_for_log("Failed to connect to host", within=1)
    assert not stranger.logged("have joined")
    assert void.lab.node("stranger").ipv4 not in void.log()
