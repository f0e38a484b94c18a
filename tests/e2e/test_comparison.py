"""The comparison of two machines can fail: one bit, turned around on the way in one INPUT, is reported."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import bitflip
from tests.support.child import Child
from tests.support.history import compare
from tests.support.nes.layout import Button
from tests.support.play import assert_same_history, play_in_step, settle, snapshot_of
from tests.support.retroarch_settings import host_through, join

if TYPE_CHECKING:
    from tests.e2e.conftest import StartMachine
    from tests.support.namespace import PrivateNetwork
    from tests.support.plain_relay import PlainRelay

pytestmark = [pytest.mark.retroarch, pytest.mark.timeout(40)]
# About a second after the friend has joined.
SPOILED_INPUT = 60


class FaultyLine(Child):
    """The faulty line as a process in the test's network; ``port`` is where a client connects instead."""

    def __init__(self, folder: Path, network: PrivateNetwork, relay: PlainRelay, spoil: int) -> None:
        program = [sys.executable, "-I", "-S", str(Path(bitflip.__file__))]
        argv = network.command([*program, "127.0.0.1", str(relay.port), str(spoil)])
        super().__init__(argv, log=folder / "bitflip.log")
        self.port = int(self.line(within=5).removeprefix("listening "))


def test_one_flipped_bit_makes_the_histories_differ(
    network: PrivateNetwork, relay: PlainRelay, start: StartMachine, tmp_path: Path
) -> None:
    with FaultyLine(tmp_path, network, relay, SPOILED_INPUT) as line:
        player = start("player", host_through("127.0.0.1", relay.port), network.command)
        player.wait_until_joined()
        friend = start("friend", join("127.0.0.1", line.port, relay.session()), network.command)
        friend.wait_until_joined()
        assert line.line(within=10) == f"flipped {SPOILED_INPUT}"
        settle([player, friend])

        comparison = compare(player.history, friend.history)
        spoiled, told = comparison.differences[0]
        assert (spoiled.pads[1], told.pads[1]) == (Button.UP.mask, 0), (
            "the friend's pad, as the host got it and as it was"
        )
        assert [frame for frame in comparison.common if frame >= spoiled.frame] == [
            one.frame for one, _ in comparison.differences
        ], "the check value keeps the difference for ever"
        with pytest.raises(AssertionError, match="common frames differ"):
            assert_same_history(player.history, friend.history, 0, 1)
        assert snapshot_of(player).pressed(2, Button.UP) == 1
        assert snapshot_of(friend).pressed(2, Button.UP) == 0


def test_the_same_line_without_its_fault_changes_nothing(
    network: PrivateNetwork, relay: PlainRelay, start: StartMachine, tmp_path: Path
) -> None:
    with FaultyLine(tmp_path, network, relay, spoil=0) as line:
        player = start("player", host_through("127.0.0.1", relay.port), network.command)
        player.wait_until_joined()
        friend = start("friend", join("127.0.0.1", line.port, relay.session()), network.command)
        friend.wait_until_joined()
        play_in_step([player, friend])
