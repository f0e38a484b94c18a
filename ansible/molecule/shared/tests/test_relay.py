"""What a deployment leaves on a host, under whichever init."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from toolkit.testbed import services
from toolkit.testbed.hosts import PORT

if TYPE_CHECKING:
    from conftest import Relay

GATE = "/usr/bin/python3 -I /opt/netplay-relay/current/netplay-relay.pyz gate status --json"


@pytest.mark.parametrize(
    ("path", "mode", "owner", "group"),
    [
        ("/etc/netplay-relay", 0o750, "root", "netplay-relay"),
        ("/etc/netplay-relay/relay.toml", 0o640, "root", "netplay-relay"),
        ("/etc/netplay-relay/friends.toml", 0o600, "root", "root"),
        ("/etc/netplay-relay/allowlist", 0o640, "root", "netplay-relay"),
        ("/opt/netplay-relay/current/netplay-relay.pyz", 0o644, "root", "root"),
    ],
)
def test_a_file_is_its_owners_alone(relay: Relay, path: str, mode: int, owner: str, group: str) -> None:
    file = relay.over.file(path)
    assert (file.mode, file.user, file.group) == (mode, owner, group)


def test_nobody_can_log_in_as_the_relay(relay: Relay) -> None:
    account = relay.over.user("netplay-relay")
    assert (account.home, account.shell) == ("/nonexistent", "/usr/sbin/nologin")


@pytest.mark.parametrize("service", services.NAMES)
def test_a_service_runs_now_and_after_the_next_boot(relay: Relay, service: str) -> None:
    runs, starts = relay.init.questions(service)
    assert relay.over.run(runs).rc == 0
    assert relay.over.run(starts).rc == 0


def test_the_relay_listens_on_both_families(relay: Relay) -> None:
    for address in ("0.0.0.0", "::"):  # noqa: S104  # what it is to listen on
        assert relay.over.socket(f"tcp://{address}:{PORT}").is_listening


def test_the_relay_has_no_rights_and_cannot_get_any(relay: Relay) -> None:
    number = relay.says("pgrep --uid netplay-relay --oldest --full netplay-relay.pyz")
    status = dict(line.split(":\t", 1) for line in relay.says(f"cat /proc/{number.strip()}/status").splitlines())
    assert (int(status["CapEff"], 16), int(status["CapBnd"], 16), status["NoNewPrivs"]) == (0, 0, "1")


def test_the_wall_stands_in_the_packet_filter_that_was_meant(relay: Relay) -> None:
    status = json.loads(relay.says(GATE))
    assert (status["present"], status["backend"]) == (True, relay.told.get("testbed_backend", "nftables"))


def test_other_firewalls_have_the_port_open_too(relay: Relay) -> None:
    """As hosts.yml says of the scenario; where it says nothing, there is no other firewall."""
    for asked in relay.told.get("testbed_shows", []):
        said = relay.says(asked["command"])
        assert [word for word in asked["words"] if word not in said] == [], said
