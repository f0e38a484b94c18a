"""What a person reads on the terminal: one line for each step, a block at the end, commands as they typed them."""

from __future__ import annotations

import os
import re
import shlex
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console, RenderableType

ROOT = Path(__file__).resolve().parent.parent
"""The checkout."""

_INVOKE = re.compile(r"(?<![\w./-])invoke(?= [a-z])")
_LABEL_WIDTH = 9
# What would move the cursor back or ring the bell; rich leaves these out as well.
_CONTROLS = dict.fromkeys(map(ord, "\a\b\v\f\r"))


def as_typed(text: str) -> str:
    """Turn `invoke TASK` in a message into what works in the person's shell: ./bootstrap TASK, if that was typed.

    bootstrap names itself in NETPLAY_RELAY_COMMAND; invoke is usually not on the PATH of those who start there.
    """
    command = os.environ.get("NETPLAY_RELAY_COMMAND", "")
    return _INVOKE.sub(lambda _: shlex.quote(command), text) if command else text


def short(path: Path) -> str:
    """Return a path as a person writes it, with ~ for their home."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


@cache
def console() -> Console:
    """Return the one console of this process."""
    from rich.console import Console  # here: the short-lived probes of the proof print nothing with it

    return Console(highlight=False, markup=False, emoji=False, soft_wrap=True)


def say(text: str = "") -> None:
    """Print a line as it is."""
    # Not by rich, which most tasks do without then: it takes a tenth of a second to load.
    print(as_typed(text).translate(_CONTROLS), flush=True)  # noqa: T201 - what tasks say


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
