"""What is asked of a host before anything is changed; its name never becomes anything but a name."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from toolkit.errors import HOST_UNUSABLE, UserError
from toolkit.ssh import connection

if TYPE_CHECKING:
    from tests.unit.toolkit.conftest import FakeSsh

ANSWER = """\
Welcome to myvps = your server!
netplay-relay:uid=1000
netplay-relay:account=admin
netplay-relay:came_from=198.51.100.4
netplay-relay:python=3.11
netplay-relay:sudo=yes
netplay-relay:end=yes
"""
LINK = connection.Connection("myvps", "admin")


def test_answers_are_found_among_whatever_a_login_prints(fake_ssh: FakeSsh) -> None:
    fake_ssh.answers(ANSWER, "a banner\n")
    assert connection.ask(LINK) == connection.Answers(1000, "admin", "198.51.100.4", (3, 11), "yes")


def test_an_answer_is_found_behind_a_greeting_that_does_not_end_its_line(fake_ssh: FakeSsh) -> None:
    fake_ssh.answers(f"Welcome! {ANSWER.partition(chr(10))[2]}")
    assert connection.ask(LINK).uid == 1000


def test_the_host_stands_behind_all_options(fake_ssh: FakeSsh) -> None:
    fake_ssh.answers(ANSWER)
    connection.ask(LINK)
    arguments, _ = fake_ssh.calls[0]
    assert arguments[-3:] == ["--", "myvps", "exec sh -s"]
    assert arguments[arguments.index("-l") + 1] == "admin"
    assert "BatchMode=yes" in arguments


def test_a_password_is_in_no_command_line(fake_ssh: FakeSsh) -> None:
    fake_ssh.answers(ANSWER)
    connection.ask(LINK, "it's $ecret")
    arguments, text = fake_ssh.calls[0]
    assert "ecret" not in " ".join(arguments)
    assert "ecret" in text


def test_a_login_that_runs_no_commands_is_a_sentence(fake_ssh: FakeSsh) -> None:
    fake_ssh.answers("This account is currently not available.\n", "", 1)
    with pytest.raises(UserError, match=r"runs no commands.*currently not available") as caught:
        connection.ask(LINK)
    assert caught.value.exit_code == HOST_UNUSABLE


def test_a_machine_without_ssh_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="no ssh program") as caught:
        connection.ask(LINK)
    assert "openssh-client" in caught.value.fix


@pytest.mark.parametrize(
    ("lines", "hostname", "jumps"),
    [
        ("hostname 203.0.113.7\nport 22\n", "203.0.113.7", False),
        ("hostname inside\nproxyjump gate\n", "inside", True),
        ("hostname inside\nproxycommand nc %h\n", "inside", True),
        ("hostname myvps\nproxycommand none\n", "myvps", False),
    ],
)
def test_ssh_itself_says_where_an_alias_leads(fake_ssh: FakeSsh, lines: str, hostname: str, jumps: bool) -> None:
    fake_ssh.answers(lines)
    found = connection.resolve(LINK)
    assert (found.hostname, found.jumps) == (hostname, jumps)


def test_the_other_family_is_asked_over_a_connection_of_its_own(fake_ssh: FakeSsh, tmp_path: Path) -> None:
    fake_ssh.answers("Welcome!\nnetplay-relay:came_from=198.51.100.4\n")
    assert connection.other_address(connection.Connection("myvps", sockets=tmp_path), 4) == "198.51.100.4"
    arguments, _ = fake_ssh.calls[0]
    assert "-4" in arguments
    assert [argument for argument in arguments if "ControlPath" in argument] == ["ControlPath=none"]


def test_no_way_by_the_other_family_is_no_error(fake_ssh: FakeSsh) -> None:
    fake_ssh.answers("", "connect to host myvps port 22: Network is unreachable\n", 255)
    assert connection.other_address(LINK, 6) is None


def test_the_shared_login_leaves_nothing_behind(fake_ssh: FakeSsh) -> None:
    with connection.connection("myvps") as link:
        assert link.sockets is not None
        (link.sockets / "socket").touch()
        folder = link.sockets
    assert not folder.exists()
    arguments, _ = fake_ssh.calls[0]
    assert arguments[arguments.index("-O") + 1] == "exit"


@pytest.mark.parametrize(
    ("sudo", "expected"),
    [
        (None, "missing"),
        ("#!/bin/sh\nexit 0\n", "yes"),
        ("#!/bin/sh\necho 'a password is required' >&2; exit 1\n", "password"),
    ],
)
def test_the_questions_find_out_about_sudo(tmp_path: Path, sudo: str | None, expected: str) -> None:
    assert asked(tmp_path, sudo, "")["sudo"] == expected


@pytest.mark.parametrize(("typed", "expected"), [("it's $ecret", "yes"), ("guess", "wrong")])
def test_the_questions_try_a_password_that_was_typed(tmp_path: Path, typed: str, expected: str) -> None:
    sudo = '#!/bin/sh\nread -r password\n[ "$password" = "it\'s \\$ecret" ]\n'
    assert asked(tmp_path, sudo, typed)["sudo"] == expected


def asked(folder: Path, sudo: str | None, password: str) -> dict[str, str]:
    """Run the questions in a real shell, as an account that is not root, with this sudo."""
    programs = {"id": "#!/bin/sh\necho 1000\n"} | ({"sudo": sudo} if sudo else {})
    for name, text in programs.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", "-s"],
        input=f"password={shlex.quote(password)}\n{connection.QUESTIONS}",
        capture_output=True, text=True, check=True, timeout=20,
        env={"PATH": str(folder), "SSH_CONNECTION": "198.51.100.4 1 203.0.113.7 22"},
    )  # fmt: skip
    lines = [line.removeprefix(connection.MARK) for line in done.stdout.splitlines()]
    return dict(line.split("=", 1) for line in lines)


def test_the_questions_find_the_hosts_own_routers(tmp_path: Path) -> None:
    ip = tmp_path / "ip"
    ip.write_text(
        '#!/bin/sh\ncase "$1" in\n-4) echo "default via 192.0.2.1 dev eth0 proto dhcp";;\n'
        '-6) echo "default via fe80::1 dev eth0"; echo "default dev wg0";;\nesac\n'
    )
    ip.chmod(0o755)
    assert asked(tmp_path, None, "")["gateways"].split() == ["192.0.2.1", "fe80::1"]
