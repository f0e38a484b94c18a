"""ssh and sudo as people have them: real sshd, sudo and sudo-rs, and all that a configuration says for a terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import accounts
from tests.support.labs import a_lab
from tests.support.waiting import wait_for
from toolkit.deploy import ansible
from toolkit.deploy import run as deploy
from toolkit.deploy.run import Request
from toolkit.errors import HOST_UNUSABLE, UserError
from toolkit.friends import commands
from toolkit.friends.edit import FriendChange
from toolkit.hosts import inventory, login, session, target
from toolkit.hosts.inventory import Entry
from toolkit.hosts.names import HostName
from toolkit.hosts.remote import Remote
from toolkit.lab import DEFAULT_SPEC, Lab, NodeSpec
from toolkit.ssh import answers, connection

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

# What a host of the lab is called: Debian's sudo of 2023, and sudo-rs in its place.
CLASSIC, RUST = "relay", "rust"
ECHO = "import json, sys; print(json.dumps({'given': sys.stdin.read()}))"


@dataclass(frozen=True)
class Hosts:
    """The lab, and a folder for what is written on this side."""

    lab: Lab
    folder: Path

    def on(self, node: str, script: str) -> str:
        """Run a script on a host as root and return what it said."""
        argv = self.lab.inside(node, ["sh", "-c", script])
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def config(self, name: str, lines: str = "") -> Path:
        """Write an ssh configuration: these lines for everybody, then what the lab's says."""
        path = self.folder / name
        body = "\n".join(f"  {line}" for line in lines.splitlines())
        path.write_text(f"Host *\n{body}\n\n{self.lab.ssh_config.read_text()}")
        path.chmod(0o600)
        return path

    def ansible_says(self, node: str, link: connection.Connection, password: str = "") -> str:
        """Return who Ansible is on a host, by the connection of a deployment; a file goes there by sftp before."""
        alias = self.lab.ssh_alias(node)
        host = Entry(HostName(alias, alias), link.user, become=True)
        (self.folder / "inventory.yml").write_text(host.render())
        run = ansible.Run("deploy", self.folder / "inventory.yml", self.folder / "none", self.folder, False, password)
        asking = [word for word in run.argv() if "become" in word or word == "-"]
        words = [sys.executable, "-m", "ansible", "adhoc", alias, "--inventory", str(run.inventory), "--become"]
        words += [*asking[:2], *(("--extra-vars", asking[2]) if password else ()), "-m"]
        done = subprocess.run(
            [*words, "ansible.builtin.script", "-a", str(Path(__file__).with_name("who.sh"))],
            input=password, env=run.environment(link) | {"ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.minimal"},
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """Yield both hosts, with accounts."""
    others = [node for node in DEFAULT_SPEC.nodes if node.kind == "client"]
    with a_lab(NodeSpec(CLASSIC, "host"), NodeSpec(RUST, "host", "trixie"), *others) as lab:
        found = Hosts(lab, tmp_path_factory.mktemp("ssh"))
        for node in (CLASSIC, RUST):
            found.on(node, accounts.made("plain", "keeper", "helper"))
        found.on(RUST, "apt-get install --yes sudo-rs && ln -s /usr/lib/cargo/bin/sudo /usr/local/bin/sudo")
        yield found


# ssh_config(5) for a person at a terminal, a set at a time; {free} is a port that nobody has.
TERMINAL = {
    "local forward": "LocalForward {free} localhost:9\nExitOnForwardFailure yes",
    "taken forward": "LocalForward {taken} localhost:9\nExitOnForwardFailure yes",
    "remote forward": "RemoteForward 22 localhost:9\nExitOnForwardFailure yes",
    "dynamic forward": "DynamicForward {taken}\nExitOnForwardFailure yes\nGatewayPorts yes",
    "remote command": "RemoteCommand tmux new -A",
    "terminal": "RequestTTY force\nEscapeChar ~",
    "no input": "StdinNull yes",
    "no session": "SessionType none",
    "background": "ForkAfterAuthentication yes\nStdinNull yes",
    "local command": "PermitLocalCommand yes\nLocalCommand echo local; sleep 30",
    "tunnel": "Tunnel yes\nTunnelDevice any",
    "pictures": "VisualHostKey yes\nLogLevel DEBUG3",
    "quiet": "LogLevel QUIET",
    "shared": "ControlMaster auto\nControlPath {folder}/%C\nControlPersist yes",
    "asking": "ControlMaster ask\nControlPath {folder}/%C",
    "agent": "ForwardAgent yes\nForwardX11 yes\nForwardX11Trusted yes\nAddKeysToAgent yes",
    "environment": "SendEnv *\nSetEnv LC_ALL=ja_JP.eucJP PYTHONPATH=/nowhere",
    "keys": "UpdateHostKeys ask\nConnectionAttempts 100\nServerAliveCountMax 0\nNumberOfPasswordPrompts 9",
    "exec": 'Match exec "true"\n  Compression yes\n  RemoteCommand top',
}


@pytest.mark.parametrize("name", TERMINAL)
def test_what_a_configuration_says_for_a_terminal_is_off(hosts: Hosts, name: str, tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as free:
        ports = {"taken": taken.getsockname()[1], "free": free.getsockname()[1], "folder": tmp_path}
        free.close()
        config = hosts.config(name, TERMINAL[name].format(**ports))
        alias = hosts.lab.ssh_alias(CLASSIC)
        place = target.real(alias, config)
        with connection.connection(alias, "helper", config) as link:
            assert connection.ask(link).account == "helper"
            assert link.sockets is not None
            assert any(link.sockets.iterdir()), "one login is shared by all of a deployment"
            said = hosts.ansible_says(CLASSIC, link)
            assert "I am root" in said, said
            assert "transfer mechanism failed" not in said, said
            shared = Remote(place, link, become=True).run([ECHO], "the list", program="-c")
            assert answers.find(shared.stdout) == {"given": "the list"}
        alone = Remote(place, connection.Connection(alias, "helper", config), become=True)
        assert answers.find(alone.run([ECHO], "the list", program="-c", login=True).stdout) == {"given": "the list"}
    assert not list(tmp_path.iterdir()), "no connection of ours is shared with windows of theirs"


def test_what_leads_to_a_host_stays_theirs(hosts: Hosts) -> None:
    alias = hosts.lab.ssh_alias(CLASSIC)
    config = hosts.config("jump", f'Match originalhost {alias} exec "true"\n  ProxyJump {hosts.lab.ssh_alias(RUST)}')
    with connection.connection(alias, "helper", config) as link:
        assert login.visit(link, Entry(HostName(alias, alias), "helper", True)).jumps
        assert connection.ask(link).came_from == hosts.lab.node(RUST).ipv4


SUDO = {
    "plain": "",
    "lecture": "Defaults lecture=always",
    "other prompt": 'Defaults passprompt="[%h] Kennwort bitte: ", passprompt_override',
    "insults and tries": "Defaults insults, passwd_tries=1",
    "terminal of its own": "Defaults use_pty, log_input, log_output",
    "remembers": "Defaults timestamp_type=global, timestamp_timeout=60",
    "forgets": "Defaults timestamp_timeout=0, !env_reset",
}
WORDS = "printf 'Achtung, {{dies}} ist\\nein Rechner. sudo: Passwort? [netplay'"
PAM = {
    "words before": "auth optional pam_exec.so stdout quiet /usr/local/bin/words",
    "a delay": "auth optional pam_faildelay.so delay=100000",
}


def becomes_root(hosts: Hosts, node: str, password: str = accounts.PASSWORD) -> None:
    """Become root there with a password in each of the ways in which it is done."""
    alias = hosts.lab.ssh_alias(node)
    place = target.real(alias, hosts.lab.ssh_config)
    with connection.connection(alias, "keeper", hosts.lab.ssh_config) as link:
        visit = login.visit(link, Entry(HostName(alias, alias), "keeper", True), password)
        assert visit.become
        for _ in range(2):  # whatever sudo remembers of the first
            done = Remote(place, link, True, visit.password).run([ECHO], "the list", program="-c", login=True)
            assert answers.find(done.stdout) == {"given": "the list"}, done
            said = hosts.ansible_says(node, link, visit.password)
            assert "I am root" in said, said


@pytest.mark.parametrize("name", SUDO)
def test_sudo_with_a_password_works_however_it_asks(hosts: Hosts, name: str) -> None:
    hosts.on(CLASSIC, f"cat >/etc/sudoers.d/variant <<'END'\n{SUDO[name]}\nEND\nchmod 440 /etc/sudoers.d/variant")
    try:
        becomes_root(hosts, CLASSIC)
    finally:
        hosts.on(CLASSIC, "rm /etc/sudoers.d/variant; rm -rf /run/sudo/ts/*")


@pytest.mark.parametrize("name", PAM)
@pytest.mark.parametrize("node", [CLASSIC, RUST])
def test_what_pam_says_before_the_prompt_is_in_nobodys_way(hosts: Hosts, node: str, name: str) -> None:
    hosts.on(node, f"printf '#!/bin/sh\\n%s\\n' \"{WORDS}\" >/usr/local/bin/words; chmod +x /usr/local/bin/words")
    hosts.on(node, f"cp /etc/pam.d/sudo /root/; sed -i '1a {PAM[name]}' /etc/pam.d/sudo")
    try:
        becomes_root(hosts, node)
    finally:
        hosts.on(node, "cp /root/sudo /etc/pam.d/sudo")


def test_an_account_whose_sudo_wants_no_password_may_have_typed_one(hosts: Hosts) -> None:
    alias = hosts.lab.ssh_alias(RUST)
    with connection.connection(alias, "helper", hosts.lab.ssh_config) as link:
        visit = login.visit(link, Entry(HostName(alias, alias), "helper", True), "x")
        assert visit.password == ""
        assert "I am root" in hosts.ansible_says(RUST, link, visit.password)


def test_a_sudo_that_wants_a_terminal_is_told_in_its_own_words(hosts: Hosts) -> None:
    hosts.on(CLASSIC, "echo 'Defaults requiretty' >/etc/sudoers.d/variant")
    alias = hosts.lab.ssh_alias(CLASSIC)
    entry = Entry(HostName(alias, alias), "keeper", True)
    try:
        with connection.connection(alias, "keeper", hosts.lab.ssh_config) as link:
            with pytest.raises(UserError, match=r"wants a terminal from keeper.*must have a tty") as caught:
                login.visit(link, entry, accounts.PASSWORD)
            assert caught.value.exit_code == HOST_UNUSABLE
            remote = Remote(target.real(alias, hosts.lab.ssh_config), link, True, accounts.PASSWORD)
            with pytest.raises(UserError, match=r"wants a terminal.*must have a tty"):
                remote.run(["status"])
            command = caught.value.fix.partition(": ")[2]
            hosts.on(CLASSIC, command)
            assert login.visit(link, entry, accounts.PASSWORD).become, "the cure that was printed, typed"
    finally:
        hosts.on(CLASSIC, "rm -f /etc/sudoers.d/variant /etc/sudoers.d/zz-netplay-relay")


@pytest.mark.parametrize("node", [CLASSIC, RUST])
def test_a_wrong_password_is_told_in_sudos_words_and_soon(hosts: Hosts, node: str) -> None:
    alias = hosts.lab.ssh_alias(node)
    with connection.connection(alias, "keeper", hosts.lab.ssh_config) as link:
        with pytest.raises(UserError, match="did not take that password from keeper"):
            login.visit(link, Entry(HostName(alias, alias), "keeper", True), "guess")
        remote = Remote(target.real(alias, hosts.lab.ssh_config), link, True, "guess")
        with pytest.raises(UserError, match="did not take that password"):
            remote.run(["status"], seconds=25)


def test_a_login_that_dies_in_the_middle_is_known_to_have_begun(hosts: Hosts) -> None:
    alias = hosts.lab.ssh_alias(CLASSIC)
    remote = Remote(
        target.real(alias, hosts.lab.ssh_config), connection.Connection(alias, None, hosts.lab.ssh_config), False
    )
    caught: list[UserError] = []

    def run() -> None:
        try:
            remote.run(["import time; time.sleep(200)"], program="-c", login=True)
        except UserError as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    wait_for(lambda: bool(hosts.on(CLASSIC, "pgrep -f 'time.sleep[(]200' || true").strip()), 60, "the program there")
    hosts.on(CLASSIC, "pkill -f 'sshd: root@[n]otty'")
    thread.join(60)
    assert [error.begun for error in caught] == [True]


@pytest.fixture(scope="module")
def deployed(hosts: Hosts) -> Iterator[Hosts]:
    """Deploy to the host with sudo-rs, as an account whose sudo wants a password."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(hosts.folder / "config"))
        for asking in (deploy, session):
            patch.setattr(asking, "ask_password", lambda _: accounts.PASSWORD)
        place = target.real(hosts.lab.ssh_alias(RUST), hosts.lab.ssh_config)
        assert deploy.deploy(place, Request("keeper", ask_become=True)) > 0
        yield hosts


def listed(hosts: Hosts) -> list[str]:
    """Return who is let in at the host with sudo-rs."""
    program = "/usr/bin/python3 -I /opt/netplay-relay/current/netplay-relay.pyz"
    state = json.loads(hosts.on(RUST, f"{program} gate status --json"))
    return sorted({friend for entry in state["entries"] for friend in entry["friends"]})


def test_a_deployment_and_a_list_of_friends_come_whole_through_sudo_rs(deployed: Hosts) -> None:
    place = target.real(deployed.lab.ssh_alias(RUST), deployed.lab.ssh_config)
    assert listed(deployed) == ["me"], "sudo-rs keeps what comes with the password in one piece"
    commands.add(place, FriendChange("anna", ["203.0.113.7"]), ask_become=True)
    assert listed(deployed) == ["anna", "me"]
    assert commands.fetch(place, ask_become=True)["entries"]


def test_friends_are_added_where_logins_are_limited(deployed: Hosts) -> None:
    place = target.real(deployed.lab.ssh_alias(RUST), deployed.lab.ssh_config)
    deployed.on(RUST, "apt-get install --yes ufw && ufw limit 22/tcp && ufw --force enable")
    try:
        for number in range(4):
            commands.add(place, FriendChange(f"friend{number}", [f"203.0.113.{10 + number}"]), ask_become=True)
        assert len(listed(deployed)) >= 5
    finally:
        deployed.on(RUST, "ufw --force disable")


def test_a_task_as_it_is_typed_goes_by_the_persons_own_configuration(deployed: Hosts) -> None:
    everything = "\n".join(TERMINAL[name] for name in ("remote command", "terminal", "no input", "no session"))
    config = deployed.config("everything", everything)
    argv = [sys.executable, "-m", "invoke", "friends.list", "--json", f"--host={deployed.lab.ssh_alias(RUST)}"]
    done = subprocess.run(
        [*argv, "--ssh-config", str(config)], capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "XDG_CONFIG_HOME": str(deployed.folder / "config")}, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    # Without a terminal nobody can be asked for sudo's password: so far it has to come, and by sudo's own words.
    assert (done.returncode, "--ask-become" in done.stderr) == (HOST_UNUSABLE, True), done.stderr
    assert inventory.files_of(HostName(deployed.lab.ssh_alias(RUST), deployed.lab.ssh_alias(RUST)))
