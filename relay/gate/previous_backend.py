"""The packet filter used before: after a change to the other one, what it holds of ours is taken away, or remembered.

Whoever is to get in must pass both. So rules that could not be taken away keep new friends out until they are gone, or
until the host restarts: it is tried again, and said, as long as they may stand.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from relay.gate.backends.base import Backend, FilterError
from relay.gate.state import Applied, Leftover, State

if TYPE_CHECKING:
    from relay.gate.gate import Gate

# Seconds between two attempts, unless rules had to be changed anyway.
AGAIN = 60.0
# What tells one life of a kernel's rules from the next: a start of the host, and the network they are for.
BOOT = Path("/proc/sys/kernel/random/boot_id")
NETWORK = Path("/proc/self/ns/net")


def note(state: State, before: Applied) -> None:
    """Note that the filter used before is not the one in use any more."""
    # There are two; so what is left of the other one is in use again.
    again = state.leftover.created if state.leftover else []
    state.leftover = Leftover(before.backend, before.plain, state.created, _life())
    state.created = again


def take_away(gate: Gate, state: State, current: str, *, now: bool) -> None:
    """Take away what is left, if it is time to try or now says so; current: the filter in use."""
    left = state.leftover
    if left is None:
        return
    if left.backend == current:
        state.created = sorted({*state.created, *left.created})
        state.leftover = None
        return
    if not now and 0 <= gate.clock() - left.tried < AGAIN:
        return
    try:
        backend(gate, left).remove(left.created)
    except FilterError as error:
        left.tried, left.why = gate.clock(), str(error)
        if _is_over(gate, left):
            state.leftover = None
    else:
        state.leftover = None


def backend(gate: Gate, left: Leftover) -> Backend:
    """Return the filter it is in. Raises FilterError when the host does not have that any more."""
    return gate.named(left.backend, State(applied=Applied(left.backend, [], "", "", left.plain)))


def sentences(state: State) -> list[str]:
    """Return what is to be said of it."""
    left = state.leftover
    return [f"what {left.backend} held of netplay-relay could not be removed: {left.why}"] if left and left.why else []


def _is_over(gate: Gate, left: Leftover) -> bool:
    """Tell whether nothing of it can stand: the host was started since, and has no program that loads such rules."""
    if not left.life or _life() in ("", left.life):
        return False
    try:
        backend(gate, left)
    except FilterError:
        return True
    return False


def _life() -> str:
    """Return what tells this life of the kernel's rules from others, "" where that may not be seen."""
    with contextlib.suppress(OSError):
        return f"{BOOT.read_text(encoding='utf-8').strip()} {NETWORK.readlink()}"
    return ""
