"""One host over ssh: the options every part of a deployment shares, and a question or two before anything is changed.

The person's own ssh settings rule (user, port, key, jump hosts, known hosts): nothing of them is parsed here. What ssh
makes of them is asked of ssh itself (`ssh -G`), and what it says when it fails is in toolkit/ssh/errors.py.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.errors import HOST_UNUSABLE, UserError
from toolkit.ssh import answers, bounded, shapes
from toolkit.ssh.errors import broken, explain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CONNECT_SECONDS = 15
# A person may be asked for a passphrase or a host key's fingerprint meanwhile.
ANSWER_SECONDS = 180
# Bytes: what is asked here is answered in a few lines; a login may greet at length.
MOST_ANSWER = 1_000_000
MARK = "netplay-relay:"
# What the person's configuration may say for themselves at a terminal, and what would keep a program from its answer:
# forwardings that are taken already, another command, a terminal, no input, a connection shared with their windows.
# Where a host is and how it is reached stays theirs. Read option by option: ssh_config(5).
OFF = (
    "ClearAllForwardings=yes", "ExitOnForwardFailure=no", "ForwardAgent=no", "ForwardX11=no", "Tunnel=no",
    "RemoteCommand=none", "RequestTTY=no", "EscapeChar=none", "PermitLocalCommand=no", "VisualHostKey=no",
    "LogLevel=INFO", "UpdateHostKeys=no", "ConnectionAttempts=1", "ServerAliveCountMax=3",
)  # fmt: skip
# The same, of releases that know them; an older ssh takes them neither here nor from the person.
OFF_SINCE = (8, 7)
OFF_IN_NEWER = ("StdinNull=no", "ForkAfterAuthentication=no")
# Not for sftp, which asks for a session of its own kind.
SESSION = ("-o", "SessionType=default")
UNSHARED = ("ControlMaster=no", "ControlPath=none", "ControlPersist=no")

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
elif [ -n "$password" ] && sudo -k -n true </dev/null >/dev/null 2>&1; then say sudo free
elif [ -n "$password" ]; then
    if said=$(printf '%s\\n' "$password" | LC_ALL=C sudo -k -S -p '' true 2>&1 >/dev/null); then say sudo yes
    else say sudo wrong; fi
elif said=$(LC_ALL=C sudo -n true 2>&1 </dev/null >/dev/null); then say sudo yes
else say sudo password
fi
joined() {{ IFS='
'; set -f; set -- $1; IFS='|'; printf '%s' "$*"; }}
say sudo_said "$(joined "$said")"
routes=$(ip -4 route show default 2>/dev/null; ip -6 route show default 2>/dev/null)
say gateways "$(set -- $routes; while [ $# -gt 1 ]; do [ "$1" = via ] && printf '%s ' "$2"; shift; done)"
say end yes
"""


@dataclass(frozen=True, slots=True)
class Connection:
    """How ssh reaches a host: its alias, what was asked for beside the ssh config, a folder for the shared socket.

    connect_seconds: how long it is waited for a way in.
    """

    alias: str
    user: str | None = None
    config: Path | None = None
    sockets: Path | None = None
    connect_seconds: int = CONNECT_SECONDS

    @property
    def options(self) -> list[str]:
        """Options for ssh, the same for our questions and for ansible: one login serves the whole deployment."""
        chosen = ["-F", str(self.config)] if self.config else []
        ours = [f"ConnectTimeout={self.connect_seconds}", "ServerAliveInterval=10", *OFF]
        ours += OFF_IN_NEWER if release() >= OFF_SINCE else ()
        ours += [] if sys.stdin.isatty() else ["BatchMode=yes"]  # nobody is there to answer
        if self.sockets:
            ours += ["ControlMaster=auto", "ControlPersist=60", f"ControlPath={self.sockets}/%C"]
        else:
            ours += UNSHARED
        return [*chosen, *(word for option in ours for word in ("-o", option))]

    @property
    def session(self) -> list[str]:
        """Options beside these for ssh itself, and not for sftp."""
        return list(SESSION) if release() >= OFF_SINCE else []

    def argv(self, command: str = "", *, options: Sequence[str] = ()) -> list[str]:
        """Return the command line of ssh; command is for the shell over there, and never made of input."""
        user = ["-l", self.user] if self.user else []
        return ["ssh", *self.options, *self.session, *user, *options, "--", self.alias, *([command] if command else [])]

    @property
    def typed(self) -> str:
        """What a person types to get there."""
        config = ["-F", str(self.config)] if self.config else []
        user = ["-l", self.user] if self.user else []
        return shlex.join(["ssh", *config, *user, self.alias])

    @property
    def typed_copy(self) -> str:
        """What a person types to put their key there."""
        config = ["-F", str(self.config)] if self.config else []
        return shlex.join(["ssh-copy-id", *config, f"{self.user}@{self.alias}" if self.user else self.alias])


