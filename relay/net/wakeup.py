"""Wakes the event loop at a time, by a signal instead of by the time-out of each wait.

A relay with games waits tens of thousands of times a second, and a wait with a time-out costs more than one without:
the kernel sets a timer and takes it away again, and somebody has to look at the clock. An alarm is set once, when the
loop has looked at everything.
"""

from __future__ import annotations

import asyncio
import math
import signal
import time


class WakeupTimer:
    """The process's one alarm. Only in the main thread: Python knows signals there alone (ValueError elsewhere)."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due = math.inf
        self._ringing: asyncio.Future[None] | None = None
        loop.add_signal_handler(signal.SIGALRM, self._rang)
        # Whoever started us may have held it back, and we would sleep for ever.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})

    def set(self, seconds: float) -> None:
        """Wake the loop in so many seconds, or earlier; what was set before for an earlier time stays."""
        due = time.monotonic() + seconds
        if due < self._due:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            self._due = due

    def stop(self) -> None:
        """Wake nobody until it is set again. None is on its way when this returns, so a program may be replaced."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._due = math.inf

    async def ring(self) -> None:
        """Ring now; return when every signal that came before has reached its handler, however busy the loop is.

        Signals go through one pipe to the loop, in their order. Twice, for one that was on its way may end the first.
        """
        for _ in range(2):
            self._ringing = self._loop.create_future()
            signal.raise_signal(signal.SIGALRM)
            await self._ringing

    def _rang(self) -> None:
        self._due = math.inf
        if self._ringing and not self._ringing.done():
            self._ringing.set_result(None)
