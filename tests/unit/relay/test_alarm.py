"""The alarm: the event loop wakes up in time for its timers although its waits have no end."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from relay.net.poller import Poller
from relay.net.selector import BATCH, LinkSelector
from relay.net.wakeup import WakeupTimer

BOUND = 60.0


def run(body: Callable[[LinkSelector], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine on a loop whose waits are ended by an alarm."""
    selector = LinkSelector()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        loop = runner.get_loop()
        readiness = Poller(loop, selector)
        selector.wake_by(WakeupTimer(loop))
        runner.run(asyncio.wait_for(body(selector), BOUND))
        readiness.close()


def test_timers_run_in_order_and_not_before_their_time() -> None:
    async def body(_: LinkSelector) -> None:
        loop, ran = asyncio.get_running_loop(), []
        begin = loop.time()
        for seconds in (0.06, 0.02, 0.04, 0.0, 0.1):
            loop.call_later(seconds, lambda due: ran.append((due, loop.time() - begin >= due)), seconds)
        await asyncio.sleep(0.12)
        assert ran == [(due, True) for due in (0.0, 0.02, 0.04, 0.06, 0.1)]

    run(body)


def test_a_timer_that_is_set_while_a_later_one_waits_is_not_late_for_it() -> None:
    async def body(_: LinkSelector) -> None:
        loop = asyncio.get_running_loop()
        later = loop.call_later(BOUND / 2, lambda: None)
        await asyncio.sleep(0)
        begin = time.monotonic()
        await asyncio.sleep(0.02)
        assert time.monotonic() - begin < BOUND / 2
        later.cancel()

    run(body)


def test_after_stop_nothing_rings_and_it_can_be_set_again() -> None:
    async def body(selector: LinkSelector) -> None:
        alarm = selector._alarm
        assert alarm is not None
        alarm.set(BOUND)
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
        alarm.stop()
        assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
        await asyncio.sleep(0.01)

    run(body)


def test_after_a_ring_every_earlier_signal_has_been_handled_however_much_is_ready() -> None:
    async def body(selector: LinkSelector) -> None:
        loop, handled = asyncio.get_running_loop(), []
        readiness = Poller(loop, selector)
        busy = [socket.socketpair() for _ in range(6 * BATCH)]
        for one, other in busy:
            other.send(b"never read")
            readiness.watch(one.fileno(), lambda _: None, None)
        loop.add_signal_handler(signal.SIGUSR1, handled.append, True)
        alarm = selector._alarm
        assert alarm is not None
        for _ in range(20):
            handled.clear()
            signal.raise_signal(signal.SIGUSR1)
            await alarm.ring()
            assert handled
        loop.remove_signal_handler(signal.SIGUSR1)
        for pair in busy:
            readiness.forget(pair[0].fileno())
            for sock in pair:
                sock.close()
        readiness.close()

    run(body)


@pytest.mark.parametrize(
    "start",
    ["signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})", "signal.signal(signal.SIGALRM, signal.SIG_IGN)"],
    ids=["held back", "ignored"],
)
def test_it_rings_whatever_the_program_inherited(start: str) -> None:
    program = f"""
import asyncio, signal
from relay.net.wakeup import WakeupTimer
from relay.net.poller import Poller
from relay.net.selector import BATCH, LinkSelector
{start}
selector = LinkSelector()
loop = asyncio.SelectorEventLoop(selector)
readiness = Poller(loop, selector)
selector.wake_by(WakeupTimer(loop))
loop.run_until_complete(asyncio.sleep(0.01))
readiness.close()
loop.close()
print("woke up")
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=BOUND)
    assert (ended.returncode, ended.stdout) == (0, "woke up\n"), ended.stderr


def test_a_program_whose_loop_is_closed_does_not_die_of_a_timer_that_was_left() -> None:
    program = """
import asyncio, time
from relay.net.wakeup import WakeupTimer
from relay.net.poller import Poller
from relay.net.selector import BATCH, LinkSelector
selector = LinkSelector()
loop = asyncio.SelectorEventLoop(selector)
readiness = Poller(loop, selector)
selector.wake_by(WakeupTimer(loop))
loop.call_later(0.05, print, "too late")
loop.run_until_complete(asyncio.sleep(0.001))
readiness.close()
loop.close()
time.sleep(0.2)
print("lived")
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=BOUND)
    assert (ended.returncode, ended.stdout) == (0, "lived\n"), ended.stderr
