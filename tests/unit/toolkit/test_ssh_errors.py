"""Every way in which ssh fails becomes a sentence that names the host, and something to type."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from toolkit.errors import HOST_UNUSABLE
from toolkit.ssh.connection import Connection
from toolkit.ssh.errors import TABLE, explain

LINK = Connection("myvps", "admin")
CHANGED = """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
Offending ED25519 key in /home/me/.ssh/known_hosts:7
  remove with:
  ssh-keygen -f "/home/me/.ssh/known_hosts" -R "[203.0.113.7]:2222"
Host key verification failed.
"""
KEY_OPEN = """\
@         WARNING: UNPROTECTED PRIVATE KEY FILE!          @
Permissions 0644 for '/home/me/.ssh/id' are too open.
admin@203.0.113.7: Permission denied (publickey).
"""
# What ssh says, what the person reads, what they are told to type.
CASES = [
    ("ssh: Could not resolve hostname myvps: Name or service not known", "known by the name myvps", "HostName"),
    (CHANGED, "another host key", "ssh-keygen -R myvps -f /home/me/.ssh/known_hosts"),
    ("Host key verification failed.", "never met myvps", "ssh -l admin myvps"),
    (KEY_OPEN, "does not use the key /home/me/.ssh/id", "chmod 600 /home/me/.ssh/id"),
    ("Bad owner or permissions on /home/me/.ssh/config", "/home/me/.ssh/config", "chmod go-w /home/me/.ssh/config"),
    ("/home/me/.ssh/config: line 3: Bad configuration option: hots", "config:3: there is no option hots", "that line"),
    (
        "Can't open user config file /nowhere: No such file or directory",
        "no ssh configuration /nowhere",
        "--ssh-config",
    ),
    ("Received disconnect from 203.0.113.7: Too many authentication failures", "too many keys", "IdentitiesOnly yes"),
    ("admin@203.0.113.7: Permission denied (publickey).", "does not let us in as admin", "ssh-copy-id admin@myvps"),
    (
        "Your account has expired; please contact your system administrator.\nConnection closed by 203.0.113.7 port 22",
        "it said: Your account has expired; please contact your system administrator.",
        "chage -l",
    ),
    ("ssh: connect to host myvps port 22: Connection refused", "nothing answers on its ssh port", "Port N"),
    ("ssh: connect to host myvps port 22: Connection timed out", "does not answer", "ssh -l admin myvps"),
    ("ssh: connect to host myvps port 22: No route to host", "no way from this machine", "ssh -l admin myvps"),
    ("channel 0: open failed: administratively prohibited: open failed", "jump host", "ssh -l admin myvps"),
    ("Unable to negotiate: no matching host key type found. Their offer: ssh-dss", "host key type", "Update ssh"),
    ("kex_exchange_identification: Connection closed by remote host", "hung up", "Wait a minute"),
]


@pytest.mark.parametrize(("said", "sentence", "fix"), CASES)
def test_what_ssh_says_becomes_a_sentence_and_a_command(said: str, sentence: str, fix: str) -> None:
    error = explain(LINK, said + "\n")
    assert sentence in error.message
    assert fix in error.fix
    assert error.exit_code == HOST_UNUSABLE
    assert "{" not in str(error)


def test_what_nobody_foresaw_is_passed_on() -> None:
    error = explain(LINK, "debug\nssh: something new\n\n")
    assert "myvps" in error.message
    assert "ssh: something new" in error.message


def test_every_row_of_the_table_has_a_case_that_reaches_it() -> None:
    reached = {
        next(row for row, (pattern, _, _) in enumerate(TABLE) if re.search(pattern, said)) for said, _, _ in CASES
    }
    assert reached == set(range(len(TABLE)))


@pytest.fixture
def link(tmp_path: Path) -> Connection:
    """Return a host whose only key stands in a folder with a space in its name."""
    key = tmp_path / "my keys" / "id"
    key.parent.mkdir()
    config = tmp_path / "config"
    config.write_text(f'Host myvps\n  HostName 203.0.113.7\n  Port 2222\n  IdentityFile "{key}"\n')
    return Connection("myvps", "admin", config)


def make_key(tmp_path: Path, passphrase: str) -> Path:
    key = tmp_path / "my keys" / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", key], check=True)
    return key


def test_a_key_that_is_locked_is_opened_first(
    link: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    key = make_key(tmp_path, "secret words")
    fix = explain(link, "admin@203.0.113.7: Permission denied (publickey).\n").fix
    assert f"""eval "$(ssh-agent)" && ssh-add '{key}'\n""" in fix


@pytest.mark.parametrize("there", [True, False])
def test_a_key_without_a_passphrase_or_none_is_not_opened(link: Connection, tmp_path: Path, there: bool) -> None:
    if there:
        make_key(tmp_path, "")
    assert "ssh-add" not in explain(link, "admin@203.0.113.7: Permission denied (publickey).\n").fix


def test_a_host_key_is_forgotten_in_a_file_whose_path_has_a_space(link: Connection) -> None:
    said = CHANGED.replace("/home/me/.ssh/", "/home/me/my hosts/")
    assert "ssh-keygen -R '[203.0.113.7]:2222' -f '/home/me/my hosts/known_hosts'\n" in explain(link, said).fix
