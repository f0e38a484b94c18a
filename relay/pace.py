"""Why a game stutters: decided from a few states of the relay, taken one after the other. Pure; nothing is asked here.

watch, status and doctor all use `why`. docs/troubleshooting.md has a table of the cases; a test keeps the two alike.

What the decision rests on was measured with real RetroArch 1.14.0, hosted and without a host. A player's machine that
is too slow stays 42 to 61 frames behind while the game runs on at its pace: RetroArch lets nobody run more than about
60 frames ahead of the slowest. A line that loses packets lets him fall behind by as much, but he catches up whenever a
packet gets through, and segments are sent again. The rate of the frames alone says nothing: cores run at 30, 50, 60
or 75 frames a second.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

FRAME = 1 / 60
# Frames behind: the others wait from so many on, from fewer if the host has told somebody to wait; so many must be more
# than the distance alone makes; with so few somebody has caught up. Often is what happens so often in one look.
WAITED_FOR, TOLD_TO_WAIT, UNEXPLAINED, CAUGHT_UP = 40, 25, 25, 20
OFTEN = 2
# Frames a second: a game that is at least as fast as FULL bothers nobody (one that is fast-forwarded does not, either),
# one slower than STILL stands still.
FULL, STILL = 57.0, 2.0
# Seconds: a player who joined more recently is not judged, a shorter look says nothing about a pace, a longer one can
# tell a slow machine from a lossy line where there is both.
SETTLED, LOOK, LONG_LOOK = 5.0, 0.9, 4.0
# Jitter (seconds) that a person notices: most of a frame. An acknowledgement waits for the peer's next frame, or for
# 40 ms at most, so a slow game makes any line look uneven: more than HELD is the line's own.
UNEVEN, PART_OF_FRAME, HELD = 0.012, 0.72, 0.045
# The round trip from player to player in seconds that is felt; segments sent again each minute that are; and as many as
# can hold a whole game up.
FAR, LOSSY, VERY_LOSSY = 0.180, 6, 30
# How often whoever asks once looks at a relay to judge a pace, and how many seconds lie between two looks.
LOOKS, BETWEEN = 3, 0.8
# Seconds without an acknowledgement after which a line is dead; bytes of a savestate that still wait.
DEAD, WAITING = 2.0, 16 * 1024


class Cause(StrEnum):
    """Why a game stutters: the value is its word, doc says what it is seen by, cure what helps."""

    doc: str
    cure: str

    def __new__(cls, word: str, doc: str, cure: str) -> Cause:
        """Make the word the value and keep the texts beside it."""
        cause = str.__new__(cls, word)
        cause._value_ = word
        cause.doc, cause.cure = doc, cure
        return cause

    PAUSED = (
        "paused",
        "somebody paused the game",
        "nothing: it goes on when they resume",
    )
    STUCK = (
        "stuck-after-pause",
        f"the game stands still, {WAITED_FOR} frames or more apart, after a pause that is over",
        "a fault of RetroArch (seen in 1.14 and 1.22): leave the game and join again; the host sets Allow Pausing OFF",
    )
    STATE = (
        "savestate",
        f"a savestate is on its way: part of it has not come yet, or more than {WAITING // 1024} kB wait",
        "wait; a core with smaller savestates is there sooner",
    )
    DEAD_LINE = (
        "dead-line",
        f"the game stands still, {WAITED_FOR} frames or more apart, and what was sent to that player "
        f"is not acknowledged for {DEAD:g} s or more",
        "a cable instead of Wi-Fi; RetroArch drops the player after 5 to 10 s",
    )
    FROZEN = (
        "frozen-machine",
        f"the game stands still, {WAITED_FOR} frames or more apart, and that player's line works",
        "RetroArch hangs there, or the machine sleeps",
    )
    SLOW_MACHINE = (
        "slow-machine",
        f"a player stays {WAITED_FOR} frames or more behind the whole time, the line loses next to nothing "
        f"(fewer than {VERY_LOSSY} segments a minute sent again, jitter below {HELD * 1000:.0f} ms)",
        "other programs closed there, shaders and run-ahead off, a lighter core",
    )
    SLOW_LINE = (
        "slow-line",
        f"a player falls {WAITED_FOR} frames or more behind, and the line is bad ({VERY_LOSSY} segments a minute "
        f"or more sent again, or jitter of {HELD * 1000:.0f} ms or more)",
        "a cable instead of Wi-Fi, nothing else on that line",
    )
    SLOW_BOTH = (
        "slow-machine-and-line",
        f"both: {WAITED_FOR} frames or more behind for the whole of {LONG_LOOK:g} s or more, and the line is bad",
        "the line first, then the machine",
    )
    BUSY = (
        "busy-machine",
        f"a player falls {WAITED_FOR} frames or more behind now and then and catches up; the line is good",
        "other programs closed there",
    )
    LOSSY = (
        "lossy-line",
        f"{LOSSY} segments a minute or more had to be sent again",
        "a cable instead of Wi-Fi, nothing else on that line",
    )
    UNEVEN = (
        "uneven-line",
        f"jitter of {UNEVEN * 1000:.0f} ms or more; of most of a frame where the game runs slower, "
        f"at most {HELD * 1000:.0f} ms",
        "a cable instead of Wi-Fi, nothing else on that line",
    )
    FAR = (
        "far",
        f"{FAR * 1000:.0f} ms or more from player to player and back",
        "Input Latency Frames, or a relay nearer to both",
    )


# What holds a whole game up; the others bother those on that line.
HOLDS_UP = frozenset({
    Cause.STUCK, Cause.DEAD_LINE, Cause.FROZEN, Cause.SLOW_MACHINE, Cause.SLOW_LINE, Cause.SLOW_BOTH, Cause.BUSY,
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Leg:
    """The way between the relay and somebody: seconds, segments sent again; silent: without an acknowledgement."""

    rtt: float = 0.0
    jitter: float = 0.0
    retransmits: int = 0
    silent: float = 0.0


@dataclass(frozen=True, slots=True)
class Seat:
    """A player at one moment.

    clock is the newest frame of the host or of the time keeper, own that of this player. coming: bytes of a savestate
    that have not come to the relay yet; waiting: bytes that wait at the relay for this player. states and stalls are
    counts: savestates sent, and how often the host had this player wait for somebody.
    resumed: a pause was over less than about a second of the game ago.
    """

    name: str
    playing: bool
    age: float
    leg: Leg
    clock: int | None = None
    own: int | None = None
    coming: int = 0
    waiting: int = 0
    states: int = 0
    stalls: int = 0
    state_bytes: int = 0
    resumed: bool = False

    @property
    def behind(self) -> int | None:
        """Frames behind the clock, below 0 for ahead of it; None where it is not known."""
        return self.clock - self.own if self.playing and self.clock is not None and self.own is not None else None


@dataclass(frozen=True, slots=True)
class Moment:
    """A game at one moment. at: seconds of the relay's own clock. keeper: the host, or who keeps time, and the way."""

    at: float
    keeper: str
    keeper_leg: Leg
    seats: dict[Any, Seat]
    paused_by: str = ""
    keeper_key: Any = None
    hosted: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """One thing that is wrong. who: the player it is due to; other: who waits; rate: frames a second, 0 if unknown."""

    cause: Cause
    who: str
    other: str = ""
    rate: float = 0.0
    behind: int = 0
    leg: Leg = Leg()
    bytes: int = 0

    @property
    def sentence(self) -> str:
        """Say how it is."""
        return self._say(1)

    @property
    def past(self) -> str:
        """Say how it was."""
        return self._say(2)

    def _say(self, tense: int) -> str:
        # The tense is chosen before names come in, which may have any sign in them.
        text = (PACE if self.rate and self.cause in PACED else "") + SAYS[self.cause]
        return re.sub(r"<([^|]*)\|([^>]*)>", lambda found: found[tense], text).format(
            who=self.who,
            other=self.other,
            rate=self.rate,
            behind=self.behind,
            megabytes=self.bytes / 1e6,
            again=self.leg.retransmits,
            jitter=self.leg.jitter * 1000,
            silent=self.leg.silent,
            rtt=self.leg.rtt * 1000,
            frames=round(self.leg.rtt / 2 / FRAME),
        )


