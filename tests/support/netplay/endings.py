"""How a simulated client's game ends."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class How(Enum):
    """What ended it."""

    NAK = "it was sent what it must not be sent"
    CROSSED = "what it was sent and what its player did crossed"
    REFUSED = "the handshake failed"
    STALLED = "it waited 10 s for frames that did not come"
    UNANSWERED = "the handshake took more than 11 s"
    HUNG_UP = "the other side closed the connection"
    DISCONNECTED = "the other side said DISCONNECT or NAK"
    LEFT = "its player left"


@dataclass(frozen=True)
class Ending:
    """What ended it, and why, as a sentence."""

    how: How
    why: str = ""


class NakError(Exception):
    """The client was sent what makes the real one answer NAK and hang up; the text says what."""

    def __init__(self, why: str, *, nobodys_fault: bool = False) -> None:
        """``nobodys_fault``: it was right when it was sent, and the client's player has made it wrong meanwhile."""
        super().__init__(why)
        self.nobodys_fault = nobodys_fault


class RefusedError(Exception):
    """The client was sent what makes the real one give up its handshake; the text says what."""
