"""The lines that a relay's state comes in, over one ssh connection, and over another when that one is lost."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolkit.errors import HOST_UNUSABLE, UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.remote import Remote

COMMAND = ("status", "--follow", "--gate")
# Seconds: without a line the connection counts as lost (the relay's program says something every two, its gate may
# take a while); before the next attempt, longer each time; for ssh to end once it was told to.
SILENCE = 20.0
FIRST_RETRY, LAST_RETRY = 1.0, 15.0
ENDING = 5.0
# Lines of ssh's errors that are kept.
ERRORS = 20


@dataclass(frozen=True)
class Lost:
    """The connection was lost; seconds until the next attempt."""

    why: str
    seconds: float


@dataclass(frozen=True)
class Back:
    """A new connection stands."""


Item = dict[str, Any] | Lost | Back | None


def lines(remote: Remote, tick: float = 1.0) -> Iterator[Item]:
    """Yield the relay's lines for ever; None whenever nothing came for a tick, Lost and Back between connections.

    Raises UserError when the first connection cannot be made, or when what is there cannot be watched.
    """
    retry, told = FIRST_RETRY, False
    while True:
        run = _Run(remote)
        heard = False
        try:
            for item in run.items(tick):
                if isinstance(item, dict) and not heard:
                    heard, retry = True, FIRST_RETRY
                    if told:
                        yield Back()
                yield item
        finally:
            run.end()
        try:
            why = run.why()
        except UserError as error:
            if error.exit_code != HOST_UNUSABLE or not (told or heard) or run.is_final:
                raise
            why = error.message
        told = True
        yield Lost(why, retry)
        time.sleep(retry)
        retry = min(LAST_RETRY, retry * 2)


class _Run:
    """One connection, with a thread for each of its outputs."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._process = remote.start(COMMAND)
        self._came: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._errors: deque[str] = deque(maxlen=ERRORS)
        self._silent = False
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._read, self._read_errors)]
        for thread in self._threads:
            thread.start()

    def items(self, tick: float) -> Iterator[dict[str, Any] | None]:
        """Yield lines, and None after each tick without one, until the connection ends or is silent for too long."""
        last = time.monotonic()
        while not self._silent:
            try:
                line = self._came.get(timeout=tick)
            except queue.Empty:
                self._silent = time.monotonic() - last >= SILENCE
                yield None
                continue
            if line is None:
                return
            last = time.monotonic()
            with contextlib.suppress(ValueError):  # what a login prints is no line of ours
                found = json.loads(line)
                if isinstance(found, dict):
                    yield found

    def end(self) -> None:
        """End the connection if it still stands."""
        self._process.terminate()
        try:
            self._process.wait(ENDING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join(ENDING)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe:
                pipe.close()

    @property
    def is_final(self) -> bool:
        """Whether the host answered, and another attempt would be answered the same."""
        return self._process.returncode != 255 and not self._silent

    def why(self) -> str:
        """Return why the connection ended. Raises UserError when its end has a reason that a person has to mend."""
        if self._silent:
            return f"nothing was heard for {SILENCE:g} s"
        done = subprocess.CompletedProcess(COMMAND, self._process.returncode, "", "\n".join(self._errors))
        self._remote.check(done)
        if "unrecognized arguments: --follow" in done.stderr:
            raise UserError(
                f"the relay on {self._remote.link.alias} is older than watch",
                fix=f"Bring it up to date: invoke deploy{self._remote.place.option}",
                exit_code=HOST_UNUSABLE,
            )
        if done.returncode > 0 and done.stderr.strip():
            raise self._remote.failed(done)
        return "the program there ended"

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._came.put(line)
        self._came.put(None)

    def _read_errors(self) -> None:
        self._errors.extend(line.rstrip("\n") for line in self._process.stderr or ())