# What is said, <now|afterwards>.
PACE = "the game <runs|ran> at {rate:.0f} frames a second: "
WAITS = "everybody <waits|waited> for {who}, who <is|was> {behind} frames behind; "
STANDS = "the game <stands|stood> still: everybody <waits|waited> for {who}, "
SAYS = {
    Cause.PAUSED: "the game <is|was> paused by {who}",
    Cause.STUCK: (
        "the game <stands|stood> still since a pause: {who} <does|did> not go on. It is RetroArch's own fault: "
        "leave and join again, and let the host set Allow Pausing OFF"
    ),
    Cause.STATE: "a savestate of {megabytes:.1f} MB <is|was> on its way to {who}",
    Cause.DEAD_LINE: STANDS + "whose line <is|was> dead (nothing confirmed for {silent:.0f} s)",
    Cause.FROZEN: STANDS + "whose RetroArch <sends|sent> nothing, though the line <works|worked>",
    Cause.SLOW_MACHINE: WAITS + "that machine <is|was> too slow for the game, the line <is|was> good",
    Cause.SLOW_LINE: (
        WAITS + "that line <is|was> bad ({again} segments sent again, jitter {jitter:.0f} ms), Wi-Fi or a busy one"
    ),
    Cause.SLOW_BOTH: (
        WAITS + "that machine <is|was> too slow for the game, and the line <is|was> bad as well "
        "({again} segments sent again, jitter {jitter:.0f} ms)"
    ),
    Cause.BUSY: (
        "{who} <falls|fell> up to {behind} frames behind and <catches|caught> up, again and again: that machine "
        "<is|was> busy with something else, the line <is|was> good"
    ),
    Cause.LOSSY: (
        "packets to {who} <are|were> lost ({again} segments had to be sent again): "
        "a cable instead of Wi-Fi, nothing else on the line"
    ),
    Cause.UNEVEN: "the way to {who} <is|was> uneven (jitter {jitter:.0f} ms): Wi-Fi or a busy line",
    Cause.FAR: "{who} and {other} are {rtt:.0f} ms apart: input is {frames} frames late on the way",
}
PACED = frozenset({Cause.SLOW_MACHINE, Cause.SLOW_LINE, Cause.SLOW_BOTH, Cause.BUSY})


