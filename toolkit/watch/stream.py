"""The lines that a relay's state comes in, over one ssh connection, and over another when that one is lost."""

from __future__ import annotations

import queue
import subprocess
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolkit.errors import HOST_UNUSABLE, UserError
from toolkit.ssh import answers, replies, shapes
from toolkit.ssh.bounded import Done

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.hosts.remote import Remote

COMMAND = ("status", "--follow", "--gate")
# Seconds: without a line the connection counts as lost (the relay's program says something every two, its gate may
# take a while); before the next attempt, longer each time; for ssh to end once it was told to.
SILENCE = 20.0
FIRST_RETRY, LAST_RETRY = 1.0, 15.0
ENDING = 5.0
# Bytes of a line, and of lines that wait to be read; lines of ssh's errors that are kept, and bytes of one.
LONGEST_LINE = 16_000_000
WAITING = 4
ERRORS, LONGEST_ERROR = 20, 2000
# What a line is by the key that it has.
KINDS = {
    "gate": shapes.record({"gate": shapes.or_null(replies.GATE)}, {"problem": shapes.line}),
    "relay": shapes.record({"relay": shapes.or_null(replies.STATUS)}, {"problem": shapes.line}),
}


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
        if not (told or heard or run.is_silent):
            remote.refuse(f"{why} without a line of a relay's state")
        told = True
        yield Lost(why, retry)
        pause(retry)
        retry = min(LAST_RETRY, retry * 2)


def pause(seconds: float) -> None:
    """Wait until the next attempt."""
    time.sleep(seconds)


class _Run:
    """One connection, with a thread for each of its outputs."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._process = remote.start(COMMAND)
        self._came: queue.Queue[bytes | None] = queue.Queue(WAITING)
        self._ended = threading.Event()
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
            if (found := self._read_one(line)) is not None:
                last = time.monotonic()
                yield found
            elif time.monotonic() - last >= SILENCE:
                self._remote.refuse(f"no line within {SILENCE:g} s was one of a relay's state")

    def _read_one(self, line: bytes) -> dict[str, Any] | None:
        """Return a line as it has to be; None for one that is none of ours, such as a login's. Raises UserError."""
        if len(line) > LONGEST_LINE:
            self._remote.refuse(f"a line of it is longer than {LONGEST_LINE} bytes")
        text = line.decode("utf-8", "replace")
        try:
            found: dict[str, Any] | None = answers.read_line(text, _ours)
        except answers.BrokenAnswerError as error:
            self._remote.refuse(str(error))
        return found or None

    def end(self) -> None:
        """End the connection if it still stands."""
        self._ended.set()
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
    def is_silent(self) -> bool:
        """Whether it was given up because nothing came."""
        return self._silent

    @property
    def is_final(self) -> bool:
        """Whether the host answered, and another attempt would be answered the same."""
        return self._process.returncode != 255 and not self._silent

    def why(self) -> str:
        """Return why the connection ended. Raises UserError when its end has a reason that a person has to mend."""
        if self._silent:
            return f"nothing was heard for {SILENCE:g} s"
        done = Done(self._process.returncode, "", "\n".join(self._errors))
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
        while line := self._process.stdout.readline(LONGEST_LINE + 1) if self._process.stdout else b"":
            self._put(line)
            if len(line) > LONGEST_LINE:
                break
        self._put(None)

    def _put(self, line: bytes | None) -> None:
        """Hand a line on; it waits for whoever reads, so that a host that pours out lines fills nothing here."""
        while not self._ended.is_set():
            try:
                self._came.put(line, timeout=1.0)
            except queue.Full:
                continue
            return

    def _read_errors(self) -> None:
        while line := self._process.stderr.readline(LONGEST_ERROR) if self._process.stderr else b"":
            self._errors.append(line.decode("utf-8", "replace").rstrip("\n"))


def _ours(found: Any, where: str) -> dict[str, Any]:
    """Take a line by the key that it has; {} for one that has none of ours."""
    for key, shape in KINDS.items():
        if key in found:
            return dict(shape(found, where))
    return {}
