"""Waiting for a condition, with a bound: what the tests do instead of sleeping for luck."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
INTERVAL = 0.01
PATIENCE = 4.0
"""How many times as long as on an idle machine things may take: bounds are written down for an idle one."""


def wait_for(probe: Callable[[], T | None], within: float, what: str) -> T:
    """Ask ``probe`` again and again, and return its first true answer.

    It may take ``within`` seconds on an idle machine, ``PATIENCE`` times that on a busy one. Raises AssertionError,
    saying ``what`` was waited for, when there was none.
    """
    end = time.monotonic() + within * PATIENCE
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() >= end:
            raise AssertionError(f"waited {within * PATIENCE:g} s in vain for {what}")
        time.sleep(INTERVAL)