def of(state: dict[str, Any]) -> dict[str, Moment]:
    """Return every game of a relay's state (relay/monitoring/status.py) as it is at that moment, by the room's id.

    A game without a host has the id "port N". What the relay may not look at ([watch]) cannot be judged.
    """
    hosted = {session["id"]: _of_session(session, state["age"]) for session in state["sessions"]}
    return hosted | {f"port {table['port']}": _of_table(table, state["age"]) for table in state.get("tables", [])}


def _of_session(session: dict[str, Any], at: float) -> Moment:
    seats, keeper, paused_by, keeper_leg = {}, "", "", Leg()
    for client in session["clients"]:
        seen = client.get("seen") or {}
        keeper = keeper or (seen.get("host") or {}).get("nick") or ""
        paused_by = paused_by or str(seen.get("paused_by") or "")
        keeper_leg = max(keeper_leg, _leg(client.get("to_host")), key=lambda way: (way.silent, way.jitter))
        seats[client["address"], client.get("port", 0)] = Seat(
            name=str((seen.get("client") or {}).get("nick") or client["address"]),
            playing=seen.get("role") == "playing",
            age=client["age"],
            leg=_leg(client.get("to_client")),
            clock=seen.get("frame"),
            own=seen.get("client_frame"),
            coming=seen.get("coming") or 0,
            waiting=client.get("waiting_bytes") or 0,
            states=seen.get("savestates") or 0,
            stalls=seen.get("stalls") or 0,
            state_bytes=seen.get("savestate_bytes") or 0,
            resumed=bool({"host-resumed", "client-resumed"} & {*(seen.get("lately") or [])}),
        )
    return Moment(at, keeper or "the host", keeper_leg, seats, paused_by)


def _of_table(table: dict[str, Any], at: float) -> Moment:
    seats, keeper, keeper_leg, keeper_key = {}, "", Leg(), None
    for player in table["players"]:
        key = player.get("address", ""), player.get("port", 0)
        number = f"player {player['player']}" if player.get("player") else player.get("address", "")
        seat = seats[key] = Seat(
            name=player.get("nick") or number,
            playing=player.get("role") == "playing",
            age=player.get("age", 0.0),
            leg=_leg(player.get("to_client")),
            clock=table.get("frame"),
            own=player.get("frame"),
            waiting=player.get("waiting_bytes") or 0,
            states=int(not player.get("waits_for_state", False)),
            state_bytes=player.get("waiting_bytes") or 0,
        )
        if player.get("number") is not None and player.get("number") == table.get("master"):
            keeper, keeper_leg, keeper_key = seat.name, seat.leg, key
    paused_by = " and ".join(table.get("paused_by") or [])
    return Moment(at, keeper, keeper_leg, seats, paused_by, keeper_key, hosted=False)


