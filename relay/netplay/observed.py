"""What was seen on one link: the facts that status, metrics and the log show, as values that are safe to show."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

# RetroArch's fields for names are 32 bytes with the NUL at their end.
MOST_TEXT = 31
# What happened at most this many frames ago happened in the last second before an end. It is a little more than 60:
# so many frames a RetroArch goes on by itself when the others do not.
LATELY = 75
# What `happened` is told, and by which end's frames it is dated.
BY_CLIENT = frozenset({"asked", "client-paused", "client-resumed"})
BY_HOST = frozenset({"state", "loaded", "joined", "reset", "host-paused", "host-resumed", "mode"})


class Role(StrEnum):
    """What the client of a link does: it has not been let in yet, it watches, it plays."""

    JOINING = "joining"
    WATCHING = "watching"
    PLAYING = "playing"


def clean(field_: bytes) -> str:
    """Return the text of a NUL-terminated field: at most 31 bytes, "?" for whatever is not a character to print.

    These texts come from strangers and end in terminals: escape sequences, line ends and characters that turn the
    direction of writing around are attacks.
    """
    text = field_[:MOST_TEXT].partition(b"\0")[0].decode("utf-8", "replace")
    return "".join(sign if sign.isprintable() and sign != "\N{REPLACEMENT CHARACTER}" else "?" for sign in text).strip()


@dataclass(slots=True)
class Peer:
    """What one end said of itself.

    Texts are cleaned and empty while unknown. retroarch is the release guessed from its header. content_crc is the
    CRC-32 of the content as RetroArch takes it; None while unknown, 0 where there is no single content.
    """

    nick: str = ""
    retroarch: str = ""
    core: str = ""
    core_version: str = ""
    content_crc: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it with the CRC as people write it, 8 hexadecimal digits."""
        crc = self.content_crc
        return {**dataclasses.asdict(self), "content_crc": None if crc is None else f"{crc:08X}"}


@dataclass(slots=True)
class Seen:
    """What was seen on a link so far. Counters only grow; None and "" mean that it has not been seen.

    password: the host asks for one. password_sent: the client has answered; a host that then closes without having
    told its core has refused it. refusal: "full", "banned" or "old version", what the host answered instead of
    playing. player is the number RetroArch shows (its first pad); pads are numbered from 1. desyncs counts the
    savestates the client asked for because its game differs from the host's; those that RetroArch 1.21 and newer asks
    for after a MODE are not among them (asks_after_mode: it is such a client; modes, mode_frame: how many MODEs it
    has not answered so yet, and the host's frame at the last of them). savestates and
    savestate_bytes (of the last one, on the wire) count what the host sent, which it also does for everybody whenever
    somebody joins. frame is the newest frame of the host and frames how many it sent, so that frames over time is
    its speed; client_frame is the newest frame of the client's input. events has the frame at
    which each of BY_CLIENT and BY_HOST happened last. stopped: a direction carried something that is not
    netplay and is not followed any more.
    """

    client: Peer = field(default_factory=Peer)
    host: Peer = field(default_factory=Peer)
    protocol: int | None = None
    password: bool | None = None
    password_sent: bool = False
    refusal: str = ""
    role: Role = Role.JOINING
    client_number: int | None = None
    pads: tuple[int, ...] = ()
    client_paused: bool = False
    host_paused: bool = False
    pauser: str = ""
    desyncs: int = 0
    asks_after_mode: bool = False
    modes: int = 0
    mode_frame: int = 0
    savestates: int = 0
    savestate_bytes: int = 0
    resets: int = 0
    stalls: int = 0
    pings: int = 0
    frame: int | None = None
    frames: int = 0
    client_frame: int | None = None
    events: dict[str, int] = field(default_factory=dict)
    stopped: bool = False

    @property
    def player(self) -> int | None:
        """The number RetroArch gives the client as a player; None while it does not play."""
        return self.pads[0] if self.pads else None

    @property
    def paused_by(self) -> str:
        """Who holds the game: a nick, or "client" and "host" (or somebody behind it) without one; "" when nobody."""
        if self.client_paused:
            return self.client.nick or "client"
        return (self.pauser or "host") if self.host_paused else ""

    @property
    def behind(self) -> int | None:
        """How many frames the client's newest input is behind the host's; None unless it plays."""
        if self.role is not Role.PLAYING or self.frame is None or self.client_frame is None:
            return None
        return max(0, self.frame - self.client_frame)

    def happened(self, event: str) -> None:
        """Note that one of BY_CLIENT or BY_HOST happened now."""
        self.events[event] = self._newest(event) or 0

    @property
    def lately(self) -> list[str]:
        """What happened in the last second of the game, in the order of the words."""
        return sorted(
            event
            for event, frame in self.events.items()
            if (newest := self._newest(event)) is not None and 0 <= newest - frame <= LATELY
        )

    def _newest(self, event: str) -> int | None:
        return self.client_frame if event in BY_CLIENT else self.frame

    def forget_names(self) -> None:
        """Drop every nick: the setting that allowed them is off now."""
        self.client.nick = self.host.nick = self.pauser = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON: strings, numbers, booleans, None, lists and dicts alone."""
        shown = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        for name in ("client_paused", "host_paused", "pauser", "asks_after_mode", "modes", "mode_frame", "events"):
            del shown[name]
        paused_by = self.paused_by
        return {
            **shown,
            "client": self.client.as_dict(),
            "host": self.host.as_dict(),
            "role": self.role.value,
            "player": self.player,
            "pads": list(self.pads),
            "paused": bool(paused_by),
            "paused_by": paused_by,
            "behind": self.behind,
            "lately": self.lately,
        }

    def save(self) -> dict[str, Any]:
        """Return every field as simple types, for a successor of this program."""
        return dataclasses.asdict(self)

    @classmethod
    def restored(cls, state: dict[str, Any]) -> Seen:
        """Return what `save` saved. Raises KeyError, TypeError or ValueError for anything else."""
        peers = {end: _checked(Peer(**state[end])) for end in ("client", "host")}
        return _checked(cls(**{**state, **peers, "role": Role(state["role"]), "pads": tuple(map(int, state["pads"]))}))


T = TypeVar("T", Peer, Seen)


def _checked(restored: T) -> T:
    fresh = type(restored)()
    for item in dataclasses.fields(restored):
        value, default = getattr(restored, item.name), getattr(fresh, item.name)
        if not isinstance(value, (int, type(None)) if default is None else type(default)):
            raise TypeError(f"{item.name} cannot be {value!r}")
        if isinstance(value, dict) and not all(
            key in BY_CLIENT | BY_HOST and isinstance(frame, int) for key, frame in value.items()
        ):
            raise TypeError(f"{item.name} cannot be {value!r}")
    return restored
