"""How the relay's program is run on a host: as root or by sudo, with the words of the login, by any login shell."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from relay import service_manager
from toolkit.hosts import gate, remote
from toolkit.hosts import target as places
from toolkit.hosts.remote import Remote
from toolkit.ssh.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from toolkit.errors import UserError

CAME_BY = "203.0.113.5 50000 198.51.100.1 2200"
PROGRAM = """\
import json, os, sys
print(json.dumps({"words": sys.argv[1:], "login": os.environ.get("SSH_CONNECTION"), "given": sys.stdin.read()}))
"""
SSH = """#!/bin/sh
for command; do :; done
SSH_CONNECTION={came_by!r} PATH={path!r} exec sh -c "$command"
"""
# It takes no password where it is told so, and hands no environment on, as sudo's env_reset has it.
SUDO = """#!/bin/sh
password=""
while :; do case "$1" in -S) password=yes; shift ;; -p) shift 2 ;; -*) shift ;; *) break ;; esac; done
if [ -n '{asks}' ]; then
    if [ -z "$password" ]; then echo 'sudo: a password is required' >&2; exit 1; fi
    read -r typed; [ "$typed" = '{asks}' ] || exit 1
fi
exec /usr/bin/env -i "$@"
"""


MANAGERS = {
    "systemd": ("systemctl status netplay-relay", "journalctl -u netplay-relay -n 100"),
    "openrc": ("rc-service netplay-relay status", "tail -n 100 /var/log/netplay-relay.log"),
    "runit": ("sv status netplay-relay", "tail -n 100 /var/log/netplay-relay/current"),
}


class Host:
    """A host behind a fake ssh: who logs in there, what its sudo asks for (None: there is none), and our program."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self.path = folder / "there"
        self.path.mkdir()
        for name in ("sh", "true"):
            (self.path / name).symlink_to(shutil.which(name) or name)
        here = folder / "here"
        here.mkdir()
        self._program(here / "ssh", SSH.format(came_by=CAME_BY, path=str(self.path)))
        monkeypatch.setenv("PATH", f"{here}:/usr/bin:/bin")
        (folder / "program.py").write_text(PROGRAM)

    def _program(self, path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def has(self, uid: int, asks: str | None = None) -> None:
        """Let an account log in."""
        self._program(self.path / "id", f"#!/bin/sh\necho {uid}\n")
        if asks is not None:
            self._program(self.path / "sudo", SUDO.format(asks=asks))

    def run(self, password: str = "", *, become: bool = True, **options: Any) -> dict[str, Any]:
        """Run the program with words and a text; return what it saw."""
        remote = Remote(places.real("myvps"), Connection("myvps"), become, password)
        program = str(self._folder / "program.py")
        done = remote.run(["gate", "it's; $HOME"], "the list", program=program, **options)
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        assert answer["words"][:2] == ["gate", "it's; $HOME"]
        assert answer["given"] == "the list"
        return answer


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


@pytest.mark.parametrize("password", ["", "it is $ecret"])
def test_root_needs_no_sudo_whatever_was_typed_once(host: Host, password: str) -> None:
    """--become stays in the inventory; a small Debian or Alpine has no sudo at all."""
    host.has(0)
    assert host.run(password)["login"] == CAME_BY


@pytest.mark.parametrize(("asks", "password"), [("", ""), ("", "it is $ecret"), ("it is $ecret", "it is $ecret")])
def test_an_account_goes_by_sudo(host: Host, asks: str, password: str) -> None:
    host.has(1000, asks)
    assert host.run(password)["login"] is None, "else this is no sudo"


@pytest.mark.parametrize(("asks", "password"), [("", ""), ("", "it is $ecret"), ("it is $ecret", "it is $ecret")])
def test_the_login_it_comes_by_is_told_through_sudo(host: Host, asks: str, password: str) -> None:
    host.has(1000, asks)
    assert host.run(password, login=True)["words"][2:] == ["--login", CAME_BY]


def test_the_login_is_in_the_environment_where_there_is_no_sudo(host: Host) -> None:
    host.has(1000)
    found = host.run(become=False, login=True)
    assert (found["words"][2:], found["login"]) == ([], CAME_BY)


def test_a_push_tells_the_login(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[bool] = []

    def ask(_remote: Remote, arguments: list[str], *_: object, login: bool = False) -> dict[str, Any]:
        assert arguments[0] == "apply"
        told.append(login)
        return {"token": None}

    monkeypatch.setattr(gate, "ask", ask)
    gate.push(Remote(places.real("myvps"), Connection("myvps"), become=True), "", Path("friends.toml"))
    assert told == [True]


@pytest.fixture
def kept_by(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return what lets a service manager run on the host, where the relay is deployed to."""
    root = tmp_path / "root"
    managers = [(f"{str(root)[1:]}/{path}", typed) for path, typed in service_manager.MANAGERS]
    monkeypatch.setattr(service_manager, "MANAGERS", tuple(managers))
    monkeypatch.setattr(remote, "PROGRAM", str(root / "current" / "netplay-relay.pyz"))
    (root / "release").mkdir(parents=True)
    (root / "current").symlink_to("release")

    def make(manager: str) -> None:
        places = {"systemd": "run/systemd/system", "openrc": "run/openrc", "runit": "run/runit"}
        (root / places[manager]).mkdir(parents=True)

    return make


def failed(uid: int, host: Host, password: str = "", *, become: bool = True) -> UserError:
    host.has(uid, None if uid == 0 else password)
    done = subprocess.CompletedProcess([], 1, "", "Traceback\nValueError: it broke\n")
    return Remote(places.real("myvps"), Connection("myvps", "anna"), become, password).failed(done)


@pytest.mark.parametrize("manager", MANAGERS)
def test_after_a_failure_one_is_told_to_look_in_the_words_of_the_hosts_service_manager(
    host: Host, kept_by: Callable[[str], None], manager: str
) -> None:
    """A command of another service manager's would send its owner the wrong way."""
    kept_by(manager)
    status, log = MANAGERS[manager]
    error = failed(1000, host)
    assert error.message == "on myvps: ValueError: it broke"
    assert error.fix == (f"Look at it by hand: ssh -l anna myvps sudo {status}\nIts log: ssh -l anna myvps sudo {log}")


@pytest.mark.parametrize(
    ("uid", "password", "become", "typed"),
    [
        (0, "", False, "ssh -l anna myvps systemctl"),
        (0, "", True, "ssh -l anna myvps systemctl"),
        (1000, "", True, "ssh -l anna myvps sudo systemctl"),
        (1000, "it is $ecret", True, "ssh -t -l anna myvps sudo systemctl"),
    ],
)
def test_what_one_is_told_to_type_works_for_the_account_that_logged_in(
    host: Host, kept_by: Callable[[str], None], uid: int, password: str, become: bool, typed: str
) -> None:
    """Root may have no sudo there; who has to type sudo's password needs a terminal for it."""
    kept_by("systemd")
    assert f" {typed} " in failed(uid, host, password, become=become).fix


def test_the_log_of_a_package_is_looked_for_where_it_writes_it(
    host: Host, kept_by: Callable[[str], None], tmp_path: Path
) -> None:
    """A package's program stands in a folder; no link leads to a release."""
    kept_by("runit")
    (tmp_path / "root" / "current").unlink()
    assert "tail -n 100 /var/log/socklog/everything/current" in failed(0, host).fix


@pytest.mark.usefixtures("kept_by")
def test_a_host_that_does_not_tell_its_service_manager_is_left_to_be_looked_at(host: Host) -> None:
    """So is one that was lost meanwhile."""
    assert failed(0, host).fix == "Look at it by hand: ssh -l anna myvps"
    (host.path / "sh").unlink()
    assert failed(0, host).fix == "Look at it by hand: ssh -l anna myvps"
