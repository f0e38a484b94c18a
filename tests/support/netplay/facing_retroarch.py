"""A simulated client beside a real RetroArch: started in its network, and compared frame by frame with its console."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Self

from tests.support.child import Child
from tests.support.nes.layout import Button
from tests.support.retroarch_console import RETROPAD
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.history import History
    from tests.support.namespace import Inside

ANSWER_WITHIN = 15.0
# The console counts frames since it was switched on, netplay from its own beginning.
OFFSETS = range(-400, 401)
# At a wrong offset whole stretches without a press are equal, and at once many frames are not.
AT_ONCE = 10


class SimProcess:
    """A simulated client as a process; a context manager."""

    def __init__(self, kind: str, folder: Path, inside: Inside, port: int, *options: str) -> None:
        argv = [sys.executable, "-m", "tests.support.netplay.over_tcp", "127.0.0.1", str(port), kind, *options]
        self._child = Child(inside(argv), log=folder / f"{kind}.log")
        self.log = folder / f"{kind}.log"

    def order(self, word: str = "report") -> dict[str, Any]:
        """Give an order; return the client's report."""
        if self._child.running():
            self._child.tell(word)
        return self.report()

    def report(self) -> dict[str, Any]:
        """Return its next report: the answer to an order, or of its end."""
        try:
            report: dict[str, Any] = json.loads(self._child.line(ANSWER_WITHIN))
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log.read_text()}") from None
        return report

    def wait(self, playing: bool, frames: int = 0) -> dict[str, Any]:
        """Wait until it plays, or watches, and has come so many frames further."""
        start = self.order()["here"]

        def there() -> dict[str, Any] | None:
            report = self.order()
            assert report["ending"] is None, f"{report['ending']} at frame {report['here']}"
            return report if report["playing"] == playing and report["here"] >= start + frames else None

        return wait_for(there, ANSWER_WITHIN, "the simulated client to play" if playing else "it to watch")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.stop()


def pad_byte(word: int) -> int:
    """Return what a console sees of an INPUT's first word."""
    return sum(button.mask for button in Button if word >> RETROPAD[button.name] & 1)


def shared_frames(report: dict[str, Any], history: History, pads: dict[int, int]) -> int:
    """Return over how many frames the client's inputs are the console's: all that both know.

    ``pads`` says which pad (from 1) a client number presses; a client without one here is not seen by the console,
    which has two pads unless it has an adapter. Before the last savestate the console may have missed what came late.
    Raises AssertionError where they differ.
    """
    heard: dict[int, list[int]] = {}
    for frame, client, word, *_ in report["heard"]:
        if report["since"] <= frame < report["settled"] and client in pads:
            heard.setdefault(frame, [0, 0, 0, 0])[pads[client] - 1] |= pad_byte(word)
    compared = (_equal(heard, history, offset) for offset in OFFSETS)
    equal, differ = max(compared, key=lambda both: both[0] - AT_ONCE * len(both[1]))
    assert not differ, f"the console and the client differ first at {differ[0]}, {len(differ)} times; {equal} are equal"
    return equal


def _equal(heard: dict[int, list[int]], history: History, offset: int) -> tuple[int, list[str]]:
    equal, differ = 0, []
    for frame, pads in sorted(heard.items()):
        row = history.rows.get(frame + offset)
        if row is None:
            continue
        if row.pads == bytes(pads):
            equal += 1
        else:
            differ.append(f"{frame}: {row.pads.hex()} {bytes(pads).hex()}")
    return equal, differ
