"""The playbook against a real systemd: what it leaves there, what it says, and who can connect afterwards."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import every_setting
from tests.support.labs import a_lab
from tests.support.role_host import PORT, SETTINGS, Outcome, RoleHost
from tests.support.waiting import wait_for
from toolkit.lab import NodeSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

# A run takes ten seconds on an idle machine, and the first test waits for three of them.
pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

NODES = (NodeSpec("relay", "host"), NodeSpec("friend", "client"), NodeSpec("stranger", "client"))
IN, OUT = [True, True], [False, False]
SOON = 20.0
# Hosts a session; prints when each word of the relay came. The relay pings, and pings again when it is answered.
HOST = """
import socket, sys, time
relay = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=60)
relay.sendall(b"RATS" + bytes(12))
while word := relay.recv(16)[:4]:
    print(time.monotonic(), word.decode("ascii", "replace"), flush=True)
    if word == b"RATP":
        relay.sendall(word)
"""


@dataclass(frozen=True)
class Story:
    """A host from its first deployment on: what was there before, a look ahead, what it left, two runs."""

    host: RoleHost
    before: dict[str, Any]
    look: Outcome
    after_look: dict[str, Any]
    first: Outcome
    second: Outcome


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with a_lab(*NODES) as lab:
        host = RoleHost.of(lab, tmp_path_factory.mktemp("roles"))
        before, look = host.snapshot(), host.play("--check", "--diff")
        yield Story(host, before, look, host.snapshot(), host.play(), host.play())


@pytest.fixture
def host(story: Story) -> RoleHost:
    """Return the host, deployed to."""
    assert story.first.status == 0, story.first.said + story.first.errors
    return story.host


@contextmanager
def a_game(host: RoleHost) -> Iterator[subprocess.Popen[str]]:
    """Yield a friend who hosts; each line is a word from the relay."""
    argv = [sys.executable, "-I", "-c", HOST, host.lab.node("relay").ipv4, str(PORT)]
    with subprocess.Popen(host.lab.command("friend", argv), stdout=subprocess.PIPE, text=True) as game:
        assert game.stdout is not None
        assert game.stdout.readline().endswith(" RATS\n")
        yield game
        game.kill()


def test_a_look_ahead_at_a_fresh_host_names_every_change_and_makes_none(story: Story) -> None:
    assert story.look.status == 0, story.look.said + story.look.errors
    assert story.look.errors == ""
    assert "+port = 55435" in story.look.said
    assert story.after_look == story.before


def test_a_look_ahead_and_the_run_after_it_change_the_same(story: Story) -> None:
    """Only starting what is not there yet cannot be foreseen."""
    started = {
        "Enable and start the firewall agent",
        "Enable the socket and open the ports",
        "Enable the relay and start it",
    }
    assert story.first.status == 0, story.first.said + story.first.errors
    assert set(story.first.changed) - set(story.look.changed) == started
    assert set(story.look.changed) <= set(story.first.changed)
    assert story.first.count.startswith(f"{story.host.alias}: {len(story.first.changed)} changed, ")


def test_deploying_again_changes_nothing(story: Story) -> None:
    assert story.second.status == 0, story.second.said + story.second.errors
    assert story.second.count.startswith(f"{story.host.alias}: 0 changed, ")


def test_the_wall_stands_before_the_port_opens(story: Story) -> None:
    order = story.first.changed
    assert order.index("Enable and start the firewall agent") < order.index("Enable the socket and open the ports")


def test_friends_get_in_and_strangers_reach_nothing_but_what_they_could_before(host: RoleHost) -> None:
    assert (host.reaches("friend"), host.reaches("stranger")) == (IN, OUT)
    assert host.reaches("stranger", 22) == IN


def test_secrets_and_programs_have_the_owners_they_should(host: RoleHost) -> None:
    said = host.run(
        "sh",
        "-c",
        "cd /etc/netplay-relay && stat --format='%n %a %U:%G' . *;"
        " find /opt/netplay-relay/releases -printf '%y %m %u:%g\\n' | sort -u",
    )
    assert said.splitlines() == [
        ". 750 root:netplay-relay",
        "allowlist 640 root:netplay-relay",
        "friends.toml 600 root:root",
        "relay.toml 640 root:netplay-relay",
        "d 755 root:root",
        "f 644 root:root",
    ]
    assert host.run("getent", "passwd", "netplay-relay").endswith(":/nonexistent:/usr/sbin/nologin\n")


def test_the_wall_and_the_relay_come_back_after_a_reboot(host: RoleHost) -> None:
    host.run("systemctl", "enable", "nftables.service")
    try:
        host.lab.reboot("relay")
        wait_for(lambda: host.property("netplay-relay.service", "ActiveState") == "active", SOON, "the relay")
        assert (host.reaches("friend"), host.reaches("stranger")) == (IN, OUT)
        assert host.run("systemctl", "--failed", "--no-legend") == ""
        assert "ordering cycle" not in host.run("journalctl", "--boot", "--no-pager")
    finally:
        host.run("systemctl", "disable", "nftables.service")


# Reloads the service, and kills its program as soon as that asks the new one whether it is sound.
KILL = """
systemctl reload --no-block netplay-relay.service
until [ -n "$(cat /proc/$1/task/$1/children)" ]; do :; done
kill -KILL $1
"""


def test_a_relay_that_is_killed_in_the_middle_of_a_reload_comes_back(host: RoleHost) -> None:
    unit = "netplay-relay.service"
    killed = host.property(unit, "MainPID")
    host.run("timeout", str(int(SOON)), "sh", "-euc", KILL, "kill", killed)
    wait_for(lambda: host.property(unit, "MainPID") not in ("0", killed), SOON, "systemd to start the relay again")
    wait_for(lambda: host.property(unit, "ActiveState") == "active", SOON, "the relay")
    assert (host.reaches("friend"), host.reaches("stranger")) == (IN, OUT)
    again = host.property(unit, "MainPID")
    host.run("systemctl", "reload", unit)
    assert host.property(unit, "MainPID") == again
    assert host.run("systemctl", "--failed", "--no-legend") == ""


@pytest.mark.parametrize("verb", ["restart", "reload"])
def test_the_wall_comes_back_after_nftables_has_flushed_it(host: RoleHost, verb: str) -> None:
    host.run("systemctl", "start", "nftables.service")
    wait_for(host.stands, SOON, "the wall")
    host.run("systemctl", verb, "nftables.service")
    wait_for(host.stands, SOON, f"the wall, after a {verb}")
    assert (host.reaches("friend"), host.reaches("stranger")) == (IN, OUT)


# Listens on a port, and on the next one for datagrams too.
SQUATTER = """
import socket, sys, time
port = int(sys.argv[1])
datagrams = socket.socket(type=socket.SOCK_DGRAM)
datagrams.bind(("", port + 1))
streams = [socket.create_server(("", taken)) for taken in (port + 1, port)]
time.sleep(600)
"""


def test_a_port_that_another_program_has_is_refused_in_a_sentence(host: RoleHost) -> None:
    port = PORT + 1
    host.run("systemd-run", "--quiet", "--unit=squatter", "python3", "-c", SQUATTER, str(port))
    try:
        wait_for(lambda: f":{port} " in host.run("ss", "-Htln"), SOON, "the squatter")
        refused = host.play(relay_ports=[port], preflight_ports=[port, 22], preflight_datagrams=[port + 1])
    finally:
        host.run("systemctl", "stop", "squatter.service")
    assert (refused.status != 0, refused.changed) == (True, [])
    assert re.search(rf"TCP port {port} is in use by python3 \(process \d+, squatter.service\)", refused.errors)
    assert re.search(r"TCP port 22 is in use by sshd \(process \d+, ssh.service\)", refused.errors)
    assert f"On {host.alias}, " in refused.errors
    assert f"[listen] port = {port + 1}" in refused.errors
    assert re.search(rf"UDP port {port + 1} is in use by python3 \(process \d+, squatter.service\)", refused.errors)
    assert f"TCP port {port + 1} " not in refused.errors
    assert f"For UDP port {port + 1} write under [lan]: answer = false" in refused.errors


def test_an_allowlist_in_a_directory_that_is_not_there_is_refused_in_a_sentence(host: RoleHost) -> None:
    """All that systemd would say is 226/NAMESPACE, and Ansible that a service did not start."""
    settings = SETTINGS.replace("/etc/netplay-relay/allowlist", "/srv/not there/allowlist")
    refused = host.play(settings=settings, firewall_allowlist_dir="/srv/not there")
    assert (refused.status != 0, refused.changed) == (True, [])
    assert f"There is no directory /srv/not there on {host.alias}" in refused.errors
    assert "([gate] allowlist)" in refused.errors
    assert "mkdir -p -m 755 '/srv/not there'" in refused.errors


def test_an_edited_setting_and_a_removed_friend_change_just_that_and_end_no_game(host: RoleHost) -> None:
    process = host.property("netplay-relay.service", "MainPID")
    with a_game(host) as game:
        run = host.play("--diff", settings=SETTINGS.replace("ping = 1", "ping = 2"), friends=())
        try:
            assert run.changed == [
                "Install the settings, once this release accepts them",
                "Install the list of friends",
                "Restart the firewall agent as it is installed",
                "Upgrade to the new release and settings",
            ]
            assert "-ping = 1\n+ping = 2\n" in run.said
            assert host.reaches("friend") == OUT
            assert host.property("netplay-relay.service", "MainPID") == process
            assert _pinged_after(game, time.monotonic()), "the game ended"
        finally:
            back = host.play()
    assert len(back.changed) == 4
    assert host.reaches("friend") == IN


def _pinged_after(game: subprocess.Popen[str], moment: float) -> bool:
    """Wait for a word from the relay that came after the moment; False when the connection ends before one does."""
    assert game.stdout is not None
    return any(float(line.split()[0]) > moment for line in game.stdout)


FILES_FROM_THE_FUTURE = """
touch --date='400 days' /etc/netplay-relay/* /etc/systemd/system/netplay-relay* /opt/netplay-relay/releases/*/*
touch --no-dereference --date='400 days' /opt/netplay-relay/current
"""
A_DROP_IN = """
mkdir /etc/systemd/system/netplay-relay.socket.d
printf '[Socket]\\nBacklog=99\\n' >/etc/systemd/system/netplay-relay.socket.d/more.conf
systemctl daemon-reload
"""


def test_nothing_but_a_port_or_a_binding_ends_a_game(host: RoleHost) -> None:
    """Every setting, a new release, new unit files, files of a time when the clock was ahead; then a port more."""
    unit = "netplay-relay.service"
    usual = {"timeouts.ping": "1", "gate.allowlist": '"/etc/netplay-relay/others"'}
    changed = [name for name in every_setting.names() if name not in {*every_setting.PORTS_AND_BINDINGS, *usual}]
    other = {
        "settings": every_setting.settings(changed, Path("/run/netplay-relay"), usual),
        "relay_drain_seconds": 800,
        "relay_open_files": 4000,
        "relay_memory_high": 600_000_000,
        "relay_memory_max": 700_000_000,
        "relay_release_id": "another",
    }
    process = host.property(unit, "MainPID")
    try:
        with a_game(host) as game:
            run = host.play(**other)
            assert run.status == 0, run.said + run.errors
            assert "Upgrade to the new release and settings" in run.changed
            assert "counts from its next start on" in run.said
            assert host.property(unit, "TimeoutStopUSec") == "13min 30s"
            assert host.property(unit, "MemoryMax") == "700000000"
            assert host.property(unit, "NeedDaemonReload") == "no"
            # What somebody adds to our units is none of our business. Of the units' own times systemd thinks itself.
            host.run("sh", "-ec", FILES_FROM_THE_FUTURE + A_DROP_IN)
            again = host.play(**other)
            assert again.count.startswith(f"{host.alias}: 0 changed, "), again.said + again.errors
            assert host.property(unit, "MainPID") == process
            assert _pinged_after(game, time.monotonic()), "the game ended"
        more = host.play(**{**other, "relay_ports": [PORT, PORT + 1]})
        assert "Reopen the ports" in more.changed
        assert host.property(unit, "MainPID") != process
    finally:
        host.run("rm", "-rf", "/etc/systemd/system/netplay-relay.socket.d")
        back = host.play()
    assert "Reopen the ports" in back.changed
    assert (host.reaches("friend"), host.reaches("stranger")) == (IN, OUT)
    assert host.reaches("friend", PORT + 1) == OUT


def test_a_run_finishes_what_an_interrupted_one_left_and_opens_the_port_in_rules_of_others(host: RoleHost) -> None:
    # One that ran last week was copied first.
    made = "mkdir a b c; touch a/used; touch -d 2001-01-01 a; touch -d 2002-02-02 b; touch -d 2003-03-03 c"
    host.run("sh", "-ec", f"cd /opt/netplay-relay/releases; {made}")
    # As after a power loss.
    host.run(
        "sh", "-ec", "truncate --size=20 /opt/netplay-relay/current/netplay-relay.pyz.*/relay/monitoring/metrics.py"
    )
    host.run("touch", "/etc/netplay-relay/relay.toml")
    host.run("nft", "add table inet house; add chain inet house in { type filter hook input priority 5; }")
    host.run("nft", f"add rule inet house in tcp dport {PORT} drop")
    wait_for(lambda: _settled(host), SOON, "the second to pass in which the file was touched")
    try:
        run = host.play()
        assert run.changed == [
            "Unpack the release beside itself",
            "Restart the firewall agent as it is installed",
            "Upgrade to the new release and settings",
            "Remove releases beyond the last 3",
        ]
        assert "an earlier run was interrupted" in run.said
        assert "/opt/netplay-relay/releases/b" in run.said
        assert (host.reaches("friend"), host.reaches("stranger")) == (IN, OUT)
    finally:
        host.run("nft", "delete", "table", "inet", "house")


def test_the_wall_stands_again_soon_after_somebody_flushed_every_rule(host: RoleHost) -> None:
    host.run("nft", "flush", "ruleset")
    wait_for(host.stands, SOON, "the wall")
    assert (host.reaches("friend"), host.reaches("stranger")) == (IN, OUT)


def test_a_wall_that_cannot_stand_is_told_in_a_sentence_and_stops_the_run(host: RoleHost) -> None:
    host.run("mv", "/usr/sbin/nft", "/usr/sbin/nft.away")
    try:
        refused = host.play(settings=SETTINGS.replace("[gate]", '[gate]\nbackend = "nftables"'))
    finally:
        host.run("mv", "/usr/sbin/nft.away", "/usr/sbin/nft")
        back = host.play()
    assert (refused.status != 0, back.status) == (True, 0), refused.said + back.errors
    assert f"The firewall rules are not loaded on {host.alias}" in refused.errors
    assert "this host has no nft that works. Install the package nftables" in refused.errors
    assert (host.reaches("friend"), host.reaches("stranger")) == (IN, OUT)


def _settled(host: RoleHost) -> bool:
    """Whether a second has begun since relay.toml was touched: systemd tells no less than whole ones."""
    now, touched = host.run("sh", "-c", "date +%s; stat --format=%Y /etc/netplay-relay/relay.toml").split()
    return int(now) > int(touched)


def test_settings_that_the_release_refuses_never_land(host: RoleHost) -> None:
    before = host.run("cat", "/etc/netplay-relay/relay.toml")
    refused = host.play(settings=SETTINGS + "pong = 1\n")
    assert refused.status != 0
    assert "relay.toml:7: " in refused.errors
    assert "pong" in refused.errors
    assert host.run("cat", "/etc/netplay-relay/relay.toml") == before
    assert host.reaches("friend") == IN


def test_a_relay_that_fails_again_and_again_is_mended_by_a_deployment(host: RoleHost) -> None:
    """While it waits for its next attempt systemd counts it as activating, and does not reload it."""
    # Its next attempt is not to come in the middle of the run.
    patient = "/run/systemd/system/netplay-relay.service.d"
    host.run("sh", "-c", f"mkdir {patient} && printf '[Service]\\nRestartSec=900\\n' >{patient}/patient.conf")
    host.run("sh", "-c", "echo 'pong = 1' >>/etc/netplay-relay/relay.toml")
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "restart", "--no-block", "netplay-relay.service")
    try:
        wait_for(lambda: host.property("netplay-relay.service", "SubState") == "auto-restart", SOON, "it to fail")
        mended = host.play()
    finally:
        host.run("rm", "-r", patient)
        host.run("systemctl", "daemon-reload")
    assert mended.status == 0, mended.said + mended.errors
    assert mended.changed == [
        "Install the settings, once this release accepts them",
        "Restart the firewall agent as it is installed",
        "Start a relay that fails anew, with the new release and settings",
    ]
    assert (host.reaches("friend"), host.reaches("stranger")) == (IN, OUT)


def test_removing_leaves_the_host_as_it_was(story: Story, host: RoleHost) -> None:
    try:
        removed = host.play(playbook="remove")
        assert removed.status == 0, removed.said + removed.errors
        assert "netplay" not in host.run("nft", "list", "ruleset")
        left = host.snapshot()
        # Tables of others, which tests beside this one made.
        assert {**left, "rules": ""} == {**story.before, "rules": ""}
    finally:
        again = host.play()
    assert again.status == 0, again.said + again.errors
