"""Runs the relay's own program on a host that was deployed to, over one ssh connection, and reads its JSON.

This is what friends.* and status use: no playbook, one login. Arguments are quoted for the shell over there, which ssh
always goes through; what is long or came from a file goes in by standard input.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from toolkit import answers, inventory
from toolkit.errors import DEPLOY_FAILED, HOST_UNUSABLE, UserError
from toolkit.inventory import Entry
from toolkit.login import SUDO
from toolkit.places import Place
from toolkit.ssh import MARK, Connection
from toolkit.ssh_errors import explain

PROGRAM = "/opt/netplay-relay/current/netplay-relay.pyz"
SECONDS = 90
# What a shell says for a program that is not there, and Python for a file that is not.
NOT_FOUND = (127, 2)
# Runs "$@" as root. Who is root already needs no sudo, and where there is root alone there may be none.
AS_ROOT = 'if [ "$(id -u)" = 0 ]; then exec "$@"; fi; exec sudo -n "$@"'
# With sudo's password on the first line, which is read here where nobody asks for it.
AS_ROOT_ASKING = (
    'if [ "$(id -u)" = 0 ]; then read -r _; exec "$@"; fi; '
    'if sudo -k -n true 2>/dev/null; then read -r _; exec sudo -n "$@"; fi; '
    "exec sudo -k -S -p '' \"$@\""
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


@dataclass(frozen=True, slots=True)
class Remote:
    """The relay's program on a host.

    password: sudo's, where it asks for one. anew: log in for each run, also where the person's own ssh configuration
    would share a connection.
    """

    place: Place
    link: Connection
    become: bool
    password: str = field(default="", repr=False)
    anew: bool = False

    def run(
        self,
        arguments: Sequence[str],
        text: str = "",
        seconds: float = SECONDS,
        program: str = PROGRAM,
        *,
        login: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run netplay-relay with arguments and text on its standard input. Raises UserError if it cannot be run.

        The program's own exit code is the caller's to judge. seconds: when it counts as hanging. program: another
        Python program to run instead; "-" is what text holds. login: add --login with the words of SSH_CONNECTION, if
        sudo would keep them from it.
        """
        options = ["-o", "ControlMaster=no", "-o", "ControlPath=none"] if self.anew else []
        argv = self.link.argv(self._command(arguments, program, login=login), options=options)
        try:
            done = subprocess.run(
                argv, input=self._given(text), capture_output=True, text=True, errors="replace", timeout=seconds,
                check=False, env=_environment(),
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise UserError(
                f"{self.link.alias} did not answer within {seconds:g} s",
                fix=f"Look at it by hand: {self.link.typed}",
                exit_code=HOST_UNUSABLE,
            ) from None
        self.check(done)
        return done

    def check(self, done: subprocess.CompletedProcess[str]) -> None:
        """Raise UserError for a run in which the program was not reached: no way in, or nothing there to run."""
        if done.returncode == 255:
            raise explain(self.link, done.stderr)
        if done.returncode in NOT_FOUND and PROGRAM in done.stderr and "can't open file" in done.stderr:
            raise never_deployed(self.place)
        # It may speak the host's language, but says who it is; and the program prints JSON before it fails.
        by_sudo = any(line.startswith("sudo: ") for line in done.stderr.splitlines())
        if self.become and done.returncode == 1 and by_sudo and answers.find(done.stdout) is None:
            raise self._no_root()

    def _no_root(self) -> UserError:
        sentence, fix = SUDO["wrong" if self._asks else "password"]
        words = {"alias": self.link.alias, "account": self.link.user or "your account"}
        typed = "invoke deploy --host {alias} --ask-become"
        fix = fix.replace(typed, "the same command with --ask-become").format(**words)
        return UserError(sentence.format(**words), fix=fix, exit_code=HOST_UNUSABLE)

    def start(self, arguments: Sequence[str]) -> subprocess.Popen[str]:
        """Run netplay-relay with arguments and return while it runs; its output is for the caller to read."""
        process = subprocess.Popen(
            self.link.argv(self._command(arguments)), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, errors="replace", env=_environment(),
        )  # fmt: skip
        if process.stdin:
            with contextlib.suppress(OSError), process.stdin as given:  # it may be over already; its exit tells why
                given.write(self._given(""))
        return process

    def _given(self, text: str) -> str:
        # Without a password sudo reads nothing; with one its line is read by sudo, or by the shell if sudo needs none.
        return f"{self.password}\n{text}" if self._asks else text

    @property
    def _asks(self) -> bool:
        return self.become and bool(self.password)

    def _command(self, arguments: Sequence[str], program: str = PROGRAM, *, login: bool = False) -> str:
        command = ["/usr/bin/python3", "-I", program, *arguments]
        if not self.become:
            return f"exec {shlex.join(command)}"
        # Whatever the login shell is, it has to take quoted words; what is done with them is said to sh.
        script = AS_ROOT_ASKING if self._asks else AS_ROOT
        return shlex.join(["exec", "sh", "-c", f"{TELL_LOGIN if login else ''}{script}", "sh", *command])

    def ask(self, arguments: Sequence[str], text: str = "") -> dict[str, Any]:
        """Run netplay-relay and return the JSON object it printed. Raises UserError with its own words if it failed."""
        done = self.run(arguments, text)
        answer: dict[str, Any] | None = answers.find(done.stdout)
        if done.returncode != 0 or answer is None:
            raise self.failed(done)
        return answer

    def said(self, done: subprocess.CompletedProcess[str]) -> str:
        """Return the last words of a run that failed."""
        words = (done.stderr or done.stdout).strip().splitlines()
        return words[-1].removeprefix("netplay-relay: ") if words else f"exit code {done.returncode}"

    def failed(self, done: subprocess.CompletedProcess[str]) -> UserError:
        """Return the error for a run that failed, in the program's own last words; how to look costs a login."""
        return UserError(f"on {self.link.alias}: {self.said(done)}", fix=self._look(), exit_code=DEPLOY_FAILED)

    def _look(self) -> str:
        """Return what this login types to look at the relay's service and its log, as far as the host tells."""
        from relay import service  # here: nothing of this is needed while all goes well
        from toolkit.doctor.case import Case
        from toolkit.doctor.target import Target

        managers = {path: (INITS[typed.split()[0]], typed) for path, typed in service.MANAGERS}
        tests = "\n".join(f"elif [ -e /{path} ]; then say init {init}" for path, (init, _) in managers.items())
        script = WHO_KEEPS_IT.format(mark=MARK, managers=tests, release=shlex.quote(str(Path(PROGRAM).parent)))
        told: dict[str, str] = {}
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            done = subprocess.run(
                self.link.argv("exec sh -s"), input=script, capture_output=True, text=True, errors="replace",
                timeout=LOOK_SECONDS, check=False, env=_environment(),
            )  # fmt: skip
            marked = (line.partition(MARK)[2].partition("=") for line in done.stdout.splitlines() if MARK in line)
            told = {key: value for key, _, value in marked}
        status = dict(managers.values()).get(told.get("init", ""))
        if status is None:
            return f"Look at it by hand: {self.link.typed}"
        login = replace(self, become=self.become and told.get("uid") != "0")
        known = {"system": {"init": told["init"]}, "release": {"installed": told.get("installed")}}
        case = Case(Target(self.link.alias, ()), host=known, remote=login)
        return f"Look at it by hand: {case.ssh} {status}\nIts log: {case.log()}"


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C"}  # ssh's reasons come from the C library, in the person's language


def never_deployed(place: Place) -> UserError:
    """Return the error for a host without the relay."""
    return UserError(
        f"there is no relay on {place.host.alias}",
        fix=f"Put one there: invoke deploy{place.option}",
        exit_code=HOST_UNUSABLE,
    )


def entry_of(place: Place) -> Entry:
    """Return how a host that was deployed to is reached. Raises UserError for one that never was."""
    entry = inventory.read_entry(inventory.files_of(place.host), place.host)
    if entry is None:
        raise never_deployed(place)
    return entry
