"""The benchmark as a person starts it: every part, quickly. Nothing here says how fast anything is."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from toolkit.bench import tools
from toolkit.bench.contenders import FIRST_PORT
from toolkit.bench.generator import GeneratorError, Load, play
from toolkit.bench.links import Link
from toolkit.bench.plan import BEFORE, FLOOR, HAPROXY, LOOPBACK, PARTS, REFERENCE, RELAY
from toolkit.console import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.lab

WITHIN = 400
# A game that is read now and then waits 16 frames of 60 a second for it.
LAZY_READ_US = 16 / 60 * 1e6


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the task, from its own module."""
    argv = [sys.executable, "-m", "invoke", "--search-root", "toolkit/tasks", "-c", "bench", "bench", *arguments]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=WITHIN, check=False)


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    """Return what a quick run of everything prints as JSON."""
    done = bench("--quick", "--json", "--floor", "--before", str(ROOT))
    assert done.returncode == 0, done.stderr
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


def test_every_part_measures_every_relay_it_is_about(result: dict[str, Any]) -> None:
    relays = {RELAY, HAPROXY, REFERENCE}
    measured = {part: {entry["contender"] for entry in result["records"] if entry["part"] == part} for part in PARTS}
    assert measured == {
        "load": relays | {LOOPBACK, FLOOR, BEFORE},
        "bulk": relays | {LOOPBACK, BEFORE},
        "ramp": relays,
        "stall": relays,
        "coreless": {RELAY},
    }


def test_every_relay_carried_messages_and_used_cpu_for_them(result: dict[str, Any]) -> None:
    for entry in result["records"]:
        if entry["part"] == "load":
            assert entry["messages"] > 0
            assert 0 < entry["p50_us"] <= entry["p99_us"]
            if entry["contender"] != LOOPBACK:
                assert entry["cpu_us"] > 0
                assert entry["setup_us"] > 0
                assert entry["rss_kb"] is not None


def test_savestates_went_over_and_a_stalled_reader_was_fed(result: dict[str, Any]) -> None:
    assert all(entry["mb_s"] > 0 for entry in result["records"] if entry["part"] == "bulk")
    stalls = [entry for entry in result["records"] if entry["part"] == "stall"]
    assert all(entry["taken_mb"] > 0 and entry["p99_us"] > 0 for entry in stalls)
    assert [entry["bound_mb"] for entry in stalls if entry["contender"] == RELAY] != [None]


def test_every_target_has_a_number_beside_it(result: dict[str, Any]) -> None:
    """All but one: on a machine that has other work nobody may reach the first step of the ramp."""
    targets = result["targets"][RELAY]
    assert len(targets) == 10
    assert {target["what"] for target in targets if not target["reached"]} <= {"sessions on a core"}


def test_two_configurations_stand_beside_each_other(tmp_path: Path) -> None:
    for name, text in (("plain", "[watch]\nlinks = false\n"), ("watching", "")):
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
    configs = [word for name in ("plain", "watching") for word in ("--config", str(tmp_path / f"{name}.toml"))]
    done = bench("--quick", "--only", "load", *configs)
    assert done.returncode == 0, done.stderr
    assert "netplay-relay plain" in done.stdout
    assert "netplay-relay watching" in done.stdout


def test_a_relay_that_does_not_start_ends_the_run_with_its_own_words(tmp_path: Path) -> None:
    config = tmp_path / "relay.toml"
    # A room whose port is the one that the relay is told to listen on first.
    config.write_text(f'[[room]]\nid = "FridayNightRoom1"\nport = {FIRST_PORT + 1}\n', encoding="utf-8")
    done = bench("--quick", "--only", "load", "--config", str(config))
    assert done.returncode == 2
    assert "netplay-relay: it ended by itself" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the compiled load generator."""
    folder = tmp_path_factory.mktemp("bench")
    tools.compile_programs(folder)
    return folder / "generator"


@pytest.fixture
def link() -> Iterator[Link]:
    """Return two players who are connected directly."""
    host, client = socket.socketpair()
    with host, client:
        yield Link(host, client)


def test_the_generator_gets_back_all_that_it_sent(program: Path, link: Link) -> None:
    played = play(program, Load([link], warm=0.1, seconds=0.5), None)
    assert played.whole
    assert played.sent > 0
    assert played.latency["p50"] <= played.latency["p99"] <= played.latency["max"]


def test_a_game_that_is_read_now_and_then_is_whole_too_and_not_measured(program: Path, link: Link) -> None:
    host, client = socket.socketpair()
    with host, client:
        played = play(program, Load([link, Link(host, client)], measured=2, warm=0.1, seconds=0.5), None)
        alone = play(program, Load([link], warm=0.1, seconds=0.5), None)
    assert played.whole
    assert played.sent == pytest.approx(2 * alone.sent, abs=4)
    assert 0 < played.latency["max"] < LAZY_READ_US


def test_the_generator_says_when_connections_break(program: Path, link: Link) -> None:
    link.client.shutdown(socket.SHUT_RDWR)
    played = play(program, Load([link], warm=0, seconds=0.2), None)
    assert played.broken == 2
    assert not played.whole


def test_the_generator_does_not_take_what_it_has_not_sent(program: Path, link: Link) -> None:
    link.host.sendall(b"\0\0\0\x42\0\0\0\x10" + bytes(16))
    with pytest.raises(GeneratorError, match="not what was sent"):
        play(program, Load([link], warm=0, seconds=0.2), None)


def test_a_stalled_reader_blocks_its_sender_alone(program: Path, link: Link) -> None:
    host, client = socket.socketpair()
    with host, client:
        played = play(program, Load([link], stalled=Link(host, client), warm=0, seconds=0.3), None)
    assert played.whole
    assert 0 < played.stall_bytes < 10_000_000
    assert played.stall_ended_s is None
