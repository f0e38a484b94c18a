"""What the process's alarm is set to: the earliest of all times, and nothing any more when its loop is closed."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator

import pytest

from relay.net.selector import LinkSelector
from relay.net.wakeup import WakeupTimer

SOON, LATER = 1000.0, 2000.0


@pytest.fixture
def loop() -> Iterator[asyncio.SelectorEventLoop]:
    """Give a loop that is not run; the alarm rings for nobody afterwards."""
    loop = asyncio.SelectorEventLoop(LinkSelector())
    try:
        yield loop
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        loop.close()


def left() -> float:
    """Return in how many seconds the alarm rings, 0 for never."""
    return signal.getitimer(signal.ITIMER_REAL)[0]


def test_a_later_time_does_not_put_an_earlier_one_off(loop: asyncio.SelectorEventLoop) -> None:
    alarm = WakeupTimer(loop)
    for seconds in (LATER, SOON, LATER):
        alarm.set(seconds)
    assert 0 < left() <= SOON


def test_a_loop_that_is_closed_leaves_no_alarm_that_would_end_the_process() -> None:
    selector = LinkSelector()
    loop = asyncio.SelectorEventLoop(selector)
    alarm = WakeupTimer(loop)
    selector.wake_by(alarm)
    alarm.set(SOON)
    assert left()
    loop.close()
    assert not left()
