"""Lines between real RetroArch machines and the relay that die without a word: every packet is lost."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.child import Child
from tests.support.lines import Lines
from tests.support.plain_relay import CHECKOUT, PlainRelay
from tests.support.play import play_in_step, snapshot_of
from tests.support.retroarch_settings import host_through, join
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from tests.e2e.conftest import StartMachine
    from tests.support.namespace import PrivateNetwork
    from tests.support.retroarch import Machine

pytestmark = [pytest.mark.retroarch, pytest.mark.timeout(120)]
FIRST, SECOND, FRIEND = "127.0.0.2", "127.0.0.3", "127.0.0.4"


@pytest.fixture
def lines(network: PrivateNetwork) -> Lines:
    """Give the network lines that can be cut."""
    return Lines(network)


@pytest.fixture
def relay(tmp_path: Path, network: PrivateNetwork, lines: Lines) -> Iterator[PlainRelay]:
    """Run the relay on all of them."""
    with PlainRelay(tmp_path, network.command, bind="0.0.0.0") as running:  # noqa: S104 - of a namespace
        yield running


def hosting(relay: PlainRelay) -> dict[str, Any]:
    """Return the sessions by the address of their host."""
    return {session["host"]["address"]: session for session in relay.status()["sessions"]}


def playing(start: StartMachine, network: PrivateNetwork, relay: PlainRelay, name: str, line: str) -> Machine:
    """Start a friend that knows the address alone, and wait until it plays."""
    machine = start(name, join(line, relay.port), network.command)
    machine.wait_until_joined()
    return machine


def a_host(start: StartMachine, network: PrivateNetwork, relay: PlainRelay, name: str, line: str) -> Machine:
    """Start a host and wait until it has its session."""
    machine = start(name, host_through(line, relay.port), network.command)
    machine.wait_until_joined()
    return machine


def test_a_friend_gets_the_host_who_lives_and_who_was_thrown_out_gets_in_again(
    network: PrivateNetwork, lines: Lines, relay: PlainRelay, start: StartMachine
) -> None:
    a_host(start, network, relay, "anna", FIRST)
    thrown_out = playing(start, network, relay, "ben", FRIEND)
    lines.cut(FIRST)
    # From another address, as after the router has dialled in anew.
    again = a_host(start, network, relay, "anna again", SECOND)
    friend = playing(start, network, relay, "cleo", FRIEND)
    play_in_step([again, friend])
    thrown_out.wait_for_log("Netplay disconnected", within=20)
    thrown_out.stop()
    friend.stop()
    wait_for(lambda: not relay.clients(), 10, "both to be gone")
    once_more = playing(start, network, relay, "ben again", FRIEND)
    play_in_step([again, once_more])


def test_a_silent_host_is_shown_so_and_a_friend_then_plays_without_one(
    network: PrivateNetwork, lines: Lines, relay: PlainRelay, start: StartMachine
) -> None:
    a_host(start, network, relay, "anna", FIRST)
    assert hosting(relay)[FIRST]["host"]["silence"] is None
    lines.cut(FIRST)
    wait_for(lambda: hosting(relay)[FIRST]["host"]["silence"], 15, "the host to be shown as silent")
    playing(start, network, relay, "ben", FRIEND)
    state = relay.status()
    assert state["session_outcomes"] == {"host-dead": 1}
    assert [player["nick"] for player in state["tables"][0]["players"]] == ["ben"]


def test_a_host_that_stands_still_is_neither_silent_nor_ended(
    network: PrivateNetwork, lines: Lines, relay: PlainRelay, start: StartMachine
) -> None:
    stopped = a_host(start, network, relay, "anna", FIRST)
    stopped.console.freeze()
    asked = start("ben", join(FRIEND, relay.port), network.command, 20)
    asked.wait_for_log("Netplay host full", within=15)
    assert hosting(relay)[FIRST]["host"]["silence"] is None
    assert relay.status()["outcomes"] == {"not-linked": 1}
    stopped.console.thaw()
    friend = playing(start, network, relay, "cleo", FRIEND)
    play_in_step([stopped, friend])


def test_a_player_who_vanished_keeps_nobody_with_another_core_out(
    network: PrivateNetwork, lines: Lines, relay: PlainRelay, start: StartMachine, tmp_path: Path
) -> None:
    argv = [sys.executable, "-m", "tests.support.lone_player", FIRST, str(relay.port), "Snes9x"]
    with Child(network.command(argv), log=tmp_path / "lone.log", cwd=CHECKOUT) as lone:
        assert lone.line(within=10) == "plays"
        lines.cut(FIRST)
        newcomer = playing(start, network, relay, "ben", FRIEND)
        state = relay.status()
        assert [(one["nick"], state["tables"][0]["core"]) for one in state["tables"][0]["players"]] == [
            ("ben", "Nestopia")
        ]
        assert state["outcomes"] == {"vanished": 1}
        snapshot_of(newcomer)


def test_who_was_alone_is_sent_off_when_somebody_hosts_and_plays_with_the_host_then(
    network: PrivateNetwork, relay: PlainRelay, start: StartMachine
) -> None:
    early = playing(start, network, relay, "ben", FRIEND)
    host = a_host(start, network, relay, "anna", FIRST)
    early.wait_for_log("Netplay disconnected", within=10)
    assert "somebody hosts at this port now" in relay.log.read_text()
    assert relay.status()["outcomes"] == {"host-came": 1}
    early.stop()
    friend = playing(start, network, relay, "ben again", FRIEND)
    play_in_step([host, friend])


def test_a_player_whose_process_is_stopped_is_dropped_and_the_others_play_on(
    network: PrivateNetwork, relay: PlainRelay, start: StartMachine
) -> None:
    first = playing(start, network, relay, "anna", FIRST)
    second = playing(start, network, relay, "ben", SECOND)
    stuttering = playing(start, network, relay, "cleo", FRIEND)
    pid = stuttering.console.pid
    end = time.monotonic() + 40
    while not relay.status()["outcomes"] and time.monotonic() < end:
        os.kill(pid, signal.SIGSTOP)
        time.sleep(1.0)
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.004)
    os.kill(pid, signal.SIGCONT)
    assert relay.status()["outcomes"] == {"frozen": 1}
    play_in_step([first, second])
