"""The packages' services under a real runit, on the stand-in for Void (Debian's programs in Void's layout)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.support.labs import a_lab
from tests.support.waiting import wait_for
from tests.support.xbps_host import PORT, VoidlikeHost
from toolkit.lab import NodeSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

NODES = (
    NodeSpec("relay", "host", "voidlike"),
    NodeSpec("friend", "client"),
    NodeSpec("stranger", "client"),
)
FOREIGN = "table inet mine { chain input { type filter hook input priority 0; policy accept; }; }"
FRIENDS, ALLOWLIST = "/etc/netplay-relay/friends.toml", "/etc/netplay-relay/allowlist"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VoidlikeHost]:
    with a_lab(*NODES) as lab:
        yield VoidlikeHost.with_packages(lab, tmp_path_factory.mktemp("packages"))


@pytest.fixture
def host(installed: VoidlikeHost) -> Iterator[VoidlikeHost]:
    """Return the host with both services up and one friend, whom the packet filter and the relay let in."""
    friend = installed.lab.node("friend")
    ours = f'[[friend]]\nname = "anna"\nip = ["{friend.ipv4}", "{friend.ipv6}/128"]\n'
    if installed.run("cat", FRIENDS) != ours:
        installed.write(FRIENDS, ours, "600")
    for service in ("netplay-relay-firewall", "netplay-relay"):
        installed.enable(service)
        wait_for(lambda name=service: installed.code("sv", "status", name) == 0, 15, f"runsvdir to see {service}")
        installed.run("sv", "up", service)
        installed.wait_ready(service)
    wait_for(lambda: friend.ipv4 in installed.run("cat", ALLOWLIST), 15, "the friend to be on the list")
    return installed


def test_a_friend_plays_and_a_stranger_does_not_even_connect(host: VoidlikeHost) -> None:
    assert host.probe("friend")["good"] is True
    assert host.probe("stranger")["good"] is True  # good is what it should be: no connection


def test_the_relay_has_its_account_no_rights_and_can_get_none(host: VoidlikeHost) -> None:
    lines = host.run("cat", f"/proc/{host.pid()}/status").splitlines()
    status = {key: value.split() for key, _, value in (line.partition(":") for line in lines)}
    uid = host.run("id", "-u", "_netplay_relay").strip()
    assert status["Uid"] == [uid] * 4
    assert uid != "0"
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name][0], 16) == 0, name
    assert (status["NoNewPrivs"], status["Groups"]) == (["1"], [])


def test_it_is_back_within_two_seconds_of_a_kill(host: VoidlikeHost) -> None:
    before = host.pid()
    # runsv leaves a second between two starts: one that has just begun would have to wait for it as well.
    wait_for(lambda: int(host.run("stat", "-c", "%Y", f"/proc/{before}")) < time.time() - 1, 5, "a start a second ago")
    begun = time.monotonic()
    host.kill(before)
    wait_for(lambda: host.pid() not in {0, before}, 2, "another process")
    host.wait_ready(within=max(0.1, 2 - (time.monotonic() - begun)))
    assert host.probe("friend")["good"] is True


def test_check_is_true_only_while_the_relay_answers(host: VoidlikeHost) -> None:
    number = host.pid()
    host.kill(number, "STOP")
    try:
        assert host.code("/etc/sv/netplay-relay/check") != 0
    finally:
        host.kill(number, "CONT")
    assert host.code("/etc/sv/netplay-relay/check") == 0
    host.run("sv", "stop", "netplay-relay")
    assert host.code("/etc/sv/netplay-relay/check") != 0


def test_it_stops_cleanly_and_leaves_the_port(host: VoidlikeHost) -> None:
    host.run("sv", "-w", "20", "stop", "netplay-relay")
    assert host.pid() == 0
    assert host.run("ss", "-Htln", f"sport = :{PORT}") == ""
    assert "Traceback" not in host.log()


def test_hup_lets_the_same_process_become_the_installed_program(host: VoidlikeHost) -> None:
    before = host.pid()
    said = len(host.log())
    host.run("sv", "hup", "netplay-relay")
    wait_for(lambda: "listening on" in host.log()[said:], 15, "the new program to listen")
    assert host.pid() == before
    host.wait_ready()
    assert host.probe("friend")["good"] is True


def test_a_mistake_in_the_settings_is_in_the_log_once_not_every_second(host: VoidlikeHost) -> None:
    settings = host.run("cat", "/etc/netplay-relay/relay.toml")
    said = len(host.log())
    host.run("sv", "-w", "20", "stop", "netplay-relay")
    host.rewrite("/etc/netplay-relay/relay.toml", "[listen]\nport = 0\n")
    try:
        host.run("sv", "up", "netplay-relay")
        wait_for(lambda: "relay.toml:2" in host.log()[said:], 10, "the mistake in the log")
        wait_for(lambda: "finish:" in host.run("sv", "status", "netplay-relay"), 5, "finish to take its time")
    finally:
        host.rewrite("/etc/netplay-relay/relay.toml", settings)
    assert host.log()[said:].count("relay.toml:2") == 1
    host.wait_ready()


def test_the_firewall_service_loads_unloads_and_leaves_a_foreign_table_alone(host: VoidlikeHost) -> None:
    host.run("nft", FOREIGN)
    before = host.run("nft", "list", "table", "inet", "mine")
    mark = host.run("nft", "-a", "list", "table", "inet", "netplay").splitlines()[0]
    host.run("sv", "restart", "netplay-relay-firewall")
    host.wait_ready("netplay-relay-firewall")
    # The table's number is that of its making: a restart does not take it down for a moment.
    assert host.run("nft", "-a", "list", "table", "inet", "netplay").splitlines()[0] == mark
    assert sorted(host.run("nft", "list", "tables").splitlines()) == ["table inet mine", "table inet netplay"]
    host.run("sv", "stop", "netplay-relay-firewall")
    wait_for(lambda: host.run("nft", "list", "tables").splitlines() == ["table inet mine"], 5, "our table to go")
    assert host.run("nft", "list", "table", "inet", "mine") == before
    host.run("nft", "delete", "table", "inet", "mine")


def test_the_rules_stand_while_the_firewall_service_is_killed_and_comes_back(host: VoidlikeHost) -> None:
    before = host.pid("netplay-relay-firewall")
    host.kill(before)
    wait_for(lambda: host.pid("netplay-relay-firewall") not in {0, before}, 5, "another process")
    assert host.code("nft", "list", "table", "inet", "netplay") == 0
    assert host.probe("stranger")["good"] is True


def test_rules_that_somebody_flushed_are_back(host: VoidlikeHost) -> None:
    host.run("nft", "flush", "ruleset")
    wait_for(lambda: host.code("nft", "list", "table", "inet", "netplay") == 0, 15, "the wall")
    assert host.probe("stranger")["good"] is True
    assert host.probe("friend")["good"] is True


def test_the_firewall_service_has_the_rights_to_filter_and_no_others(host: VoidlikeHost) -> None:
    status = host.run("cat", f"/proc/{host.pid('netplay-relay-firewall')}/status")
    few = 1 << 0 | 1 << 12 | 1 << 13  # CAP_CHOWN, CAP_NET_ADMIN, CAP_NET_RAW
    for name in ("CapPrm", "CapEff", "CapBnd"):
        assert int(status.partition(f"{name}:")[2].split()[0], 16) == few, name
    assert status.partition("NoNewPrivs:")[2].split()[0] == "1"


def test_the_relay_waits_for_rules_that_cannot_be_loaded(host: VoidlikeHost) -> None:
    settings = host.run("cat", "/etc/netplay-relay/relay.toml")
    said = len(host.log("netplay-relay-firewall"))
    host.run("sv", "-w", "20", "stop", "netplay-relay", "netplay-relay-firewall")
    wait_for(lambda: host.code("nft", "list", "table", "inet", "netplay") != 0, 5, "our table to go")
    host.rewrite("/etc/netplay-relay/relay.toml", settings.replace("\n[gate]\n", '\n[gate]\nbackend = "nftables"\n'))
    host.run("mv", "/usr/sbin/nft", "/usr/sbin/nft.away")
    try:
        host.run("sv", "up", "netplay-relay-firewall")
        host.run("sv", "up", "netplay-relay")
        wait_for(lambda: "no nft" in host.log("netplay-relay-firewall")[said:], 15, "the reason in the log")
        assert host.run("ss", "-Htln", f"sport = :{PORT}") == ""
    finally:
        host.run("mv", "/usr/sbin/nft.away", "/usr/sbin/nft")
        host.rewrite("/etc/netplay-relay/relay.toml", settings)
    host.wait_ready()
    assert host.probe("friend")["good"] is True


def test_the_relay_lets_nobody_in_who_is_not_on_its_own_list_either(host: VoidlikeHost) -> None:
    host.run("sv", "stop", "netplay-relay-firewall")
    host.write(ALLOWLIST, "# nobody\n")
    wait_for(lambda: host.probe("friend")["good"] is False, 15, "the friend to be refused")


def test_the_settings_and_the_list_are_the_accounts_to_read_and_nobody_elses(host: VoidlikeHost) -> None:
    shown = host.run(
        "sh", "-c", "cd /etc/netplay-relay && stat -c '%n %a %U:%G' . *; stat -c '%a %U' /var/lib/netplay-relay"
    )
    assert shown.splitlines() == [
        ". 750 root:_netplay_relay",
        "allowlist 640 root:_netplay_relay",
        "friends.toml 600 root:root",
        "relay.toml 640 root:_netplay_relay",
        "700 root",
    ]


def test_services_are_back_after_a_restart_of_the_host(host: VoidlikeHost) -> None:
    host.lab.reboot("relay")
    host.wait_ready("netplay-relay-firewall")
    host.wait_ready()
    assert host.probe("friend")["good"] is True
    assert host.probe("stranger")["good"] is True