def _leg(way: dict[str, Any] | None) -> Leg:
    if not way:
        return Leg()
    return Leg(way["rtt"], way.get("jitter") or 0.0, way.get("retransmits") or 0, way.get("silence") or 0.0)


def why(moments: Sequence[Moment]) -> list[Verdict]:
    """Return what makes a game stutter, the worst first; nothing for one that runs well.

    moments: of one game, oldest first, a second or so apart. One alone tells a pause, a savestate and the ways; whom
    the others wait for takes a look of LOOK seconds.
    """
    last = moments[-1]
    if last.paused_by:
        return [Verdict(Cause.PAUSED, last.paused_by)]
    moments = _unpaused(moments)
    states = [_state(seat) for seat in last.seats.values() if _waits_for_state(seat)]
    held = [] if states else _held_up(moments)
    rate = pace(moments)
    limit = HELD if held else uneven_from(rate)
    return [*states, *held, *(verdict for verdict in _legs(last, limit) if not _said(verdict, held))]


def judged(looks: Sequence[dict[str, Moment]]) -> dict[str, list[Verdict]]:
    """Return what makes each game of the newest look stutter, by the room's id; looks are those of `of`, oldest first.

    A room that was not there in an earlier look is judged by the later ones.
    """
    found = {}
    for room in looks[-1]:
        moments: list[Moment] = []
        for look in reversed(looks):
            if room not in look:
                break
            moments.insert(0, look[room])
        found[room] = why(moments)
    return found


def pace(moments: Sequence[Moment]) -> float:
    """Return the frames a second between the first of these and the last; 0 where that cannot be told."""
    first, last = moments[0], moments[-1]
    passed = last.at - first.at
    if passed < LOOK:
        return 0.0
    rates = [
        (seat.clock - before.clock) / passed
        for key, seat in last.seats.items()
        if (before := first.seats.get(key)) and seat.clock is not None and before.clock is not None
    ]
    return max(rates, default=0.0)


def uneven_from(rate: float) -> float:
    """Return the jitter in seconds from which on a way is uneven, at so many frames a second (0: not known)."""
    return min(HELD, max(UNEVEN, PART_OF_FRAME / rate)) if rate >= STILL else UNEVEN


def leg(who: str, way: Leg, seconds: float, limit: float) -> Iterator[Verdict]:
    """Judge the way to somebody who has been there for so many seconds; limit: the jitter that counts."""
    if way.retransmits / max(seconds / 60, 1.0) >= LOSSY:
        yield Verdict(Cause.LOSSY, who, leg=way)
    if way.jitter >= limit:
        yield Verdict(Cause.UNEVEN, who, leg=way)


def apart(who: str, other: str, rtt: float) -> Iterator[Verdict]:
    """Judge how far two are from each other, there and back by way of the relay (seconds)."""
    if rtt >= FAR:
        yield Verdict(Cause.FAR, who, other, leg=Leg(rtt))


def _legs(last: Moment, limit: float) -> Iterator[Verdict]:
    seen_keeper = False
    for key, seat in last.seats.items():
        yield from leg(seat.name, seat.leg, seat.age, limit)
        if last.hosted and not seen_keeper:
            found = [*leg(last.keeper, last.keeper_leg, seat.age, limit)]
            seen_keeper = bool(found)
            yield from found
        if key != last.keeper_key:
            yield from apart(seat.name, last.keeper, seat.leg.rtt + last.keeper_leg.rtt)


def _said(verdict: Verdict, held: Sequence[Verdict]) -> bool:
    """Whether that line was judged already: a machine that stops and goes on has segments sent to it again, too."""
    return verdict.cause is not Cause.FAR and any(one.who == verdict.who for one in held)


def _unpaused(moments: Sequence[Moment]) -> Sequence[Moment]:
    """Return the newest moments in a row in which nobody paused, of one run of the relay's clock."""
    start = len(moments) - 1
    while start and not moments[start - 1].paused_by and moments[start - 1].at < moments[start].at:
        start -= 1
    return [*moments][start:]


def _waits_for_state(seat: Seat) -> bool:
    return bool(seat.coming) or (seat.states > 0 and seat.waiting >= WAITING)


def _state(seat: Seat) -> Verdict:
    return Verdict(Cause.STATE, seat.name, bytes=max(seat.state_bytes, seat.coming, seat.waiting))


