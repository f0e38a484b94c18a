"""The bounds and habits of a core-less room, and what it asks its caller to do."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024
# Types of devices: 5 answers the polls of both a plain and an analog pad, 1 only those of a plain one. All are of
# one kind, for a player's buttons are read from the first of the player's own controllers that is of that kind.
DEVICES = (5,) * 16


@dataclass(frozen=True, slots=True)
class CorelessSettings:
    """What a room allows. Times in seconds, sizes in bytes.

    players bounds connections (31 at most: client numbers have no more), pads those who play; devices are the types of
    the 16 pads. frozen_*: a player that makes next to no progress for that long while the others are that many frames
    ahead is dropped. gone_seconds: whose machine gives no sign of life for that long keeps nobody out.
    state_seconds: how long a clock that goes on may leave a request for its savestate unanswered. mixed_pause_seconds:
    how long somebody may pause a room in which a modern RetroArch takes part, which no PAUSE can hold.
    """

    players: int = 16
    pads: int = 16
    devices: tuple[int, ...] = DEVICES
    nick: str = "relay"
    max_state_bytes: int = 64 * MIB
    max_info_bytes: int = 4096
    max_input_bytes: int = 256
    max_held_frames: int = 240
    handshake_seconds: float = 15.0
    frozen_seconds: float = 5.0
    frozen_frames: int = 50
    gone_seconds: float = 7.0
    state_seconds: float = 5.0
    ask_again_seconds: float = 0.1
    first_play_seconds: float = 1.0
    mixed_pause_seconds: float = 40.0


@dataclass(frozen=True, slots=True)
class Send:
    """Send data to the connection key."""

    key: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection key, after what was to be sent to it: outcome is a word of relay/outcomes.py."""

    key: int
    outcome: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth a line in the log: event is its name, text a sentence without addresses."""

    event: str
    text: str
    key: int | None = None


Action = Send | Close | Note
