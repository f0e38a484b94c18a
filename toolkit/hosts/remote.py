"""Runs the relay's own program on a host that was deployed to, over one ssh connection, and reads its JSON.

This is what friends.* and status use: no playbook, one login. Arguments are quoted for the shell over there, which ssh
always goes through; what is long or came from a file goes in by standard input.
"""

from __future__ import annotations

import contextlib
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from toolkit.errors import DEPLOY_FAILED, HOST_UNUSABLE, UserError
from toolkit.hosts import hints, inventory
from toolkit.hosts.inventory import Entry
from toolkit.hosts.login import no_sudo
from toolkit.hosts.target import DeployTarget
from toolkit.ssh import answers, bounded, connection
from toolkit.ssh.bounded import Asking, Done
from toolkit.ssh.connection import MARK, Connection
from toolkit.ssh.errors import broken, explain
from toolkit.ssh.shapes import Shape, anything

PROGRAM = "/opt/netplay-relay/current/netplay-relay.pyz"
# Whatever language the host speaks, what goes there and comes back is UTF-8.
PYTHON = ("/usr/bin/python3", "-I", "-X", "utf8")
SECONDS = 90
# What a shell says for a program that is not there, and Python for a file that is not.
NOT_FOUND = (127, 2)
# What a shell says for a program that is not there, or is not one.
NOT_STARTED = (126, 127)
# Runs "$@" as root. Who is root already needs no sudo, and where there is root alone there may be none.
AS_ROOT = 'if [ "$(id -u)" = 0 ]; then exec "$@"; fi; exec sudo -n "$@"'
# What sudo asks with: a sign that tells of a second time. Some sudo put words of their own around it.
PROMPT = f"{MARK}password?"
# With sudo's password on the first line, which is read here where nobody asks for it.
AS_ROOT_ASKING = (
    'if [ "$(id -u)" = 0 ]; then read -r _; exec "$@"; fi; '
    'if sudo -k -n true </dev/null 2>/dev/null; then read -r _; exec sudo -n "$@"; fi; '
    f"exec sudo -k -S -p '{PROMPT}' \"$@\""
)
# Says which account this is, whether a link leads to the relay as after a deployment, and which service manager runs.
WHO_KEEPS_IT = """
say() {{ printf '{mark}%s=%s\\n' "$1" "$2"; }}
say uid "$(id -u)"
if [ -h {release} ]; then say installed release; else say installed current; fi
if false; then :
{managers}
fi
"""
# The doctor's words for service managers, by the programs that ask them.
INITS = {"systemctl": "systemd", "sv": "runit", "rc-service": "openrc"}
LOOK_SECONDS = 20
# Before sudo takes the environment away.
TELL_LOGIN = 'set -- "$@" --login "$SSH_CONNECTION"; '
# On standard error, once the login stands, as root, and before anything is run. What comes behind sudo's password is
# sent after it alone: sudo-rs reads more than a line, and would keep it.
BEGUN = f"{MARK}begun"
TELL_BEGUN = f'echo {BEGUN} >&2; exec "$@"'


