"""The bounds and habits of a core-less room, and what it asks its caller to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from relay.spool import Blob

if TYPE_CHECKING:
    from relay.coreless.conversion import Conversion

MIB = 1024 * 1024
# Types of devices: 5 answers the polls of both a plain and an analog pad, 1 only those of a plain one. All are of
# one kind, for a player's buttons are read from the first of the player's own controllers that is of that kind.
DEVICES = (5,) * 16


@dataclass(frozen=True, slots=True)
class CorelessSettings:
    """What a room allows. Times in seconds, sizes in bytes.

    players bounds connections (31 at most: client numbers have no more), pads those who play; devices are the types of
    the 16 pads. frozen_*: a player that makes next to no progress for that long while the others are that many frames
    ahead is dropped; after taking_seconds where it is about to read a savestate. gone_seconds: whose machine gives no
    sign of life for that long keeps nobody out. state_seconds: how long a clock that goes on may leave a request for
    its savestate unanswered; one that has begun to arrive must be whole within state_arrives_seconds. work_per_second,
    work_at_once: how much of one client's commands is read, an INPUT being 1 and any other 10; it is not read for a
    while when that is used up. mixed_pause_seconds: how long somebody may pause a room in which a modern RetroArch
    takes part, which no PAUSE can hold.
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
    taking_seconds: float = 9.0
    gone_seconds: float = 7.0
    state_seconds: float = 5.0
    state_arrives_seconds: float = 60.0
    work_per_second: float = 600.0
    work_at_once: float = 1200.0
    ask_again_seconds: float = 0.1
    load_seconds: float = 1.0
    first_play_seconds: float = 1.0
    mixed_pause_seconds: float = 40.0


@dataclass(frozen=True, slots=True)
class Send:
    """Send data to the connection key. A blob need not be whole yet: it is sent when it is, and all else after it."""

    key: int
    data: bytes | Blob


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


@dataclass(frozen=True, slots=True)
class Rest:
    """Read nothing of the connection key for so many seconds: it has sent more than a game does."""

    key: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Convert:
    """Do all slices of a conversion, between other things, then tell `CorelessRoom.converted`."""

    conversion: Conversion


Action = Send | Close | Note | Rest | Convert
