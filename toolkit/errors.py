"""Mistakes a person can mend: one sentence, what to type next, an exit code, and never a traceback."""

from __future__ import annotations

import functools
import inspect
import subprocess
import sys
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from toolkit import printable
from toolkit.console import ROOT, as_typed, nobody_reads, remember

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

HELP: Final = "--help"
WARNINGS_FOUND: Final = 1
"""doctor: it works, and may not for everybody, or not for long."""
BAD_INPUT: Final = 2
"""What was typed, or a file of the owner's, is wrong. Nothing was touched."""
HOST_UNUSABLE: Final = 3
"""The host cannot be reached or used: name, key, login, sudo, Python."""
PREFLIGHT_REFUSED: Final = 4
"""The host was looked at and is not fit for a relay. Nothing was changed."""
DEPLOY_FAILED: Final = 5
"""The playbook stopped half-way; running it again goes on from there."""
PROOF_FAILED: Final = 6
"""The relay is installed, but a friend did not get in or a stranger did."""
ROLLED_BACK: Final = 7
"""A change of who gets in could not be confirmed over a new login; the host took it back."""
TROUBLE_FOUND: Final = 8
"""doctor: something keeps somebody from playing."""
INTERRUPTED: Final = 130
"""Ctrl-C, as every shell counts it."""


class UserError(Exception):
    """What happened and where, and what to type next.

    `message` is one sentence that names the host or the file and line; `fix` (may be several lines) is what the
    person does now; `exit_code` is one of this module's constants. begun: the login stood, and what was to be done
    over there had begun.
    """

    def __init__(self, message: str, *, fix: str = "", exit_code: int = BAD_INPUT, begun: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.exit_code = exit_code
        self.begun = begun

    def __str__(self) -> str:
        return f"{self.message}\n{self.fix}" if self.fix else self.message


def report(error: UserError) -> None:
    """Print the error for a person on standard error: the sentence, then the fix, indented under it."""
    sys.stdout.flush()
    lines = [f"error: {error.message}", *(f"  {line}" for line in error.fix.splitlines())]
    sys.stderr.write(printable.lines(as_typed("\n".join(lines))) + "\n")
    sys.stderr.flush()


def _help(task: str) -> int:
    """Print what a task takes; return an exit code."""
    argv = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), HELP, task]
    return subprocess.run(argv, check=False).returncode


def user_errors(body: Callable[P, R]) -> Callable[P, R]:
    """Decorate a task (below `@task`): a UserError ends the program with its sentence and its exit code."""

    @functools.wraps(body)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        # To invoke what follows a task that must be told a name is that name, whatever it is.
        if HELP in (*args, *kwargs.values()) and HELP in sys.argv[2:]:
            raise SystemExit(_help(sys.argv[sys.argv.index(HELP, 2) - 1]))
        remember(inspect.signature(body).bind(*args, **kwargs).arguments)
        try:
            return body(*args, **kwargs)
        except UserError as error:
            report(error)
            raise SystemExit(error.exit_code) from None
        except BrokenPipeError:
            nobody_reads()
        except KeyboardInterrupt:
            report(UserError("stopped by Ctrl-C", fix="Run the same command again: it goes on from where it was."))
            raise SystemExit(INTERRUPTED) from None

    return wrapper
