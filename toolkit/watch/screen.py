"""Showing a relay's story: on a terminal a picture that is drawn anew, elsewhere a line for each thing that happens."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Protocol

from rich.console import Group
from rich.live import Live
from rich.text import Text

from relay.monitoring import report
from toolkit.status import show as status
from toolkit.tables import listing
from toolkit.watch import cards

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, RenderableType

    from toolkit.watch.people import Player, Room
    from toolkit.watch.story import Story

COLUMNS = ("room", "who", "does", "core", "to client", "to host", "in / s", "out / s", "pauses", "desyncs")
NOTES = 6
# Seconds between two lines on each player where nothing can be drawn anew.
EVERY = 30.0


class View(Protocol):
    """What shows the story."""

    def tell(self, sentence: str) -> None:
        """Show something that happened."""

    def card(self, room: Room) -> None:
        """Show a report card."""

    def show(self, story: Story, trouble: str) -> None:
        """Show what is now; trouble is "", or what keeps news from coming."""


class Screen:
    """The picture on a terminal; report cards stay above it. A context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._notes: deque[str] = deque(maxlen=NOTES)
        self._live = Live(console=console, auto_refresh=False, transient=True, vertical_overflow="crop")

    def __enter__(self) -> Screen:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def tell(self, sentence: str) -> None:
        """Keep the sentence below the picture for a while."""
        self._notes.append(f"{clock()} {sentence}")

    def card(self, room: Room) -> None:
        """Print the card above the picture."""
        for line in cards.lines(room, self._console.width):
            self._console.print(Text(line, style="" if line.startswith(" ") else "bold"))

    def show(self, story: Story, trouble: str) -> None:
        """Draw the picture anew."""
        parts = [*picture(story, self._console.width)]
        parts += [Text(trouble, style="bold")] if trouble else []
        self._live.update(Group(*parts, *(Text(note, style="dim") for note in self._notes)), refresh=True)


class Plain:
    """A line for each thing that happens, with its time, and now and then one for each player."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown = time.monotonic()
        self._begun = False

    def tell(self, sentence: str) -> None:
        """Print the sentence."""
        self._console.print(Text(f"{clock()} {sentence}"))
        self._console.file.flush()  # whoever reads a pipe or a file reads along

    def card(self, room: Room) -> None:
        """Print the card, each line with its time."""
        for line in cards.lines(room, 10_000):
            self.tell(line)

    def show(self, story: Story, _trouble: str) -> None:
        """Print what there is at first, and a line for each player when it is time; trouble was told as it came."""
        if story.relay and not self._begun:
            self._begun = True
            self.tell(status.summary(story.relay))
        if time.monotonic() - self._shown < EVERY:
            return
        self._shown = time.monotonic()
        for room in story.rooms.values():
            for row in _rows(room):
                self.tell(", ".join(f"{name} {cell}" for name, cell in zip(COLUMNS, row, strict=True) if cell))


def picture(story: Story, width: int) -> Iterator[RenderableType]:
    """Yield the parts of the picture: the relay, the gate, everybody who plays."""
    if story.relay:
        yield Text(status.summary(story.relay))
    if story.gate:
        yield Text(status.wall(story.gate))
    rows = [row for room in story.rooms.values() for row in _rows(room)]
    if rows:
        table = listing(COLUMNS, rows, width)
        yield Text(table) if isinstance(table, str) else table
    elif story.relay:
        yield Text("nobody plays; Ctrl-C ends the watch")


def clock() -> str:
    """Return the time of day."""
    return time.strftime("%H:%M:%S")


def _rows(room: Room) -> Iterator[list[str]]:
    host = (room.state.get("host") or {}) if room.state else {}
    leg = report.to_host(host)
    mode = "" if room.mode in ("", "hosted") else f" ({room.mode})"
    if host:
        yield [room.id + mode, room.host_name, "hosts", "", leg, "", "", "", "", ""]
    for player in room.there:
        yield [room.id + mode, *_row(player)]
    if not host and not room.there:
        yield [room.id + mode, "nobody", "", "", "", "", "", "", "", ""]


def _row(player: Player) -> list[str]:
    seen = player.seen
    does = status.does({**seen, "desyncs": 0}) if seen else str(player.state["state"])
    ways = [report.milliseconds(player.state.get(name)) for name in ("to_client", "to_host")]
    rates = [report.size(round(rate)) for rate in player.rates]
    counts = [str(count or "") for count in (player.pauses, seen.get("desyncs", 0))]
    return [player.name, does, player.core, *ways, *rates, *counts]
