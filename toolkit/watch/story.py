"""The story of a relay: each state it sends is compared with the one before, and told as sentences and report cards.

Pure: lines of `netplay-relay status --follow` in, notes and cards out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from relay import pace
from relay.before_end import BARE
from relay.monitoring import report
from relay.outcomes import Outcome
from toolkit.status import rooms as roomview
from toolkit.watch.people import Player, Room, key_of

# Ends of players who did not leave by themselves: the sentence behind the word is told with it.
TOLD = (Outcome.HOST_CAME, Outcome.VANISHED, Outcome.FROZEN, Outcome.HOST_DEAD)
# How long (seconds) a session's card waits for the ends of its players' links, which may be told after its own.
WAIT = 3.0


@dataclass(frozen=True)
class Card:
    """A session that is over, for a report."""

    room: Room


@dataclass
class Story:
    """What is known now: the relay's newest state, the gate's, a problem in words (of reaching the relay)."""

    relay: dict[str, Any] | None = None
    gate: dict[str, Any] | None = None
    problem: str = ""
    rooms: dict[str, Room] = field(default_factory=dict)
    _known: int = 0
    _first: bool = True
    _pid: int | None = None

    def feed(self, line: dict[str, Any], now: float) -> Iterator[str | Card]:
        """Take a line at a time in seconds; yield what is worth telling."""
        if "gate" in line:
            yield from self._gate(line)
        elif line.get("relay") is None:
            if self.problem != line.get("problem"):
                self.problem = str(line.get("problem"))
                yield self.problem
        else:
            if self.problem:
                self.problem = ""
                yield "the relay answers again"
            yield from self._relay(line["relay"], now)

    def _gate(self, line: dict[str, Any]) -> Iterator[str]:
        before, self.gate = self.gate, line["gate"]
        if not (before and self.gate):
            return
        if before["present"] and not self.gate["present"]:
            yield "THE FIREWALL RULES ARE NOT LOADED: only the relay's own allowlist keeps strangers out"
        if self.gate["healed"]["count"] > before["healed"]["count"]:
            yield f"the firewall rules were loaded again: {self.gate['healed']['what']}"
        if before["agent"] and not self.gate["agent"]:
            yield "the firewall agent is no longer running: invoke doctor shows how to start it"

    def _relay(self, state: dict[str, Any], now: float) -> Iterator[str | Card]:
        if self._pid not in (None, state.get("pid")):
            self._known = 0
        self._pid, self.relay = state.get("pid"), state
        sessions, moments = roomview.rooms(state), pace.of(state)
        for session in sessions:
            yield from self._session(session, now)
            room = self.rooms[session["id"]]
            yield from (f"room {room.id}: {told}" for told in room.look(moments[room.id], now))
        entries = state.get("ended", [])
        if entries and entries[-1]["number"] < self._known:
            self._known = 0  # the program was replaced by a newer one, which counts anew
        for entry in entries:
            if entry["number"] > self._known:
                self._known = entry["number"]
                if not self._first:
                    yield from self._ended(roomview.ending(entry), now)
        self._first = False
        yield from self._finish({session["id"] for session in sessions}, now)

    def _session(self, session: dict[str, Any], now: float) -> Iterator[str | Card]:
        room = self.rooms.get(session["id"])
        if room and room.over and room.players:
            yield Card(room)  # its host is back already
        if room is None or room.over:
            host = (session.get("host") or {}).get("address", "")
            room = Room(session["id"], now - session["age"], host, str(session.get("mode") or ""))
            self.rooms[room.id] = room
            if not self._first:
                yield f"room {room.id}: opened{' by ' + host if host else ''} on port {session['port']}"
        yield from _silence(room, session)
        room.state = session
        for client in session["clients"]:
            key = key_of(client)
            if (player := room.players.get(key)) and player.ended is None:
                before = player.state
                player.take(client, now)
                yield from _changes(room, player, before)
            else:
                room.players[key] = player = Player(client, now)
                if client.get("seen") and not self._first:
                    yield from _changes(room, player, {})
        yield from _pauses(room)

    def _ended(self, entry: dict[str, Any], now: float) -> Iterator[str]:
        room = self.rooms.get(entry["session"])
        if entry["kind"] == "refused":
            meaning = next((word.doc for word in Outcome if word == entry["outcome"]), "")
            yield f"{entry['address']} did not get in ({entry['outcome']}): {meaning}"
        elif entry["kind"] == "session":
            room = room or Room(entry["session"], now - entry["seconds"], entry["address"], "")
            self.rooms[room.id] = room
            room.over, room.over_at = entry, now
        elif room is not None:
            yield from self._left(room, entry, now)

    def _left(self, room: Room, entry: dict[str, Any], now: float) -> Iterator[str]:
        player = room.players.get(key_of(entry))
        if player is None or player.ended:
            player = room.players[key_of(entry)] = Player({**entry, "state": "linked"}, now)
        player.end(entry)
        before = f"; right before: {entry['reason']}" if entry["outcome"] in BARE and entry.get("reason") else ""
        meaning = next((f": {word.doc}" for word in TOLD if word == entry["outcome"]), "")
        reason = f"; {entry['reason']}" if meaning and entry.get("reason") else ""
        left = f"left after {report.age(entry['seconds'])} ({entry['outcome']}{before})"
        yield f"room {room.id}: {player.name} {left}{meaning}{reason}"

    def _finish(self, live: set[str], now: float) -> Iterator[Card]:
        for room in list(self.rooms.values()):
            if room.id not in live and room.over is None:
                # A relay that tells no endings, or was restarted between two lines.
                room.over, room.over_at = {"outcome": "", "seconds": now - room.since}, now
            if room.over and (not room.there or now - room.over_at >= WAIT):
                del self.rooms[room.id]
                if room.players:
                    yield Card(room)


def _silence(room: Room, session: dict[str, Any]) -> Iterator[str]:
    """Yield that a host's machine gives no sign of life any more, or does so again."""
    before, now = ((state.get("host") or {}).get("silence") is not None for state in (room.state, session))
    if now and not before:
        yield f"room {room.id}: nothing comes from the host's machine any more; friends are sent elsewhere"
    elif before and not now:
        yield f"room {room.id}: the host's machine gives signs of life again"


def _changes(room: Room, player: Player, before: dict[str, Any]) -> Iterator[str]:
    """Yield what has changed in a game since the state before."""
    then, now = before.get("seen") or {}, player.seen
    if not now:
        return
    name = f"room {room.id}: {player.name}"
    if now.get("role") != then.get("role") and now.get("role") in ("playing", "watching"):
        does = "watches" if now["role"] == "watching" else "plays"
        number = f" as player {now['player']}" if now.get("player") else ""
        yield f"{name} {does}{number}{', ' + player.core if player.core else ''}"
    if (more := now.get("desyncs", 0) - then.get("desyncs", 0)) > 0:
        yield f"{name}: {more} desync{'s' if more > 1 else ''}, {now['desyncs']} so far"


def _pauses(room: Room) -> Iterator[str]:
    """Yield that a game was paused or goes on: every link of a room shows the same pause."""
    by = next((player.seen["paused_by"] for player in room.there if player.seen.get("paused")), "")
    if by and not room.paused_by:
        yield f"room {room.id}: paused by {by}"
    elif room.paused_by and not by:
        yield f"room {room.id}: goes on"
    room.paused_by = by