@dataclass(frozen=True, slots=True)
class Answers:
    """What the host said: uid, account, the address we come from (as the host sees it), its Python, its sudo.

    sudo: "root" (none is needed), "missing", "yes" (it took the password that was typed; where none was, it wants
    none), "free" (it wants none, though one was typed), or "wrong" and "password"; then sudo_said is why, in its own
    words. gateways: the addresses of its own routers.
    """

    uid: int
    account: str
    came_from: str
    python: tuple[int, int] | None
    sudo: str
    sudo_said: str = ""
    gateways: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resolved:
    """What ssh makes of an alias: the name or address it connects to, and whether it goes through another host.

    fields: all that it says of its configuration; some options stand there more than once.
    """

    hostname: str
    jumps: bool
    fields: dict[str, list[str]] = field(default_factory=dict)


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
    done = _run(link, ["ssh", *link.options, *link.session, "-G", "--", link.alias], "")
    if done.returncode != 0:
        raise explain(link, done.stderr)
    fields: dict[str, list[str]] = {}
    for name, blank, value in (line.partition(" ") for line in done.stdout.splitlines()):
        if blank:
            fields.setdefault(name, []).append(value)
    jumps = any(fields.get(key, ["none"]) != ["none"] for key in ("proxyjump", "proxycommand"))
    return Resolved(fields.get("hostname", [link.alias])[0], jumps, fields)


def ask(link: Connection, password: str = "") -> Answers:
    """Log in and ask what must be known before anything else. Raises UserError when there is no way in.

    password is sudo's, if the person typed one; it travels inside the encrypted connection and is in no process list.
    """
    script = f"password={shlex.quote(password)}\n{QUESTIONS}"
    done = _run(link, link.argv("exec sh -s"), script)
    said = marked(done.stdout)
    if "end" not in said:
        raise explain(link, done.stderr) if done.returncode == 255 else _no_shell(link, done)
    try:
        found = answers.shaped(said, ANSWERED)
    except answers.BrokenAnswerError as error:
        raise broken(link, str(error)) from None
    major, _, minor = found.get("python", "").partition(".")
    python = (int(major), int(minor)) if minor else None
    sudo_said = "; ".join(part.strip() for part in found.get("sudo_said", "").split("|") if part.strip())
    gateways = tuple(found.get("gateways", "").split())
    return Answers(int(found["uid"]), found["account"], found["came_from"], python, found["sudo"], sudo_said, gateways)


ADDRESSES = shapes.matching(r"[0-9a-fA-F.: ]{0,1000}", "addresses")
# What is asked above, and what may be said to it. The account's name becomes part of commands that people are shown.
ANSWERED = shapes.record(
    {
        "uid": shapes.matching("[0-9]{1,10}", "the number of an account"),
        "account": shapes.matching(r"[\w.@+\\-]{1,64}", "the name of an account"),
        "came_from": shapes.some_address,
        "sudo": shapes.matching("root|missing|free|yes|wrong|password", "what is known of sudo"),
    },
    {
        "python": shapes.matching(r"([0-9]{1,2}\.[0-9]{1,3})?", "a release of Python"),
        "sudo_said": shapes.line,
        "gateways": ADDRESSES,
    },
)


def other_address(link: Connection, family: int) -> str | None:
    """Return the address the host sees us from over IPv4 (4) or IPv6 (6), None when there is no way by that family."""
    alone = Connection(link.alias, link.user, link.config)
    done = _run(alone, alone.argv("exec sh -s", options=[f"-{family}", "-o", "BatchMode=yes"]), WHENCE)
    try:
        return shapes.some_address(marked(done.stdout).get("came_from", ""), "came_from") or None
    except shapes.WrongShapeError:
        return None


@cache
def release() -> tuple[int, ...]:
    """Return the release of this machine's ssh, (9, 2); () where it does not tell, and where there is none."""
    try:
        done = subprocess.run(
            ["ssh", "-V"], capture_output=True, encoding="utf-8", errors="replace", check=False, timeout=CONNECT_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.match(r"OpenSSH\w*_(\d+)\.(\d+)", done.stderr)
    return tuple(map(int, found.groups())) if found else ()


def marked(text: str) -> dict[str, str]:
    """Return the marked answers; what a login prints may stand before them, on the same line too."""
    lines = (line.partition(MARK)[2] for line in text.splitlines())
    return dict(line.split("=", 1) for line in lines if "=" in line)


def environment() -> dict[str, str]:
    """Return the environment for ssh: its reasons come from the C library, in the person's language."""
    return {**os.environ, "LC_ALL": "C"}


def _run(link: Connection, argv: list[str], text: str) -> bounded.Done:
    try:
        return bounded.run(argv, text, seconds=ANSWER_SECONDS, env=environment(), most=MOST_ANSWER)
    except FileNotFoundError:
        raise UserError(
            "there is no ssh program on this machine", fix="apt-get install openssh-client", exit_code=HOST_UNUSABLE
        ) from None
    except subprocess.TimeoutExpired:
        raise UserError(
            f"{link.alias} let us in, and then gave no whole answer for {ANSWER_SECONDS} s",
            fix=f"Look at it by hand: {link.typed}",
            exit_code=HOST_UNUSABLE,
        ) from None
    except bounded.TooMuchError:
        raise broken(link, f"it is longer than {MOST_ANSWER} bytes") from None


def _no_shell(link: Connection, done: bounded.Done) -> UserError:
    words = answers.last_words(done.stderr, done.stdout)
    said = f" (it said: {words})" if words else ""
    return UserError(
        f"the login on {link.alias} works, but runs no commands{said}",
        fix="Use an account with an ordinary shell: invoke deploy --host " + f"{link.alias} --user NAME",
        exit_code=HOST_UNUSABLE,
    )