@dataclass(frozen=True, slots=True)
class Remote:
    """The relay's program on a host.

    password: sudo's, where it asks for one.
    """

    place: DeployTarget
    link: Connection
    become: bool
    password: str = field(default="", repr=False)

    def run(
        self,
        arguments: Sequence[str],
        text: str = "",
        seconds: float = 0.0,
        program: str = PROGRAM,
        *,
        login: bool = False,
    ) -> Done:
        """Run netplay-relay with arguments and text on its standard input. Raises UserError if it cannot be run.

        The program's own exit code is the caller's to judge. seconds: when it counts as hanging, if not after SECONDS.
        program: another Python program to run instead; "-" is what text holds. login: add --login with the words of
        SSH_CONNECTION, if sudo would keep them from it.
        """
        argv, seconds = self.link.argv(self._command(arguments, program, login=login)), seconds or SECONDS
        try:
            asking = Asking(self.password, PROMPT, BEGUN) if self._asks else None
            done = bounded.run(argv, text, seconds=seconds, env=connection.environment(), asking=asking)
        except subprocess.TimeoutExpired as late:
            raise UserError(
                f"{self.link.alias} did not answer within {seconds:g} s",
                fix=f"Look at it by hand: {self.link.typed}",
                exit_code=HOST_UNUSABLE,
                begun=BEGUN.encode() in (late.stderr or b""),
            ) from None
        except bounded.TooMuchError:
            raise broken(self.link, f"it is longer than {bounded.MOST_OUTPUT} bytes") from None
        try:
            self.check(done)
        except UserError as error:
            error.begun = BEGUN in done.stderr
            raise
        return Done(done.returncode, done.stdout, _without_marks(done.stderr))

    def check(self, done: Done) -> None:
        """Raise UserError for a run in which the program was not reached: no way in, or nothing there to run."""
        if done.returncode == 255:
            raise explain(self.link, done.stderr)
        if done.returncode in NOT_FOUND and PROGRAM in done.stderr and "can't open file" in done.stderr:
            raise never_deployed(self.place)
        # It may speak the host's language, but says who it is; and nothing was begun.
        by_sudo = "sudo" in done.stderr.replace(PROMPT, "") and BEGUN not in done.stderr
        if self.become and done.returncode == 1 and by_sudo and answers.find(done.stdout) is None:
            raise self._no_root(done)

    def _no_root(self, done: Done) -> UserError:
        said = [line for line in _without_marks(done.stderr).splitlines() if line.strip()]
        what = "wrong" if self._asks else "password"
        return no_sudo(what, self.link.alias, self.link.user or "your account", "; ".join(said[-3:]))

    def start(self, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        """Run netplay-relay with arguments and return while it runs; its output is for the caller to read."""
        process = subprocess.Popen(
            self.link.argv(self._command(arguments)), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=connection.environment(),
        )  # fmt: skip
        if process.stdin:
            with contextlib.suppress(OSError), process.stdin as given:  # it may be over already; its exit tells why
                given.write(f"{self.password}\n".encode() if self._asks else b"")
        return process

    @property
    def _asks(self) -> bool:
        return self.become and bool(self.password)

    def _command(self, arguments: Sequence[str], program: str = PROGRAM, *, login: bool = False) -> str:
        command = [*PYTHON, program, *arguments]
        if self.become or login:
            command = ["sh", "-c", TELL_BEGUN, "sh", *command]
        if not self.become:
            return f"exec {shlex.join(command)}"
        # Whatever the login shell is, it has to take quoted words; what is done with them is said to sh.
        script = AS_ROOT_ASKING if self._asks else AS_ROOT
        return shlex.join(["exec", "sh", "-c", f"{TELL_LOGIN if login else ''}{script}", "sh", *command])

    def ask(self, arguments: Sequence[str], shape: Shape = anything, text: str = "") -> dict[str, Any]:
        """Run netplay-relay and return the JSON object it printed, of a shape.

        Raises UserError: with its own words if it failed, and for an answer of another shape.
        """
        done = self.run(arguments, text)
        if done.returncode != 0:
            raise self.failed(done)
        return dict(self.shaped(done.stdout, shape))

    def shaped(self, text: str, shape: Shape) -> Any:
        """Return the document that a run printed. Raises UserError for one of another shape."""
        try:
            return answers.read(text, shape)
        except answers.BrokenAnswerError as error:
            self.refuse(str(error))

    def refuse(self, what: str) -> NoReturn:
        """Raise UserError for an answer that no program of ours gives; what: why it is none."""
        raise broken(self.link, what)

    def said(self, done: Done) -> str:
        """Return the last words of a run that failed."""
        words = answers.last_words(_without_marks(done.stderr), done.stdout).removeprefix("netplay-relay: ")
        return words or f"exit code {done.returncode}"

    def failed(self, done: Done) -> UserError:
        """Return the error for a run that failed, in the program's own last words; how to look costs a login.

        Where it is Python that does not run there, that is the error.
        """
        from toolkit.hosts import interpreter  # here: nothing of this is needed while all goes well

        if done.returncode in NOT_STARTED and (error := interpreter.trouble(self)):
            return error
        return UserError(f"on {self.link.alias}: {self.said(done)}", fix=self._look(), exit_code=DEPLOY_FAILED)

    def there(self, command: str, *, root: bool = False) -> str:
        """Return what a person types to run a command line on the host; root: the login is root's."""
        return hints.there(self._ssh(root=root), command)

    def _ssh(self, *, root: bool) -> str:
        return hints.sudo_ssh(self.link.typed, become=self.become and not root, asks=bool(self.password))

    def _look(self) -> str:
        """Return what this login types to look at the relay's service and its log, as far as the host tells."""
        from relay import service_manager  # here: nothing of this is needed while all goes well

        managers = {path: (INITS[typed.split()[0]], typed) for path, typed in service_manager.MANAGERS}
        tests = "\n".join(f"elif [ -e /{path} ]; then say init {init}" for path, (init, _) in managers.items())
        script = WHO_KEEPS_IT.format(mark=MARK, managers=tests, release=shlex.quote(str(Path(PROGRAM).parent)))
        told: dict[str, str] = {}
        with contextlib.suppress(OSError, subprocess.SubprocessError, bounded.TooMuchError):
            argv = self.link.argv("exec sh -s")
            told = connection.marked(
                bounded.run(argv, script, seconds=LOOK_SECONDS, env=connection.environment()).stdout
            )
        status = dict(managers.values()).get(told.get("init", ""))
        if status is None:
            return f"Look at it by hand: {self.link.typed}"
        ssh = self._ssh(root=told.get("uid") == "0")
        return f"Look at it by hand: {ssh} {status}\nIts log: {ssh} {hints.log(told['init'], told.get('installed'))}"


def _without_marks(errors: str) -> str:
    """Return what stood on standard error without what we had written there."""
    return errors.replace(f"{BEGUN}\n", "").replace(PROMPT, "")


def never_deployed(place: DeployTarget) -> UserError:
    """Return the error for a host without the relay."""
    return UserError(
        f"there is no relay on {place.host.alias}",
        fix=f"Put one there: invoke deploy{place.option}",
        exit_code=HOST_UNUSABLE,
    )


def entry_of(place: DeployTarget) -> Entry:
    """Return how a host that was deployed to is reached. Raises UserError for one that never was."""
    entry = inventory.read_entry(inventory.files_of(place.host), place.host)
    if entry is None:
        raise never_deployed(place)
    return entry
