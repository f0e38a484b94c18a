"""The limits of the services follow from the settings, and lie above what the relay keeps to by itself."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from relay import bounds
from relay.config import Config
from relay.limits import Buffers, Limits
from relay.net import server

ROOT = Path(__file__).parents[3]
MIB = 1024 * 1024
SETTINGS = [
    Config(),
    Config(limits=dataclasses.replace(Limits(), connections=200)),
    Config(limits=dataclasses.replace(Limits(), connections=5000), buffers=Buffers(memory=512 * MIB)),
    Config(buffers=Buffers(memory=16 * MIB, socket=65536)),
]


@pytest.mark.parametrize("config", SETTINGS)
def test_a_relay_at_all_its_own_bounds_is_below_those_of_its_service(config: Config) -> None:
    waiting = config.limits.connections * config.buffers.waiting_client
    own = bounds.PROGRAM // 2 + config.buffers.memory + waiting
    assert own < bounds.memory_high(config) < bounds.memory_max(config)
    assert bounds.private(config) > bounds.PROGRAM // 2 + waiting
    most = config.limits.connections + server.FAREWELLS + server.FAREWELLS_TO_STRANGERS
    assert bounds.open_files(config) > most + 64


def test_by_default_friends_can_make_it_hold_no_more_than_160_mb() -> None:
    assert bounds.held(Config()) <= 160_000_000


def test_the_roles_defaults_are_those_of_the_default_settings() -> None:
    given = pytest.importorskip("yaml").safe_load((ROOT / "ansible/roles/relay/defaults/main.yml").read_text())
    config = Config()
    assert given["relay_open_files"] == bounds.open_files(config)
    assert given["relay_memory_high"] == bounds.memory_high(config)
    assert given["relay_memory_max"] == bounds.memory_max(config)
    assert given["relay_private_kib"] == bounds.private(config) // 1024


@pytest.mark.parametrize(
    ("file", "pattern", "number"),
    [
        ("netplay-relay.service", r"^LimitNOFILE=(\d+)$", bounds.open_files(Config())),
        ("netplay-relay.service", r"^MemoryHigh=(\d+)$", bounds.memory_high(Config())),
        ("netplay-relay.service", r"^MemoryMax=(\d+)$", bounds.memory_max(Config())),
        ("openrc/netplay-relay", r'^rc_ulimit="-n (\d+) -d \d+"$', bounds.open_files(Config())),
        ("openrc/netplay-relay", r'^rc_ulimit="-n \d+ -d (\d+)"$', bounds.private(Config()) // 1024),
        ("openrc/netplay-relay", r"^memory.high (\d+)$", bounds.memory_high(Config())),
        ("openrc/netplay-relay", r"^memory.max (\d+)$", bounds.memory_max(Config())),
        (
            "xbps/netplay-relay/files/netplay-relay/run",
            r'^ulimit -d "..MEMORY:-(\d+)."',
            bounds.private(Config()) // 1024,
        ),
    ],
)
def test_a_service_as_it_is_shipped_has_the_limits_of_the_default_settings(
    file: str, pattern: str, number: int
) -> None:
    text = (ROOT / "tests/golden/expected" / file).read_text()
    found = re.search(pattern, text, re.MULTILINE)
    assert found, text
    assert int(found[1]) == number
