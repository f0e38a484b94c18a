"""python -m tests.support.turns ARGUMENTS: a relay that writes down how much CPU time its longest turns took.

A turn is what it does between two looks at its sockets: for so long every game waits, however idle the machine is. At
SIGUSR1 it writes the longest ones (milliseconds) into the file TURNS, and begins anew.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from relay.__main__ import main as relay_main
from relay.net import selector
from relay.net.selector import Events, Poll, Serve

KEPT = 20
MANY = 2000


class Turns:
    """Measures the turns of the one loop there is."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._longest: list[float] = []
        self._woke: float | None = None

    def measured(self, serve: Serve) -> Serve:
        """Return the same, measured."""

        def serving(poll: Poll, wait: float | None) -> Events | None:
            def polling(seconds: float | None, most: int) -> Events:
                if self._woke is not None:
                    self._longest.append(time.thread_time() - self._woke)
                    if len(self._longest) > MANY:
                        self._longest = sorted(self._longest, reverse=True)[:KEPT]
                events = poll(seconds, most)
                self._woke = time.thread_time()
                return events

            return serve(polling, wait)

        return serving

    def write(self, _signal: int, _frame: FrameType | None) -> None:
        """Write down what there is."""
        longest, self._longest = sorted(self._longest, reverse=True)[:KEPT], []
        scratch = self._file.with_suffix(".new")
        scratch.write_text(" ".join(f"{seconds * 1e3:.2f}" for seconds in longest))
        scratch.rename(self._file)


def main() -> int:
    """Run the relay."""
    turns = Turns(Path(os.environ["TURNS"]))
    attach = selector.LinkSelector.attach
    selector.LinkSelector.attach = lambda self, serve: attach(self, turns.measured(serve))  # type: ignore[method-assign]
    signal.signal(signal.SIGUSR1, turns.write)
    return relay_main()


if __name__ == "__main__":
    sys.exit(main())
