"""A relay on hosts that have a firewall already, Debian's own packages: opened there, kept out here, undone."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.gate_lab import SOON, GateLab, a_fleet
from tests.support.waiting import wait_for
from toolkit.friends import commands
from toolkit.friends.edit import FriendChange

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

IN, OUT = [True, True], [False, False]
INSTALL = "DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes --no-install-recommends install"
PURGE = "DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes purge"
# Two keep shut what nobody has opened, and let the owner in by ssh; the last one has no nft, and an ufw at rest.
HOSTS = {
    "ufw": f"{INSTALL} ufw; ufw allow 22/tcp; ufw --force enable",
    "firewalld": f"{INSTALL} firewalld; firewall-cmd --state",
    "iptables": f"{PURGE} nftables; {INSTALL} ufw; ufw allow 22/tcp",
}
TOLD = {
    "ufw": "note: ufw kept port 55435 shut; it is open there now.",
    "firewalld": "note: firewalld kept port 55435 shut; it is open there now.",
}
OPENED = {
    "ufw": (["ufw", "status"], "55435 (v6)                 ALLOW       Anywhere (v6)              # netplay-relay"),
    "firewalld": (["firewall-cmd", "--permanent", "--policy=netplay-relay", "--list-ports"], "55435/tcp 55435/udp"),
}
EVENTS = {
    "ufw": ["ufw reload", "systemctl restart ufw", "ufw disable; ufw --force enable", "nft flush ruleset; ufw reload"],
    "firewalld": ["firewall-cmd --reload", "systemctl restart firewalld", "firewall-cmd --complete-reload"],
}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, GateLab]]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("owner")))
        with a_fleet(tmp_path_factory.mktemp("fleet"), HOSTS) as made:
            yield made


def shows(relay: GateLab) -> str:
    """Return what a firewall says it has opened."""
    return relay.host.run(*OPENED[relay.host.node][0])


def who(relay: GateLab) -> tuple[list[bool], list[bool]]:
    """Return whether a friend plays, and whether a stranger so much as connects."""
    return relay.plays("friend"), relay.connects("stranger")


@pytest.mark.parametrize("name", TOLD)
def test_a_firewall_that_kept_the_port_shut_is_named_and_open_for_friends_alone(
    fleet: dict[str, GateLab], name: str
) -> None:
    assert TOLD[name] in fleet[name].said
    assert OPENED[name][1] in shows(fleet[name])
    assert who(fleet[name]) == (IN, OUT)


@pytest.mark.parametrize(("name", "event"), [(name, event) for name, events in EVENTS.items() for event in events])
def test_a_firewall_that_is_loaded_again_changes_nothing_about_who_gets_in(
    fleet: dict[str, GateLab], name: str, event: str
) -> None:
    fleet[name].host.run("sh", "-ec", event)
    wait_for(lambda: who(fleet[name]) == (IN, OUT), SOON, f"things to be as they were before {event}")


@pytest.mark.parametrize("name", HOSTS)
def test_a_host_that_was_restarted_lets_in_friends_and_nobody_else(fleet: dict[str, GateLab], name: str) -> None:
    relay = fleet[name]
    relay.lab.reboot(name)
    wait_for(lambda: relay.host.property("netplay-relay.service", "ActiveState") == "active", SOON, "the relay")
    assert who(relay) == (IN, OUT)
    assert "ordering cycle" not in relay.host.run("journalctl", "--boot", "--no-pager")


@pytest.mark.parametrize("name", HOSTS)
def test_the_services_own_hardening_stands_in_its_way_nowhere(fleet: dict[str, GateLab], name: str) -> None:
    # What the service's own processes said since the host was started, and nothing that systemd says of them.
    asked = ("journalctl", "--boot", "_SYSTEMD_UNIT=netplay-relay-firewall.service", "--no-pager", "--output=cat")
    said = fleet[name].host.run(*asked).splitlines()
    assert "INFO the gate's agent is at work" in said, "this is not its log"
    assert [line for line in said if not line.startswith("INFO ") and "as they should be again" not in line] == []


def test_a_firewall_that_is_switched_on_later_is_opened_by_the_next_push(fleet: dict[str, GateLab]) -> None:
    relay = fleet["iptables"]
    relay.host.run("ufw", "--force", "enable")
    try:
        pushed = relay.invokes("friends.push")
        assert "note: ufw kept port 55435 shut; it is open there now." in pushed.stdout
        assert relay.plays("friend") == IN
    finally:
        swept = "for i in iptables ip6tables; do $i -F; $i -X; done"
        relay.host.run("sh", "-ec", f"ufw disable; {swept}")
    wait_for(lambda: who(relay) == (IN, OUT), SOON, "the wall")


def test_without_nft_a_friend_is_added_and_a_game_outlives_its_entry(fleet: dict[str, GateLab]) -> None:
    relay = fleet["iptables"]
    assert relay.status()["backend"] == "iptables"
    end = int(time.time()) + 10
    commands.add(relay.place, FriendChange("guest", relay.addresses("stranger"), until=end))
    with relay.a_game("stranger") as game:
        wait_for(lambda: relay.connects("stranger") == OUT, SOON, "the end of the entry")
        assert time.time() >= end
        assert game.goes_on()


@pytest.mark.parametrize("name", HOSTS)
def test_a_removal_leaves_the_firewall_as_it_was(fleet: dict[str, GateLab], name: str) -> None:
    relay = fleet[name]
    removed = relay.invokes("remove")
    assert removed.returncode == 0, removed.stdout + removed.stderr
    assert relay.host.snapshot() == relay.before
    if name == "iptables":
        # It has no program that shows a table with nothing in it.
        seen = relay.lab.command(name, ["nft", "list", "ruleset"])
        assert subprocess.run(seen, capture_output=True, text=True, check=True).stdout == ""
