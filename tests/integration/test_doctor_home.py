"""invoke doctor --relay, typed by a player: what stands between a network and the relay, each trouble made for real.

The networks are namespaces with real NAT and a way that is really slow; the router's UPnP alone is a stand-in
(tests/support/fake_igd.py).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.support import home
from tests.support.home import OUTSIDE, RELAY
from toolkit.errors import TROUBLE_FOUND, WARNINGS_FOUND

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.lab, pytest.mark.timeout(150)]

# As relays were before they kept to small segments.
KERNELS_OWN = "[listen]\nmax_segment = 0\n"
INSIDE, GATEWAY = "192.168.77.2", "192.168.77.1"


@pytest.fixture(scope="module")
def at_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[home.Home]:
    with home.a_home(tmp_path_factory.mktemp("home"), INSIDE, GATEWAY) as made:
        yield made


def test_a_home_behind_one_router_is_fine_and_the_relay_tells_its_address(at_home: home.Home) -> None:
    with home.a_router_that_tells(at_home.router, GATEWAY, OUTSIDE, at_home.folder):
        code, found = at_home.doctor()
    assert code == 0, found
    assert "behind one router" in found["nat"][0]["sentence"]
    assert f"here {INSIDE}, router outside {OUTSIDE}, seen by the relay as {OUTSIDE}" in found["nat"][0]["evidence"]
    assert "it is a netplay relay and lets this machine in" in found["protocol"][0]["sentence"]
    assert "input is there within a frame" in found["latency"][0]["sentence"]


@pytest.mark.parametrize("external", ["192.168.1.5", "10.9.8.7", "203.0.113.99"])
def test_a_router_behind_a_router_is_told_by_the_address_it_has_outside(at_home: home.Home, external: str) -> None:
    with home.a_router_that_tells(at_home.router, GATEWAY, external, at_home.folder):
        code, found = at_home.doctor()
    assert code == WARNINGS_FOUND
    assert "double NAT" in found["nat"][0]["sentence"]
    assert f"router outside {external}, seen by the relay as {OUTSIDE}" in found["nat"][0]["evidence"]
    assert "bridge" in found["nat"][0]["cure"]


def test_a_router_with_a_carriers_address_is_told(at_home: home.Home) -> None:
    with home.a_router_that_tells(at_home.router, GATEWAY, "100.71.2.3", at_home.folder):
        code, found = at_home.doctor()
    assert code == WARNINGS_FOUND
    assert "carrier's NAT" in found["nat"][0]["sentence"]
    assert "password" in found["nat"][0]["cure"]


def test_a_machine_with_a_carriers_address_is_told(tmp_path: Path) -> None:
    with home.a_home(tmp_path, "100.64.7.2", "100.64.7.1") as made:
        code, found = made.doctor()
    assert code == WARNINGS_FOUND
    assert "carrier's NAT" in found["nat"][0]["sentence"]


def test_a_relay_that_is_not_there_is_told_from_one_that_lets_nobody_in(at_home: home.Home) -> None:
    code, found = at_home.doctor(f"{RELAY}|7")
    assert code == TROUBLE_FOUND
    assert "nothing listens" in found["reach"][0]["evidence"]
    code, found = at_home.doctor("203.0.113.77|55435")
    assert code == TROUBLE_FOUND
    assert "no connection" in found["reach"][0]["sentence"]


def test_an_address_in_dns_that_leads_nowhere_is_told_from_a_machine_without_ipv6(tmp_path: Path) -> None:
    with home.a_home(tmp_path) as made:
        made.knows("relay.test", RELAY, "2001:db8::10")
        code, found = made.doctor("relay.test|55435")
        assert (code, found["ipv6"][0]["severity"]) == (0, "note")
        assert "this machine has no IPv6 address" in found["ipv6"][0]["sentence"]
        made.has_ipv6()
        code, found = made.doctor("relay.test|55435")
    assert code == WARNINGS_FOUND
    assert "IPv6 address that leads nowhere" in found["ipv6"][0]["sentence"]
    assert "AAAA" in found["ipv6"][0]["cure"]
    assert found["protocol"][0]["severity"] == "fine"


def test_a_machine_without_a_way_out_is_told_so(at_home: home.Home) -> None:
    code, found = at_home.doctor("fd00:1::7|55435")
    assert code == TROUBLE_FOUND
    assert "no way out by that family" in found["reach"][0]["evidence"]
    assert "no IPv4 address" in found["name"][0]["sentence"]
    assert "Is this machine online?" in found["reach"][0]["cure"]


def test_something_else_at_the_port_is_no_relay(at_home: home.Home) -> None:
    from tests.support.child import Child

    server = [sys.executable, "-u", "-m", "http.server", "--bind", RELAY, "7777"]
    with Child(at_home.outside.command(server), log=at_home.folder / "http.log", cwd=at_home.folder) as web:
        assert "Serving" in web.line(within=20)
        code, found = at_home.doctor(f"{RELAY}|7777")
        web.stop(terminate=True)
    assert code == TROUBLE_FOUND
    assert "is not a netplay relay" in found["protocol"][0]["sentence"]


def test_a_relay_far_away_means_frames_and_an_uneven_way_stutter(tmp_path: Path) -> None:
    with home.a_slow_way(tmp_path, delay=70, jitter=25) as made:
        code, found = made.doctor()
    assert code == WARNINGS_FOUND
    far, uneven, *_ = found["latency"]
    assert "fast games suffer" in far["sentence"]
    assert "netplay_input_latency_frames_min" in far["sentence"]
    assert "the game will stutter" in uneven["sentence"]
    assert "cable" in uneven["cure"]


def test_packets_that_are_lost_are_counted(tmp_path: Path) -> None:
    with home.a_slow_way(tmp_path, delay=20, lose=5) as made:
        code, found = made.doctor()
    assert code == WARNINGS_FOUND
    assert any("packets are lost" in finding["sentence"] for finding in found["latency"])


@pytest.mark.parametrize("largest", [1300, 1280])
def test_a_path_with_a_small_mtu_that_does_not_say_so_carries_all_the_same(tmp_path: Path, largest: int) -> None:
    with home.a_slow_way(tmp_path, delay=10, largest=largest) as made:
        code, found = made.doctor()
    assert code == 0, found
    assert "16 KiB go to the relay and come back" in found["mtu"][0]["sentence"]


@pytest.mark.parametrize(
    ("largest", "settings", "segment"), [(1300, KERNELS_OWN, 1220), (1100, "", 1000), (600, "", 536)]
)
def test_what_is_lost_on_a_small_path_is_named(tmp_path: Path, largest: int, settings: str, segment: int) -> None:
    with home.a_slow_way(tmp_path, delay=10, largest=largest, toml=settings) as made:
        code, found = made.doctor()
    assert code == TROUBLE_FOUND
    (small,) = found["mtu"]
    assert f"packets larger than about {segment + 52} bytes are lost" in small["sentence"]
    assert "from this machine to the relay" in small["sentence"]
    assert "a hop with a small MTU" in small["evidence"]
    assert f"max_segment = {segment} under [listen]" in small["cure"]
