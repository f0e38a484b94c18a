"""Those who play, as the relay's states show them one after the other: what they did, and how bad the way to them was.

Pure: states in, values out; times are seconds of whatever clock the caller has.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from relay import pace

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    """Somebody in a session. state is the newest the relay told; rates are bytes a second, from and to the client.

    held: those for whom the game had to wait; rate: the frames a second it ran at in all, 0 while that is not known.
    """

    state: dict[str, Any]
    at: float
    rates: tuple[float, float] = (0.0, 0.0)
    ways: dict[str, Way] = field(default_factory=lambda: {name: Way() for name in WAYS})
    pauses: int = 0
    ended: dict[str, Any] | None = None
    held: frozenset[str] = frozenset()
    rate: float = 0.0

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
        """Take the end of it (relay/net/history.py): the newest there is, and the last."""
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


# Seconds of a game that are looked at together to say what makes it stutter; a verdict is told once it has stood for
# so long, and anew when it had been gone for so long.
LOOK = 6.0
TOLD_AFTER, ANEW_AFTER = 2.0, 20.0


@dataclass
class Trouble:
    """One verdict of a game: since when it stands, when it was seen last, how many seconds it stood in all."""

    worst: pace.Verdict
    since: float
    seen: float
    seconds: float = 0.0
    told: bool = False
    rates: list[float] = field(default_factory=list)

    def past(self) -> str:
        """Say how it was."""
        rates = [rate for rate in self.rates if rate]
        rate = sum(rates) / len(rates) if rates else 0.0
        return replace(self.worst, rate=rate).past


@dataclass
class Pace:
    """How a game runs: its last moments, and what made it stutter so far."""

    moments: deque[pace.Moment] = field(default_factory=deque)
    troubles: dict[tuple[pace.Cause, str], Trouble] = field(default_factory=dict)
    _begun: dict[Any, tuple[float, int]] = field(default_factory=dict)

    def take(self, moment: pace.Moment, now: float) -> list[pace.Verdict]:
        """Take the next moment; return the verdicts that are news."""
        if self.moments and moment.at <= self.moments[-1].at:
            self.moments.clear()  # another program
            self._begun.clear()
        passed = moment.at - self.moments[-1].at if self.moments else 0.0
        self.moments.append(moment)
        while len(self.moments) > 2 and moment.at - self.moments[1].at >= LOOK:
            self.moments.popleft()
        found = pace.why(self.moments)
        return [verdict for verdict in found if verdict.cause in NEWS and self._stands(verdict, now, passed)]

    def rate(self, key: Any) -> float:
        """Return the frames a second that a player's game ran at over all the time, 0 while it is not known."""
        newest = self.moments[-1] if self.moments else None
        seat = newest.seats.get(key) if newest else None
        if newest is None or seat is None or seat.clock is None:
            return 0.0
        at, clock = self._begun.setdefault(key, (newest.at, seat.clock))
        return (seat.clock - clock) / (newest.at - at) if newest.at - at >= LOOK else 0.0

    @property
    def held(self) -> frozenset[str]:
        """Those for whom the game had to wait for more than a moment."""
        return frozenset(who for (cause, who), one in self.troubles.items() if cause in pace.HOLDS_UP and one.told)

    def _stands(self, verdict: pace.Verdict, now: float, passed: float) -> bool:
        key = verdict.cause, verdict.who
        one = self.troubles.get(key)
        if one is None:
            one = self.troubles[key] = Trouble(verdict, now, now)
        elif now - one.seen > ANEW_AFTER:
            one.since, one.told = now, False
        elif now - one.seen < LOOK:
            one.seconds += passed
        one.seen = now
        one.rates.append(verdict.rate)
        del one.rates[:-RATES]
        one.worst = max(one.worst, verdict, key=lambda each: (each.behind, each.leg.silent))
        if one.told or now - one.since < TOLD_AFTER:
            return False
        one.told = True
        return True


# What is told while a game goes on; the ways are judged when it is over. So many rates are kept for a mean.
NEWS = pace.HOLDS_UP | {pace.Cause.STATE}
RATES = 3600


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
    running: Pace = field(default_factory=Pace)
    over: dict[str, Any] | None = None
    over_at: float = 0.0

    def look(self, moment: pace.Moment, now: float) -> Iterable[str]:
        """Take how the game runs at a moment; return what is to be told of it."""
        told = [verdict.sentence for verdict in self.running.take(moment, now)]
        for key, player in self.players.items():
            if player.ended is None:
                player.held, player.rate = self.running.held, self.running.rate(key)
        return told

    @property
    def troubles(self) -> list[Trouble]:
        """What made the game stutter for more than a moment, the longest first."""
        return sorted((one for one in self.running.troubles.values() if one.told), key=lambda one: -one.seconds)

    @property
    def there(self) -> list[Player]:
        """Those who are in it now."""
        return [player for player in self.players.values() if player.ended is None]

    @property
    def host_name(self) -> str:
        """The host's nick as its players' links show it, else its address; "" in a core-less session."""
        nicks = (player.peer for player in self.players.values() if player.peer != "the host")
        return next(nicks, self.host)
