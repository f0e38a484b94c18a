"""Those who play, as the relay's states show them one after the other: what they did, and how bad the way to them was.

Pure: states in, values out; times are seconds of whatever clock the caller has.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

WAYS = ("to_client", "to_host")


# A connection's first measures are of its handshake and of acknowledgements held back: left out when others follow.
FIRST = 3


@dataclass
class Way:
    """One way so far: the newest rtt and the mean jitter in seconds, segments sent again."""

    rtt: float = 0.0
    jitter: float = 0.0
    retransmits: int = 0
    _count: int = 0
    _sum: float = 0.0

    def take(self, way: dict[str, Any] | None) -> None:
        """Take what the kernel says now; a way that was not measured yet has an rtt of 0."""
        if not way or not way["rtt"]:
            return
        self._count += 1
        if self._count == FIRST + 1:
            self._sum = 0.0
        self._sum += way["jitter"]
        self.jitter = self._sum / (self._count if self._count <= FIRST else self._count - FIRST)
        self.rtt = way["rtt"]
        self.retransmits = max(self.retransmits, way["retransmits"] or 0)


@dataclass
class Player:
    """Somebody in a session. state is the newest the relay told; rates are bytes a second, from and to the client."""

    state: dict[str, Any]
    at: float
    rates: tuple[float, float] = (0.0, 0.0)
    ways: dict[str, Way] = field(default_factory=lambda: {name: Way() for name in WAYS})
    pauses: int = 0
    ended: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        self._measure()

    @property
    def seen(self) -> dict[str, Any]:
        """What was seen on the link; empty where nothing is looked at."""
        return self.state.get("seen") or {}

    @property
    def name(self) -> str:
        """Nick, or the address of somebody who has none."""
        return str((self.seen.get("client") or {}).get("nick") or self.state["address"])

    @property
    def peer(self) -> str:
        """The host's nick, or "the host"."""
        return str((self.seen.get("host") or {}).get("nick") or "the host")

    @property
    def core(self) -> str:
        """The core that is played."""
        ends = (self.seen.get("host") or {}, self.seen.get("client") or {})
        return next((str(end["core"]) for end in ends if end.get("core")), "")

    @property
    def seconds(self) -> float:
        """How long it has been there."""
        return float((self.ended or {}).get("seconds", self.state.get("age", 0.0)))

    def take(self, state: dict[str, Any], at: float) -> None:
        """Take the next state."""
        passed = at - self.at
        if passed > 0:
            counts = [state[key] - self.state[key] for key in ("bytes_from_client", "bytes_from_host")]
            self.rates = (max(0.0, counts[0] / passed), max(0.0, counts[1] / passed))
        if (state.get("seen") or {}).get("paused") and not self.seen.get("paused"):
            self.pauses += 1
        self.state, self.at = state, at
        self._measure()

    def end(self, entry: dict[str, Any]) -> None:
        """Take the end of it (relay/endings.py): the newest there is, and the last."""
        facts = ("bytes_from_client", "bytes_from_host", "to_client", "to_host", "seen")
        self.state = {**self.state, **{name: entry[name] for name in facts if entry.get(name) is not None}}
        self.ended = entry
        self._measure()

    def _measure(self) -> None:
        for name in WAYS:
            self.ways[name].take(self.state.get(name))


def key_of(state: dict[str, Any]) -> tuple[str, int]:
    """Return what tells one client from another: where it connects from."""
    return str(state["address"]), int(state.get("port", 0))


@dataclass
class Room:
    """A session that is watched. over is the relay's word for its end, and at what time it was told."""

    id: str
    since: float
    host: str
    mode: str
    players: dict[tuple[str, int], Player] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)
    paused_by: str = ""
    over: dict[str, Any] | None = None
    over_at: float = 0.0

    @property
    def there(self) -> list[Player]:
        """Those who are in it now."""
        return [player for player in self.players.values() if player.ended is None]

    @property
    def host_name(self) -> str:
        """The host's nick as its players' links show it, else its address; "" in a room without a host."""
        nicks = (player.peer for player in self.players.values() if player.peer != "the host")
        return next(nicks, self.host)
