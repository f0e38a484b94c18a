"""invoke deploy against a lab host that is reached as any host is: by ssh, from outside, as friend or stranger."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import accounts as sudoers
from tests.support.labs import a_lab
from toolkit.console import ROOT
from toolkit.deploy import run
from toolkit.deploy.run import Request
from toolkit.errors import BAD_INPUT, HOST_UNUSABLE, PREFLIGHT_REFUSED
from toolkit.hosts import login, target
from toolkit.hosts.inventory import Entry
from toolkit.hosts.names import HostName
from toolkit.lab import DEFAULT_SPEC, Lab
from toolkit.ssh import connection
from toolkit.testbed.look_at_host import settled

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

PORT = 55435
# Everything a deployment could leave on a host, with times: compared before and after, and so are the rules.
TRACES = (
    "getent passwd netplay-relay;"
    "find /etc/netplay-relay /opt/netplay-relay /etc/systemd/system -printf '%p %T@ %m\\n';"
    "systemctl list-units --all --plain --no-legend 'netplay*'"
)


@dataclass(frozen=True)
class Owner:
    """The person who deploys: a lab, the host's name in it, and a configuration folder of their own."""

    lab: Lab
    folder: Path

    @property
    def alias(self) -> str:
        """What the host is called in the lab's ssh configuration."""
        return self.lab.ssh_alias("relay")

    @property
    def files(self) -> Path:
        """Where the host's files are kept."""
        return self.folder / "netplay-relay" / "hosts" / self.alias

    def deploys(self, *words: str, host: str = "", config: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Type invoke deploy."""
        argv = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), "deploy", f"--host={host or self.alias}"]
        argv += ["--ssh-config", str(config or self.lab.ssh_config), *words]
        environment = {**os.environ, "XDG_CONFIG_HOME": str(self.folder)}
        return subprocess.run(
            argv, capture_output=True, text=True, check=False, timeout=280, env=environment, stdin=subprocess.DEVNULL
        )

    def on_host(self, script: str) -> str:
        """Run a script on the host as root and return what it said."""
        argv = self.lab.inside("relay", ["sh", "-c", script])
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60).stdout

    def traces(self) -> str:
        """Return what a deployment could leave on the host."""
        return settled(self.on_host("nft --stateless list ruleset")) + self.on_host(TRACES)

    def ssh_config(self, name: str, *lines: str) -> Path:
        """Write an ssh configuration: these lines for the host, then what the lab's says."""
        path = self.folder.parent / name
        own = "\n".join([f"Host {self.alias}", *(f"  {line}" for line in lines)])
        path.write_text(f"{own}\n\n{self.lab.ssh_config.read_text()}")
        path.chmod(0o600)
        return path

    def probe(self, who: str, address: str, *, good: bool) -> None:
        """Run the proof at a node of the lab."""
        argv = [
            sys.executable,
            "-m",
            "toolkit.deploy.probe",
            "friend" if who == "friend" else "stranger",
            address,
            str(PORT),
        ]
        done = subprocess.run(
            self.lab.command(who, argv), capture_output=True, text=True, check=False, timeout=60, cwd=ROOT
        )
        assert json.loads(done.stdout)["good"] is good, done.stdout


@dataclass(frozen=True)
class Story:
    """A first deployment, looked at before and after: what was said, and what was on the host."""

    owner: Owner
    bare: str
    looked: subprocess.CompletedProcess[str]
    after_look: str
    made_by_look: list[Path]
    first: subprocess.CompletedProcess[str]
    deployed: str
    second: subprocess.CompletedProcess[str]
    after_second: str


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owner]:
    """Yield somebody with a fresh lab and no files yet."""
    with a_lab(*DEFAULT_SPEC.nodes) as lab:
        owner = Owner(lab, tmp_path_factory.mktemp("deploy") / "config")
        # Whoever logs in is greeted, commands too: nothing we ask may take that for an answer.
        owner.on_host("sed -i '1i echo Welcome to [the] {host}' /root/.bashrc || echo 'echo Welcome' >/root/.bashrc")
        yield owner


@pytest.fixture(scope="module")
def story(owner: Owner) -> Story:
    """Look, deploy, deploy again."""
    friend = f"--friend=friend={owner.lab.node('friend').ipv4}"
    bare = owner.traces()
    looked = owner.deploys("--check", friend)
    after_look, made = owner.traces(), [*owner.folder.rglob("*")]
    first = owner.deploys(friend)
    deployed = owner.traces()
    second = owner.deploys()
    return Story(owner, bare, looked, after_look, made, first, deployed, second, owner.traces())


