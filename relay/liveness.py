"""Whether a host is still there, by what its machine does: a paused RetroArch is mute, its kernel is not.

Sans-I/O: times are seconds of the caller's clock. The signs of life are bytes of the host, and what the kernels know
(relay/net/sockets.py).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from relay.switchboard.connection import Conn, Session

# A game whose links were silent for so long (seconds) is over: RetroArch gives a player up after 5, a host after 10.
GAME_SECONDS = 5.0
# Seconds in which nobody is asked twice, however many come: a paused host reads one message a frame when it wakes.
JUST_NOW = 0.25


class Sign(Enum):
    """What is known of a host: it lives, it is silent, or it has to be asked, or waited for."""

    ALIVE = auto()
    SILENT = auto()
    UNKNOWN = auto()


class Liveness:
    """Tells living hosts from dead ones.

    acked(conn) tells whether a peer's machine has acknowledged everything sent on a connection; quiet(conn) returns for
    how long (seconds) nothing at all came from it. patience is how long (seconds) a machine has to acknowledge.
    """

    def __init__(self, acked: Callable[[Conn], bool], quiet: Callable[[Conn], float], patience: float) -> None:
        self._acked = acked
        self._quiet = quiet
        self._patience = patience

    def tells(self, host: Conn, now: float) -> None:
        """Note that something is about to be sent to a host: its machine owes an acknowledgement."""
        host.told = now
        if host.owes is None or self._acked(host):
            host.owes = now

    def heard(self, host: Conn, now: float) -> None:
        """Note that a host said something at a time. What its machine has not acknowledged yet it owes anew."""
        host.owes = None if self._acked(host) else now

    def is_asked(self, host: Conn, now: float) -> bool:
        """Tell whether a host's machine was sent something so lately that its acknowledgement is a sign of life."""
        if host.told is None:
            return False
        return now - host.told < (JUST_NOW if self._acked(host) else self._patience)

    def sign(self, host: Conn, since: float, now: float) -> Sign:
        """Return whether a host gave a sign of life since it was asked for one, unless it was asked already."""
        if max(host.heard, host.since) >= since:
            return Sign.ALIVE
        if self.is_silent(host, now):
            return Sign.SILENT
        asked = host.told is not None and host.told >= since - self._patience
        return Sign.ALIVE if asked and self._acked(host) else Sign.UNKNOWN

    def is_silent(self, host: Conn, now: float) -> bool:
        """Tell whether a host's machine has acknowledged nothing for as long as it may take."""
        if host.owes is None or now - host.owes < self._patience:
            return False
        if self._acked(host):
            host.owes = None  # and it need not be asked for again
            return False
        return True

    def is_dead(self, session: Session, now: float) -> bool:
        """Tell whether a session's host is silent, and no game of it goes on: an outage of some seconds ends none."""
        if not self.is_silent(session.host, now):
            return False
        return all(self._quiet(conn) >= GAME_SECONDS for conn in session.linked if conn.is_link)

    def silence(self, host: Conn, now: float) -> float | None:
        """Return for how long (seconds) a silent host has given no sign of life; None for one that is not silent."""
        return now - max(host.heard, host.since) if self.is_silent(host, now) else None
