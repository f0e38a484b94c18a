"""A helper process that the tests own: talks in lines over its pipes, and is gone for certain when it is stopped."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# How long a process may take to end by itself before it is terminated, and then killed.
PATIENCE = 5.0


class Child:
    """A process with a pipe to its standard input and one from its standard output; a context manager.

    The helpers of the tests end when their input does, so nothing outlives the tests, not even when these are killed.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Start ``argv``; its standard error is appended to the file ``log``."""
        self.argv = list(argv)
        self.log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=env, cwd=cwd, bufsize=0
            )
        self._unread = b""

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def running(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def tell(self, line: str) -> None:
        """Write one line to the process."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
        except BrokenPipeError as error:
            raise AssertionError(self._ended()) from error

    def line(self, within: float) -> str:
        """Return the next line that the process writes. Raises AssertionError when none comes in that many seconds."""
        assert self._process.stdout is not None
        end = time.monotonic() + within
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                if not selector.select(max(0.0, end - time.monotonic())):
                    raise AssertionError(f"{self.argv} said nothing for {within:g} s; {self._errors()}")
                piece = os.read(self._process.stdout.fileno(), 65536)
                if not piece:
                    raise AssertionError(self._ended())
                self._unread += piece
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode()

    def end_input(self) -> None:
        """Close the process's input: our helpers take that as the request to clean up and go."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def stop(self, *, terminate: bool = False) -> int:
        """End the process, if need be by force, and return its exit code.

        ``terminate`` sends SIGTERM at once, for a program that does not watch its input.
        """
        self.end_input()
        if terminate:
            self._process.terminate()
        for force in (self._process.terminate, self._process.kill, None):
            try:
                self._process.wait(PATIENCE)
                break
            except subprocess.TimeoutExpired:
                if force is None:
                    raise
                force()
        assert self._process.stdout is not None
        self._process.stdout.close()
        return self._process.returncode

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _ended(self) -> str:
        return f"{self.argv} ended with exit code {self._process.wait(PATIENCE)}; {self._errors()}"

    def _errors(self) -> str:
        return f"its last errors:\n{tail(self.log)}"


def tail(log: Path, lines: int = 30) -> str:
    """Return the last lines of a log, indented, for a message."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:]) or "    (nothing)"
