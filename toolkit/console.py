"""What a person reads on the terminal: one line for each step, a block at the end, commands as they typed them."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from toolkit import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rich.console import Console, RenderableType

ROOT = Path(__file__).resolve().parent.parent
"""The checkout."""

# The name of a task ends where a sentence may go on.
_INVOKE = re.compile(r"(?<![\w./-])invoke( [a-z_]+(?:\.[a-z_]+)*)")
# What was typed for the task that runs, by the name of its option.
_TYPED: dict[str, Any] = {}
# Options that tasks for a host take, and which of those that deploy takes as well stay in its inventory.
EVERYWHERE, ACCOUNT = ("ssh-config", "ask-become"), ("user", "become")
TAKE_A_HOST = (
    "deploy",
    "doctor",
    "join",
    "remove",
    "rollback",
    "status",
    "watch",
    "play.host",
    "play.join",
    "xbps.build",
)
TAKE_A_HOST_ALL = "friends."
TAKE_AN_ACCOUNT = ("deploy", "xbps.build")
_LABEL_WIDTH = 9
UNREAD = 141
"""Exit code where nobody reads what is printed: as every shell counts a broken pipe."""


def remember(arguments: Mapping[str, Any]) -> None:
    """Note what a task was called with: commands that are printed from now on carry it (see `as_typed`)."""
    _TYPED.clear()
    _TYPED.update({name: arguments.get(name.replace("-", "_")) for name in ("host", *ACCOUNT, *EVERYWHERE)})


def as_typed(text: str) -> str:
    """Turn each `invoke TASK` in a message into what works as it stands, in the person's shell.

    It carries the options that were typed, where TASK takes them and the command does not name them itself: another
    account, sudo and its password, a host, an ssh configuration. `invoke` is ./bootstrap where that was typed, which
    names itself in NETPLAY_RELAY_COMMAND: invoke is usually not on the PATH of those who start there.
    """
    command = shlex.quote(os.environ.get("NETPLAY_RELAY_COMMAND", "") or "invoke")
    return _INVOKE.sub(lambda found: f"{command}{found[1]}{_carried(found)}", text)


def _carried(found: re.Match[str]) -> str:
    """Return the options that a printed command is to have beside its own, behind the name of its task."""
    task = found[1].strip()
    own = found.string[found.end() :].partition("\n")[0]
    if task not in TAKE_A_HOST and not task.startswith(TAKE_A_HOST_ALL):
        return ""
    names = ["host", *EVERYWHERE, *(ACCOUNT if task in TAKE_AN_ACCOUNT else ())]
    if re.search(r"--user[ =]root\b", own):
        names = [name for name in names if name not in ("become", "ask-become")]
    elif "--ask-become" in own or ("ask-become" in names and _TYPED.get("ask-become")):
        names = [name for name in names if name != "become"]
    if "--relay" in own:
        return ""
    options = ((name, _TYPED.get(name)) for name in names if f"--{name}" not in own)
    return "".join(
        f" --{name}" if value is True else f" --{name} {shlex.quote(str(value))}" for name, value in options if value
    )


def short(path: Path) -> str:
    """Return a path as a person writes it, with ~ for their home."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def forgive() -> None:
    """Have what the terminal's language has no signs for come out as "?", and not end the program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


@cache
def console() -> Console:
    """Return the one console of this process."""
    return new_console(soft_wrap=True)


def new_console(*, soft_wrap: bool = False) -> Console:
    """Return a console that takes text as it is and shows nothing but signs to print (toolkit/printable.py)."""
    from rich.console import Console  # here: the short-lived probes of the proof print nothing with it
    from rich.segment import Segment

    class Door(Console):
        """Lets no control character of a text through; rich's own, for colours and the cursor, are no text."""

        def on_broken_pipe(self) -> None:
            nobody_reads()

        def render(self, renderable: Any, options: Any = None) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                text, style, control = segment
                yield segment if control else Segment(printable.lines(text), style)

    return Door(highlight=False, markup=False, emoji=False, soft_wrap=soft_wrap)


def say(text: str = "") -> None:
    """Print a text, line for line; whatever is no sign to print comes as "?" (toolkit/printable.py)."""
    # Not by rich, which most tasks do without then: it takes a tenth of a second to load.
    print(printable.lines(as_typed(text)), flush=True)  # noqa: T201 - what tasks say


def as_json(value: object) -> None:
    """Print a value for a program: in ASCII, and nothing in it is a command for a person."""
    print(json.dumps(value, indent=2), flush=True)  # noqa: T201 - the answer


def nobody_reads() -> NoReturn:
    """End quietly because whoever read our output has gone, as `head` does."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains as it ends
    raise SystemExit(UNREAD)


def draw(what: RenderableType) -> None:
    """Print a table or the like; text in it is printed as it is."""
    console().print(what)


def width() -> int:
    """Return how many characters fit into a line of the terminal."""
    return console().width


def step(label: str, text: str) -> None:
    """Print a step of a longer job: a word of at most nine letters, and what is happening or has happened."""
    say(f"{label:<{_LABEL_WIDTH}}  {text}")


def block(title: str, lines: Iterable[str]) -> None:
    """Print a titled block, set apart from the steps before it."""
    say()
    console().print(as_typed(title), style="bold")
    for line in lines:
        say(f"  {line}" if line else "")