def _held_up(moments: Sequence[Moment]) -> list[Verdict]:
    """Return for whom the others wait."""
    slow = [verdict for key in moments[-1].seats if (verdict := _waited_for(moments, key))]
    # A host, or who keeps time, is the same for all: said once, by whoever waits most.
    return list({one.who: one for one in sorted(slow, key=lambda one: one.behind)}.values())


def _waited_for(moments: Sequence[Moment], key: Any) -> Verdict | None:
    """Judge one player against the clock: who is behind, the player or whose frames are the clock."""
    seats = [moment.seats[key] for moment in moments if key in moment.seats]
    gaps = [gap for seat in seats if (gap := seat.behind) is not None]
    first, last = seats[0], seats[-1]
    if len(gaps) < len(moments) or first.age < SETTLED or last.states != first.states:
        return None
    late = max(gaps) >= -min(gaps)
    others = moments[-1]
    who, other = (last.name, others.keeper) if late else (others.keeper, last.name)
    sizes = [gap if late else -gap for gap in gaps]
    # Whom the host told to wait has been ahead of somebody, if not for long.
    enough = TOLD_TO_WAIT if not late and last.stalls > first.stalls else WAITED_FOR
    steady = not _recovered(sizes, enough)
    begin = _since(sizes, enough) if steady else 0
    if begin >= len(moments):
        return None
    looked = moments[begin:]
    rate = pace(looked)
    if max(sizes) < enough or looked[-1].at - looked[0].at < LOOK or rate >= FULL:
        return None
    still = steady and _progress(seats[begin:], late=late) < STILL * (looked[-1].at - looked[0].at)
    if steady and not still and min(sizes[begin:]) - _distance(last, others) < UNEXPLAINED:
        return None  # the distance alone makes that much
    ways = [seat.leg for seat in seats[begin:]] if late else [moment.keeper_leg for moment in looked]
    if still:
        stuck = Cause.STUCK if last.resumed else Cause.FROZEN
        cause = Cause.DEAD_LINE if ways[-1].silent >= DEAD else stuck
        return Verdict(cause, who, other, 0.0, max(sizes), ways[-1])
    cause = _cause(steady, ways, looked[-1].at - looked[0].at)
    often = _falls(sizes, enough) if cause is Cause.BUSY else sum(size >= enough for size in sizes)
    if not steady and often < OFTEN:
        return None  # it was once, and is over
    return Verdict(cause, who, other, rate, max(sizes), _whole(ways))


def _recovered(sizes: Sequence[int], enough: int) -> bool:
    """Whether somebody was far behind and has caught up since."""
    far = next((place for place, size in enumerate(sizes) if size >= enough), len(sizes))
    return any(size <= CAUGHT_UP for size in sizes[far:])


def _falls(sizes: Sequence[int], enough: int) -> int:
    """Return how often somebody fell far behind after having caught up, or at first."""
    falls, far = 0, False
    for size in sizes:
        if size >= enough and not far:
            falls, far = falls + 1, True
        elif size <= CAUGHT_UP:
            far = False
    return falls


def _since(sizes: Sequence[int], enough: int) -> int:
    """Return the place from which on somebody has been far behind without an end."""
    return max((place + 1 for place, size in enumerate(sizes) if size < enough), default=0)


def _distance(seat: Seat, moment: Moment) -> float:
    return (seat.leg.rtt + moment.keeper_leg.rtt) / FRAME


def _progress(seats: Sequence[Seat], *, late: bool) -> int:
    """Return how many frames whoever is behind has played meanwhile."""
    first, last = (seat.own if late else seat.clock for seat in (seats[0], seats[-1]))
    return (last or 0) - (first or 0)


def _cause(steady: bool, ways: Sequence[Leg], seconds: float) -> Cause:
    again = ways[-1].retransmits - ways[0].retransmits
    bad = (again >= 2 and again * 60 / seconds >= VERY_LOSSY) or max(way.jitter for way in ways) >= HELD
    if not bad:
        return Cause.SLOW_MACHINE if steady else Cause.BUSY
    return Cause.SLOW_BOTH if steady and seconds >= LONG_LOOK else Cause.SLOW_LINE


def _whole(ways: Sequence[Leg]) -> Leg:
    """Return the newest of a way's measures with the greatest jitter, and what was sent again meanwhile."""
    again = ways[-1].retransmits - ways[0].retransmits
    return Leg(ways[-1].rtt, max(way.jitter for way in ways), again, ways[-1].silent)
