"""One host over ssh: the options every part of a deployment shares, and a question or two before anything is changed.

The person's own ssh settings rule (user, port, key, jump hosts, known hosts): nothing of them is parsed here. What ssh
makes of them is asked of ssh itself (`ssh -G`), and what it says when it fails is in toolkit/ssh_errors.py.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.errors import HOST_UNUSABLE, UserError
from toolkit.ssh_errors import explain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CONNECT_SECONDS = 15
# A person may be asked for a passphrase or a host key's fingerprint meanwhile.
ANSWER_SECONDS = 180
MARK = "netplay-relay:"

# Runs under the login shell's `sh`, whatever that is; each answer carries a mark, because a login may print anything.
WHENCE = f"""
say() {{ printf '{MARK}%s=%s\\n' "$1" "$2"; }}
say came_from "${{SSH_CONNECTION%% *}}"
"""
QUESTIONS = f"""{WHENCE}
say uid "$(id -u)"
say account "$(id -un)"
if [ -x /usr/bin/python3 ]; then
    say python "$(/usr/bin/python3 -I -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)"
fi
if [ "$(id -u)" = 0 ]; then say sudo root
elif ! command -v sudo >/dev/null 2>&1; then say sudo missing
elif [ -n "$password" ]; then
    if printf '%s\\n' "$password" | sudo -k -S -p '' true >/dev/null 2>&1; then say sudo yes; else say sudo wrong; fi
elif sudo -n true >/dev/null 2>&1; then say sudo yes
else say sudo password
fi
say end yes
"""


@dataclass(frozen=True, slots=True)
class Connection:
    """How ssh reaches a host: its alias, what was asked for beside the ssh config, a folder for the shared socket."""

    alias: str
    user: str | None = None
    config: Path | None = None
    sockets: Path | None = None

    @property
    def options(self) -> list[str]:
        """Options for ssh, the same for our questions and for ansible: one login serves the whole deployment."""
        chosen = ["-F", str(self.config)] if self.config else []
        chosen += ["-o", f"ConnectTimeout={CONNECT_SECONDS}", "-o", "ServerAliveInterval=10"]
        if not sys.stdin.isatty():
            chosen += ["-o", "BatchMode=yes"]  # nobody is there to answer
        if self.sockets:
            chosen += ["-o", "ControlMaster=auto", "-o", "ControlPersist=60", "-o", f"ControlPath={self.sockets}/%C"]
        return chosen

    def argv(self, command: str = "", *, options: Sequence[str] = ()) -> list[str]:
        """Return the command line of ssh; command is for the shell over there, and never made of input."""
        user = ["-l", self.user] if self.user else []
        return ["ssh", *self.options, *user, *options, "--", self.alias, *([command] if command else [])]

    @property
    def typed(self) -> str:
        """What a person types to get there."""
        config = ["-F", str(self.config)] if self.config else []
        user = ["-l", self.user] if self.user else []
        return shlex.join(["ssh", *config, *user, self.alias])


@dataclass(frozen=True, slots=True)
class Answers:
    """What the host said: uid, account, the address we come from (as the host sees it), its Python, its sudo."""

    uid: int
    account: str
    came_from: str
    python: tuple[int, int] | None
    sudo: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """What ssh makes of an alias: the name or address it connects to, and whether it goes through another host."""

    hostname: str
    jumps: bool
    fields: dict[str, str] = field(default_factory=dict)


@contextmanager
def connection(alias: str, user: str | None = None, config: Path | None = None) -> Iterator[Connection]:
    """Yield a Connection whose one login is shared and closed at the end."""
    # Not below the person's own folders: a socket's path may be 104 bytes long, and %C takes 40 of them.
    with tempfile.TemporaryDirectory(prefix="netplay-relay-ssh-", dir="/tmp") as folder:  # mode 0700
        link = Connection(alias, user, config, Path(folder))
        try:
            yield link
        finally:
            if any(Path(folder).iterdir()):
                subprocess.run(
                    link.argv(options=["-O", "exit"]), capture_output=True, check=False, timeout=CONNECT_SECONDS
                )


def resolve(link: Connection) -> Resolved:
    """Ask ssh what it makes of the alias (no connection is made). Raises UserError for a broken ssh config."""
    done = _run(link, ["ssh", *link.options, "-G", "--", link.alias], "")
    if done.returncode != 0:
        raise explain(link, done.stderr)
    fields = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    jumps = any(fields.get(key, "none") != "none" for key in ("proxyjump", "proxycommand"))
    return Resolved(fields.get("hostname", link.alias), jumps, fields)


def ask(link: Connection, password: str = "") -> Answers:
    """Log in and ask what must be known before anything else. Raises UserError when there is no way in.

    password is sudo's, if the person typed one; it travels inside the encrypted connection and is in no process list.
    """
    script = f"password={shlex.quote(password)}\n{QUESTIONS}"
    done = _run(link, link.argv("exec sh -s"), script)
    said = _marked(done.stdout)
    if "end" not in said:
        raise explain(link, done.stderr) if done.returncode == 255 else _no_shell(link, done)
    major, _, minor = said.get("python", "").partition(".")
    python = (int(major), int(minor)) if major.isdigit() and minor.isdigit() else None
    return Answers(int(said["uid"]), said["account"], said["came_from"], python, said["sudo"])


def other_address(link: Connection, family: int) -> str | None:
    """Return the address the host sees us from over IPv4 (4) or IPv6 (6), None when there is no way by that family."""
    alone = Connection(link.alias, link.user, link.config)
    done = _run(alone, alone.argv("exec sh -s", options=[f"-{family}", "-o", "BatchMode=yes"]), WHENCE)
    return _marked(done.stdout).get("came_from") or None


def _marked(text: str) -> dict[str, str]:
    """Return the marked answers; what a login prints may stand before them, on the same line too."""
    lines = (line.partition(MARK)[2] for line in text.splitlines())
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _run(link: Connection, argv: list[str], text: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C"}  # ssh's reasons come from the C library, in the person's language
    try:
        return subprocess.run(
            argv, input=text, capture_output=True, text=True, errors="replace", env=environment, check=False,
            timeout=ANSWER_SECONDS,
        )  # fmt: skip
    except FileNotFoundError:
        raise UserError(
            "there is no ssh program on this machine", fix="apt-get install openssh-client", exit_code=HOST_UNUSABLE
        ) from None
    except subprocess.TimeoutExpired:
        raise UserError(
            f"{link.alias} let us in, and then said nothing for {ANSWER_SECONDS} s",
            fix=f"Look at it by hand: {link.typed}",
            exit_code=HOST_UNUSABLE,
        ) from None


def _no_shell(link: Connection, done: subprocess.CompletedProcess[str]) -> UserError:
    words = (done.stdout + done.stderr).strip().splitlines()
    said = f" (it said: {words[-1].strip()})" if words else ""
    return UserError(
        f"the login on {link.alias} works, but runs no commands{said}",
        fix="Use an account with an ordinary shell: invoke deploy --host " + f"{link.alias} --user NAME",
        exit_code=HOST_UNUSABLE,
    )
