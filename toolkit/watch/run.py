"""Watching a relay until Ctrl-C."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from toolkit.console import as_typed, console, new_console
from toolkit.watch import stream
from toolkit.watch.screen import Plain, Screen, View
from toolkit.watch.story import Card, Story

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toolkit.hosts.remote import Remote


def watch(remote: Remote, *, as_json: bool = False) -> None:
    """Show what happens on a relay until Ctrl-C; as_json: its lines as they come. Raises UserError."""
    items = stream.lines(remote)
    try:
        if as_json:
            for item in items:
                if isinstance(item, dict):
                    print(json.dumps(item), flush=True)  # noqa: T201 - for a program, not for a terminal
            return
        with ExitStack() as stack:
            # A picture is drawn over itself: unlike other output its lines must not be left for the terminal to wrap.
            terminal = new_console()
            drawn = terminal.is_terminal and not terminal.is_dumb_terminal
            view: View = stack.enter_context(Screen(terminal)) if drawn else Plain(console())
            show(items, view, remote.link.alias)
    except KeyboardInterrupt:
        return


def show(items: Iterable[stream.Item], view: View, alias: str) -> None:
    """Tell a story as its items come; alias names the host in sentences."""
    story, trouble = Story(), f"asking {alias}..."
    view.show(story, trouble)
    for item in items:
        if isinstance(item, stream.Lost):
            trouble = f"the connection to {alias} is lost ({item.why}); next attempt in {item.seconds:g} s"
            view.tell(trouble)
        elif isinstance(item, stream.Back):
            trouble = ""
            view.tell(f"connected to {alias} again")
        elif item is not None:
            trouble = story.problem
            for told in story.feed(item, time.monotonic()):
                if isinstance(told, Card):
                    view.card(told.room)
                else:
                    view.tell(as_typed(told))
            trouble = story.problem
        view.show(story, trouble)
