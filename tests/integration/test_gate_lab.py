"""Who can play, on a real host: let in, over in the middle of a game, kicked, after a reboot, a flush, a lost login."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import accounts as sudoers
from tests.support.accounts import PASSWORD
from tests.support.gate_lab import SOON, GateLab, a_gate_lab
from tests.support.waiting import wait_for
from toolkit.console import ROOT
from toolkit.deploy import remove
from toolkit.deploy.run import Request, deploy
from toolkit.errors import BAD_INPUT, HOST_UNUSABLE, ROLLED_BACK, UserError
from toolkit.friends import commands
from toolkit.friends.edit import FriendChange
from toolkit.hosts import inventory

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

IN, OUT = [True, True], [False, False]
# Fails for every login but the first: what a push that locks its owner out comes to.
# An ssh whose line goes with the confirmation, and is there again after the waiting.
LOST = """#!/bin/sh
lost() {{ echo 'Connection timed out' >&2; exit 255; }}
case "$*" in *' confirm '*) lost ;; *' rollback '*) if mkdir "$0.lost" 2>/dev/null; then lost; fi ;; esac
exec {ssh} "$@"
"""


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GateLab]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("owner")))
        with a_gate_lab(tmp_path_factory.mktemp("gate")) as lab:
            yield lab


@pytest.fixture
def relay(deployed: GateLab) -> Iterator[GateLab]:
    """Return the lab with the list as it was after the deployment: player and friend get in."""
    yield deployed.there_again()
    if deployed.is_there():
        deployed.begins_anew()


def test_who_is_added_gets_in_at_once_and_who_is_removed_does_not(relay: GateLab) -> None:
    assert (relay.plays("friend"), relay.plays("stranger")) == (IN, OUT)
    commands.add(relay.place, FriendChange("guest", relay.addresses("stranger")))
    assert relay.plays("stranger") == IN
    commands.remove(relay.place, "guest", kick=False)
    assert (relay.plays("friend"), relay.plays("stranger"), relay.connects("stranger")) == (IN, OUT, OUT)


def test_a_game_goes_on_when_its_players_time_is_over_and_no_other_begins(relay: GateLab) -> None:
    end = int(time.time()) + 10
    commands.add(relay.place, FriendChange("guest", relay.addresses("stranger"), until=end))
    with relay.a_game("stranger") as game:
        wait_for(lambda: time.time() > end + 1, SOON, "the end of the entry")
        assert relay.plays("stranger") == OUT
        assert game.goes_on()
    # Its time has come since it was written: no reason to refuse the list when somebody else is added.
    commands.add(relay.place, FriendChange("other", ["192.0.2.9"]))
    assert relay.plays("stranger") == OUT


def test_a_removal_lets_the_game_end_and_a_kick_does_not(relay: GateLab) -> None:
    commands.add(relay.place, FriendChange("guest", relay.addresses("stranger")))
    with relay.a_game("stranger") as game:
        commands.remove(relay.place, "guest", kick=False)
        assert (relay.plays("stranger"), game.goes_on()) == (OUT, True)
    commands.add(relay.place, FriendChange("guest", relay.addresses("stranger")))
    with relay.a_game("stranger") as kicked, relay.a_game("friend") as other:
        commands.remove(relay.place, "guest", kick=True)
        assert kicked.ends()
        assert other.goes_on()


def test_a_prefix_keeps_letting_in_whom_a_removed_address_was_in(relay: GateLab) -> None:
    commands.add(relay.place, FriendChange("guest", relay.addresses("stranger")))
    commands.add(relay.place, FriendChange("house", [relay.addresses("stranger")[0].rpartition(".")[0] + ".0/24"]))
    commands.remove(relay.place, "guest", kick=False)
    assert relay.plays("stranger") == [True, False]


def test_after_a_reboot_the_wall_stands_with_the_time_that_was_left(relay: GateLab) -> None:
    commands.add(relay.place, FriendChange("guest", relay.addresses("stranger"), until=int(time.time()) + 3600))
    until = {entry["network"]: entry["until"] for entry in relay.status()["entries"]}
    relay.lab.reboot(relay.host.node)
    wait_for(lambda: relay.host.property("netplay-relay.service", "ActiveState") == "active", SOON, "the relay")
    assert (relay.plays("friend"), relay.plays("stranger"), relay.plays("player")) == (IN, IN, IN)
    assert {entry["network"]: entry["until"] for entry in relay.status()["entries"]} == until
    assert "left" in relay.host.run("python3", "-I", "/opt/netplay-relay/current/netplay-relay.pyz", "gate", "status")
    assert "ordering cycle" not in relay.host.run("journalctl", "--boot", "--no-pager")
    commands.remove(relay.place, "guest", kick=False)
    assert relay.connects("stranger") == OUT


def test_without_rules_the_relay_itself_keeps_strangers_out_and_the_keeper_puts_the_wall_back(relay: GateLab) -> None:
    relay.host.run("systemctl", "stop", "netplay-relay-firewall.service")
    relay.flush()
    assert (relay.connects("stranger"), relay.plays("stranger"), relay.plays("friend")) == (IN, OUT, IN)
    relay.host.run("systemctl", "start", "netplay-relay-firewall.service")
    assert (relay.connects("stranger"), relay.plays("friend")) == (OUT, IN)
    healed = relay.status()["healed"]["count"]
    relay.flush()
    wait_for(lambda: relay.connects("stranger") == OUT, SOON, "the wall")
    assert wait_for(lambda: relay.status()["healed"]["count"] > healed, SOON, "a note of it")


def test_a_change_that_cannot_be_confirmed_comes_back_by_itself_and_says_so(relay: GateLab, tmp_path: Path) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text(LOST.format(ssh=shutil.which("ssh")))
    ssh.chmod(0o755)
    before = relay.friends_file.read_text()
    argv = relay.typed("friends.add", "guest", "--ip", relay.addresses("stranger")[0])
    begun = time.monotonic()
    with subprocess.Popen(
        argv,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
    ) as task:
        wait_for(lambda: relay.plays("stranger")[0], SOON, "the change to be in force")
        _, said = task.communicate(timeout=120)
    # What the push takes, then at most thirty seconds on the host.
    assert time.monotonic() - begun < 60
    assert task.returncode == ROLLED_BACK
    assert "the list before it is in force again" in said
    assert (relay.plays("stranger"), relay.plays("friend"), relay.friends_file.read_text()) == (OUT, IN, before)
    assert relay.status()["rolled_back"]["why"] == "it was not confirmed in time"


def test_a_name_is_looked_up_on_the_host_and_one_without_an_answer_is_refused(relay: GateLab) -> None:
    ipv4 = relay.addresses("stranger")[0]
    relay.host.run("sh", "-c", f"echo '{ipv4} guest.example.test' >>/etc/hosts")
    before = relay.friends_file.read_text()
    try:
        commands.add(relay.place, FriendChange("guest", names=["guest.example.test"]))
        assert relay.plays("stranger") == [True, False]
        with pytest.raises(UserError) as refused:
            commands.add(relay.place, FriendChange("nobody", names=["nobody.example.test"]))
    finally:
        relay.host.run("sed", "-i", "/guest.example.test/d", "/etc/hosts")
    assert refused.value.exit_code == BAD_INPUT
    assert refused.value.message.startswith(f"{relay.friends_file}:")
    assert "nobody" not in relay.friends_file.read_text()
    assert before != relay.friends_file.read_text()


def test_iptables_does_the_same_where_the_settings_ask_for_it(relay: GateLab) -> None:
    settings = "/etc/netplay-relay/relay.toml"
    relay.host.run("cp", "--archive", settings, f"{settings}.before")
    relay.host.run("sed", "-i", 's/^\\[gate\\]$/[gate]\\nbackend = "iptables"/', settings)
    try:
        wait_for(lambda: relay.status()["backend"] == "iptables" and relay.status()["complete"], SOON, "iptables")
        assert not relay.host.stands()
        assert (relay.plays("friend"), relay.connects("stranger")) == (IN, OUT)
        end = int(time.time()) + 10
        commands.add(relay.place, FriendChange("guest", relay.addresses("stranger"), until=end))
        with relay.a_game("stranger") as game:
            wait_for(lambda: time.time() > end + 1, SOON, "the end of the entry")
            wait_for(lambda: relay.plays("stranger") == OUT, SOON, "the entry to be taken out")
            assert game.goes_on()
        relay.host.run("iptables", "-F")
        wait_for(lambda: relay.connects("stranger")[0] is False, SOON, "the wall")
    finally:
        # With its time: to a deployment a newer file is one that the relay has not read.
        relay.host.run("mv", f"{settings}.before", settings)
    wait_for(relay.host.stands, SOON, "nftables")
    assert (relay.plays("friend"), relay.connects("stranger")) == (IN, OUT)
    assert "NETPLAY" not in relay.host.run("iptables-save")


def test_ten_thousand_entries_let_in_who_is_on_them_and_nobody_else(relay: GateLab) -> None:
    before = len(relay.status()["entries"])
    many = [f"198.{18 + n // 65536}.{n // 256 % 256}.{n % 256}" for n in range(5000)]
    many += [f"2001:db8:{n:x}::/64" for n in range(5000)]
    entries = [f'[[friend]]\nname = "crowd {n}"\nip = {many[n::10]!r}\n'.replace("'", '"') for n in range(10)]
    relay.friends_file.write_text(relay.owners_list + "\n" + "\n".join(entries))
    commands.push(relay.place)
    state = relay.status()
    assert (len(state["entries"]), state["complete"]) == (before + len(many), True)
    assert (relay.plays("friend"), relay.connects("stranger")) == (IN, OUT)
    commands.add(relay.place, FriendChange("guest", relay.addresses("stranger")))
    assert relay.plays("stranger") == IN


def test_the_owner_is_told_why_a_stranger_is_refused_and_a_friend_is_not(
    relay: GateLab, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not commands.check(relay.place, relay.addresses("stranger")[0])
    assert f"{relay.addresses('stranger')[0]} is refused" in capsys.readouterr().out
    assert commands.check(relay.place, "friend")
    assert "friend gets in" in capsys.readouterr().out
    with pytest.raises(UserError, match="neither a friend's name nor an address"):
        commands.check(relay.place, "-x; id")


def test_the_list_shows_who_was_there(relay: GateLab, capsys: pytest.CaptureFixture[str]) -> None:
    with relay.a_game("friend"):
        state = wait_for(lambda: _seen(relay), SOON, "a count of connections")
        commands.show(relay.place, state)
    shown = capsys.readouterr().out
    assert "1 connected" in shown
    assert relay.addresses("friend")[0] in shown


def _seen(relay: GateLab) -> dict[str, object] | None:
    state = relay.status()
    return state if any(entry["connected"] for entry in state["entries"]) else None


def test_deploying_again_changes_nothing_and_a_look_ahead_says_the_same(relay: GateLab) -> None:
    assert deploy(relay.place, Request()) == 0
    relay.friends_file.write_text(relay.owners_list + '\n[[friend]]\nname = "late"\nip = "192.0.2.7"\n')
    assert deploy(relay.place, Request(check=True)) == 1
    assert all(entry["friends"] != ["late"] for entry in relay.status()["entries"])


# Notes what ssh is given, and goes on with it.
NOTING = '#!/bin/sh\n{{ printf "%s " "$@"; env; }} >>{notes}\nexec {ssh} "$@"\n'


@pytest.fixture
def accounts(relay: GateLab) -> Iterator[GateLab]:
    """Give the host accounts that become root by sudo."""
    files = inventory.files_of(relay.place.host)
    before = files.inventory.read_text()
    relay.host.run("sh", "-ec", sudoers.made("keeper", "helper"))
    try:
        yield relay
    finally:
        files.inventory.write_text(before)
        relay.host.run("sh", "-c", sudoers.gone("keeper", "helper"))


def as_account(relay: GateLab, name: str) -> None:
    """Let the tasks log in as this account from now on."""
    host = relay.place.host
    inventory.write(inventory.files_of(host).inventory, inventory.Entry(host, name, become=True).render())


def test_an_account_with_sudo_lets_friends_in_as_root_does(accounts: GateLab) -> None:
    as_account(accounts, "helper")
    added = accounts.invokes("friends.add", "guest", "--ip", accounts.addresses("stranger")[0])
    assert added.returncode == 0, added.stderr
    assert "helper : " in accounts.host.run("journalctl", "--boot", "--no-pager", "--identifier=sudo")
    assert accounts.plays("stranger") == [True, False]
    asked = accounts.invokes("friends.check", "guest")
    assert "guest gets in" in asked.stdout
    assert accounts.invokes("friends.remove", "guest", "--kick").returncode == 0
    assert accounts.plays("stranger") == OUT


def test_sudos_password_is_asked_for_once_and_shown_to_nobody(accounts: GateLab, tmp_path: Path) -> None:
    as_account(accounts, "keeper")
    refused = accounts.invokes("friends.list")
    assert refused.returncode == HOST_UNUSABLE
    assert "asks keeper for a password" in refused.stderr
    assert "the same command with --ask-become" in refused.stderr
    notes, ssh = tmp_path / "notes", tmp_path / "ssh"
    ssh.write_text(NOTING.format(notes=notes, ssh=shutil.which("ssh")))
    ssh.chmod(0o755)
    words = ["friends.add", "guest", "--ip", accounts.addresses("stranger")[0], "--ask-become"]
    code, said = at_a_terminal(accounts.typed(*words), PASSWORD, tmp_path)
    assert code == 0, said
    assert said.count("sudo's password on") == 1
    assert accounts.plays("stranger") == [True, False]
    code, said = at_a_terminal(accounts.typed("friends.remove", "guest", "--ask-become"), "wrong", tmp_path)
    assert code == HOST_UNUSABLE, said
    assert "did not take that password from keeper" in said
    written = notes.read_text() + accounts.host.run("journalctl", "--no-pager") + said
    assert "confirm" in written
    assert PASSWORD not in written


def at_a_terminal(argv: list[str], typed: str, first_on_path: Path) -> tuple[int, str]:
    """Run a program at a terminal of its own, type a line when it asks for a password; return exit code and output."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PATH": f"{first_on_path}{os.pathsep}{os.environ['PATH']}"}
    started = ["setsid", "--ctty", "--wait", *argv]
    with subprocess.Popen(started, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=ROOT) as process:
        os.close(theirs)
        said = b""
        with suppress(OSError):  # the terminal is gone when the last one lets go of it
            while data := os.read(ours, 4096):
                asked = b"password on" in said
                said += data
                if not asked and b"password on" in said:
                    os.write(ours, f"{typed}\n".encode())
    os.close(ours)
    return process.returncode, said.decode(errors="replace")


def test_a_removal_leaves_the_host_as_it_was_and_keeps_the_settings_if_it_is_told_to(relay: GateLab) -> None:
    assert remove.remove(relay.place, keep_config=True) > 0
    kept = relay.host.run("find", "/etc/netplay-relay", "-printf", "%p %m %U:%G\n").split("\n")
    assert sorted(kept)[1:] == [
        "/etc/netplay-relay 700 0:0",
        "/etc/netplay-relay/friends.toml 600 0:0",
        "/etc/netplay-relay/relay.toml 600 0:0",
    ]
    # The settings are there, and the group they are to belong to is not made by a look ahead.
    assert deploy(relay.place, Request(check=True)) > 0
    assert remove.remove(relay.place) > 0
    assert relay.host.snapshot() == relay.before
