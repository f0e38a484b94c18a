"""Running a program that says what others want: how much of it is kept, and for how long it may go on, is bounded."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Bytes. The state of a relay full of players is a few MB; a reason for a failure is a few lines.
MOST_OUTPUT = 16_000_000
MOST_ERRORS = 200_000
PIECE = 65536
# Seconds that a pipe may stay open behind the program, and between two looks whether it is over.
BEHIND = 2.0
LOOK = 0.1
# Seconds in which a password is taken: a host that is busy, and PAM's delay after a wrong one.
PATIENCE = 30.0


class TooMuchError(Exception):
    """A program printed more than it may; it was ended."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a program ended, and what it printed: all of its output, and the last of its errors."""

    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Asking:
    """A question that a program asks before it reads on: the answer, and by what on standard error it is told.

    prompt: what it asks with, a second time where the answer was wrong; taken: what it says once the answer was right.
    Nothing is given behind the answer before that: the program may read more than a line of it.
    """

    answer: str
    prompt: str
    taken: str


def run(
    argv: Sequence[str],
    text: str = "",
    *,
    seconds: float,
    env: Mapping[str, str] | None = None,
    most: int = MOST_OUTPUT,
    asking: Asking | None = None,
) -> Done:
    """Run a program with text on its standard input, for at most so many seconds.

    asking: what is answered before text is given, where the program asks first. Raises subprocess.TimeoutExpired,
    TooMuchError (more than `most` bytes on standard output), and OSError as Popen does.
    """
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env
    ) as process:
        try:
            return _Talk(process, text, asking, most).until(time.monotonic() + seconds)
        finally:
            process.kill()  # does nothing to one that is over


class _Talk:
    """What goes to a program and comes from it, in one thread."""

    def __init__(self, process: subprocess.Popen[bytes], text: str, asking: Asking | None, most: int) -> None:
        assert process.stdin and process.stdout  # noqa: S101, PT018 - pipes were asked for
        assert process.stderr  # noqa: S101 - see above
        self._process, self._most, self._asking = process, most, asking
        self._patient_until = time.monotonic() + PATIENCE
        self._text = text.encode(errors="surrogateescape")
        self._left = memoryview(f"{asking.answer}\n".encode() if asking else self._text)
        self._kept = {process.stdout: bytearray(), process.stderr: bytearray()}
        self._selector = selectors.DefaultSelector()
        for pipe in self._kept:
            self._selector.register(pipe, selectors.EVENT_READ)
        self._input = process.stdin
        os.set_blocking(self._input.fileno(), False)
        self._selector.register(self._input, selectors.EVENT_WRITE)

    def until(self, end: float) -> Done:
        """Return once the program is over and has been read, at the latest at a time in monotonic seconds."""
        over_at: float | None = None
        with self._selector:
            while self._open_outputs():
                now = time.monotonic()
                if now >= self._patient_until:
                    self._heed()
                if over_at is None and self._process.poll() is not None:
                    over_at = now
                if now >= end:
                    raise subprocess.TimeoutExpired(self._process.args, 0.0, stderr=bytes([*self._kept.values()][1]))
                if over_at is not None and now - over_at >= BEHIND:
                    break  # somebody else holds them: a login that is shared, what it started
                for key, _ in self._selector.select(min(LOOK, end - now)):
                    self._serve(key.fileobj)
            self._process.wait(max(0.01, end - time.monotonic()))
        out, errors = (bytes(kept).decode("utf-8", "replace") for kept in self._kept.values())
        return Done(self._process.returncode, out.replace("\r\n", "\n"), errors.replace("\r\n", "\n"))

    def _open_outputs(self) -> bool:
        return any(key.fileobj is not self._input for key in self._selector.get_map().values())

    def _serve(self, pipe: object) -> None:
        if pipe is self._input:
            self._give()
            return
        piece = os.read(pipe.fileno(), PIECE)  # type: ignore[attr-defined]  # one of the two that were registered
        if not piece:
            self._selector.unregister(pipe)  # type: ignore[arg-type]  # see above
            return
        kept = self._kept[pipe]  # type: ignore[index]  # see above
        kept += piece
        if pipe is self._process.stderr:
            self._heed(bytes(kept))
            del kept[: max(0, len(kept) - MOST_ERRORS)]
        elif len(kept) > self._most:
            raise TooMuchError

    def _heed(self, errors: bytes = b"") -> None:
        """Give the text once the answer was taken; nothing more where it was not, or nobody tells for too long."""
        if self._asking is None:
            return
        if self._asking.taken.encode() in errors:
            self._left = memoryview(bytes(self._left) + self._text)
        elif errors.count(self._asking.prompt.encode()) < 2 and time.monotonic() < self._patient_until:
            return
        self._asking = None
        if self._input not in self._selector.get_map():
            self._selector.register(self._input, selectors.EVENT_WRITE)

    def _give(self) -> None:
        try:
            if self._left:
                self._left = self._left[os.write(self._input.fileno(), self._left[:PIECE]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:  # over before it has read all; its exit tells why
            self._left, self._asking = self._left[:0], None
        if self._left:
            return
        self._selector.unregister(self._input)
        if self._asking is None:
            with suppress(BrokenPipeError):
                self._input.close()