def test_a_look_ahead_shows_a_diff_and_changes_nothing_anywhere(story: Story) -> None:
    assert story.looked.returncode == 0, story.looked.stderr
    assert "would change" in story.looked.stdout
    assert f"{story.owner.lab.node('friend').ipv4}/32 would be let in" in story.looked.stdout
    assert story.after_look == story.bare
    assert story.made_by_look == []


def test_a_deployment_ends_with_what_everybody_types_next(story: Story) -> None:
    assert story.first.returncode == 0, story.first.stdout + story.first.stderr
    address = story.owner.lab.node("relay").ipv4
    for line in (
        f"Custom Relay Server Address   {address}|{PORT}",
        f'netplay_custom_mitm_server = "{address}|{PORT}"',
        f"retroarch -C '{address}|{PORT}'",
        f"invoke friends.add anna --ip 203.0.113.7 --host {story.owner.alias}",
    ):
        assert line in story.first.stdout


def test_this_machine_becomes_a_friend_and_the_proof_runs_from_it(story: Story) -> None:
    friends = (story.owner.files / "friends.toml").read_text()
    assert 'name = "me"' in friends
    assert 'name = "friend"' in friends
    assert "played through it both ways" in story.first.stdout


def test_deploying_again_changes_nothing_and_says_so(story: Story) -> None:
    assert story.second.returncode == 0, story.second.stderr
    assert f"0 changed on {story.owner.alias}" in story.second.stdout
    assert story.after_second == story.deployed
    assert story.deployed != story.bare


def test_a_friend_gets_in_and_a_stranger_does_not(story: Story) -> None:
    story.owner.probe("friend", story.owner.lab.node("relay").ipv4, good=True)
    story.owner.probe("stranger", story.owner.lab.node("relay").ipv4, good=True)
    story.owner.probe("stranger", story.owner.lab.node("relay").ipv6, good=True)


def refused(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """Assert that it ended with this code and a sentence, and no traceback."""
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_a_key_the_host_does_not_know_is_refused(owner: Owner) -> None:
    key = owner.folder.parent / "another key"
    if not key.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True, timeout=30)
    config = owner.ssh_config("wrong-key", f'IdentityFile "{key}"')
    lines = [line for line in config.read_text().splitlines() if "id_ed25519" not in line]
    config.write_text("\n".join(lines) + "\n")
    refused(owner.deploys(config=config), HOST_UNUSABLE, f"{owner.alias} does not let us in as root", "ssh-copy-id")


def test_a_host_with_another_key_than_before_is_refused(owner: Owner) -> None:
    known = owner.folder.parent / "known_hosts"
    other = (owner.lab.ssh_config.parent / "id_ed25519.pub").read_text().split()[:2]
    known.write_text(f"{owner.alias} {' '.join(other)}\n")
    config = owner.ssh_config("changed", f"UserKnownHostsFile {known}")
    refused(owner.deploys(config=config), HOST_UNUSABLE, "another host key", "ssh-keygen")


def test_a_host_never_met_is_refused(owner: Owner) -> None:
    config = owner.ssh_config("unmet", "UserKnownHostsFile none")
    refused(owner.deploys(config=config), HOST_UNUSABLE, f"has never met {owner.alias}", "compare the fingerprint")


def test_a_name_nobody_knows_is_refused(owner: Owner) -> None:
    # Two dots: no name, so that nobody is asked for it.
    config = owner.ssh_config("unknown", "HostName nobody..invalid")
    refused(owner.deploys(config=config), HOST_UNUSABLE, "known by the name nobody..invalid", "HostName")


def test_an_address_where_no_ssh_answers_is_refused(owner: Owner) -> None:
    config = owner.ssh_config("port", "Port 9")
    refused(owner.deploys(config=config), HOST_UNUSABLE, "nothing answers on its ssh port")


@pytest.mark.parametrize("name", ["x; id", "my vps", "-oProxyCommand=id", "$(id)", ""])
def test_a_name_that_a_shell_could_run_is_refused(owner: Owner, name: str) -> None:
    done = owner.deploys(host=name or " ")
    refused(done, BAD_INPUT, "is not the name of a host")
    assert "uid=" not in done.stdout + done.stderr


@pytest.fixture(scope="module")
def accounts(owner: Owner) -> Owner:
    """Give the host accounts: plain may not use sudo, keeper may with a password, helper without."""
    owner.on_host(sudoers.made("plain", "keeper", "helper"))
    return owner


def test_an_account_that_is_not_root_is_told_about_sudo(accounts: Owner) -> None:
    refused(accounts.deploys("--user", "helper"), HOST_UNUSABLE, "helper on", "is not root", "--become")


@pytest.mark.parametrize("name", ["plain", "keeper"])
def test_an_account_that_cannot_use_sudo_without_a_password_is_told_so(accounts: Owner, name: str) -> None:
    done = accounts.deploys("--user", name, "--become")
    refused(done, HOST_UNUSABLE, f"asks {name} for a password", "--ask-become", "NOPASSWD")


def test_asking_for_a_password_without_a_terminal_is_refused(accounts: Owner) -> None:
    refused(accounts.deploys("--user", "keeper", "--ask-become"), BAD_INPUT, "no terminal to ask on")


def test_a_login_with_a_password_for_sudo_finds_that_it_is_right_or_wrong(accounts: Owner) -> None:
    host = HostName(accounts.alias, accounts.alias)
    with connection.connection(accounts.alias, "keeper", accounts.lab.ssh_config) as link:
        assert connection.ask(link, "it is $ecret").sudo == "yes"
        assert connection.ask(link, "it's $ecret").sudo == "wrong"
        assert login.visit(link, Entry(host, "keeper", True), "it is $ecret").become


def test_the_playbook_runs_through_sudo_with_the_password(
    story: Story, accounts: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(story.owner.folder))
    monkeypatch.setattr(run, "ask_password", lambda _: "it is $ecret")
    before = (story.owner.files / "inventory.yml").read_text()
    place = target.real(accounts.alias, accounts.lab.ssh_config)
    assert run.deploy(place, Request("keeper", ask_become=True, check=True)) == 0
    assert (story.owner.files / "inventory.yml").read_text() == before


@contextmanager
def somebody_listens(owner: Owner, port: int) -> Iterator[None]:
    """Let a program on the host have a port."""
    owner.on_host(f"systemd-run --unit=squatter python3 -m http.server {port}")
    owner.on_host(f"for i in $(seq 100); do ss -Hltn 'sport = :{port}' | grep -q . && exit; sleep 0.1; done")
    try:
        yield
    finally:
        owner.on_host("systemctl stop squatter")


def test_a_port_that_somebody_has_is_refused_and_nothing_is_changed(story: Story, tmp_path: Path) -> None:
    owner = Owner(story.owner.lab, tmp_path / "config")
    owner.files.mkdir(parents=True)
    (owner.files / "relay.toml").write_text("[listen]\nport = 7777\n")
    with somebody_listens(owner, 7777):
        before = owner.traces()
        done = owner.deploys()
        refused(done, PREFLIGHT_REFUSED, "7777", "python3", "relay.toml", "left as it is")
        assert owner.traces() == before


def test_a_host_without_python_is_told_how_to_get_it(owner: Owner) -> None:
    owner.on_host("mv /usr/bin/python3 /usr/bin/python3.away")
    try:
        refused(owner.deploys(), HOST_UNUSABLE, "has no Python at /usr/bin/python3", "apt-get install")
    finally:
        owner.on_host("mv /usr/bin/python3.away /usr/bin/python3")


def test_a_host_behind_a_jump_host_is_reached_and_its_view_of_us_not_trusted(owner: Owner) -> None:
    config = owner.folder.parent / "jump"
    inner = owner.lab.ssh_config.read_text().replace(f"Host {owner.alias}\n", "Host behind\n")
    assert "Host behind\n" in inner
    config.write_text(f"Host behind\n  ProxyJump {owner.alias}\n\n{inner}\n{owner.lab.ssh_config.read_text()}")
    config.chmod(0o600)
    with connection.connection("behind", None, config) as link:
        visit = login.visit(link, Entry(HostName("behind", "behind")))
    assert (visit.account, visit.jumps, visit.my_addresses()) == ("root", True, [])


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("relay.toml", "[listen]\nporrt = 1\n", ("relay.toml:2:", "Did you mean port?")),
        ("relay.toml", "[listen]\nport = 'x'\n", ("relay.toml:2:", "must be a port")),
        ("relay.toml", "[listen]\naddress = '::'\n", ("relay.toml:2:", "now called listen.bind")),
        ("friends.toml", '[[friend]]\nname = "a"\nip = "10.0.0.256"\n', ("friends.toml:3:", "10.0.0.256")),
        ("inventory.yml", "relays: [\n", ("inventory.yml:2:", "not YAML")),
    ],
)
def test_a_broken_file_is_refused_with_its_line(
    owner: Owner, tmp_path: Path, name: str, text: str, words: tuple[str, ...]
) -> None:
    fresh = Owner(owner.lab, tmp_path / "config")
    fresh.files.mkdir(parents=True)
    (fresh.files / name).write_text(text)
    # A host that cannot be reached: the files are read first.
    refused(fresh.deploys(config=owner.ssh_config("port", "Port 9")), BAD_INPUT, *words)
    assert [path.name for path in fresh.files.iterdir()] == [name]
