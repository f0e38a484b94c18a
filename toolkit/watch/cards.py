"""A report card: what became of a session, as lines."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from relay.monitoring import report
from relay.outcomes import Outcome
from toolkit.watch import causes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.watch.people import Player, Room

# Ends of a session that need no explanation.
ORDINARY = {Outcome.HOST_LEFT, Outcome.LEFT, ""}


def lines(room: Room, width: int) -> list[str]:
    """Return the card of a session that is over, each line at most width characters long where words allow it."""
    wrapped = textwrap.TextWrapper(max(width, 20), subsequent_indent="    ", break_long_words=False)
    return [part for line in _lines(room) for part in wrapped.wrap(line)]


def _lines(room: Room) -> Iterator[str]:
    over = room.over or {}
    host = f", hosted by {room.host_name}" if room.host_name else ""
    yield f"room {room.id} is over: {report.age(over.get('seconds', 0.0))}{host}"
    word = over.get("outcome", "")
    if word not in ORDINARY:
        meaning = next((each.doc for each in Outcome if each == word), "")
        yield f"  its end: {word}, {meaning}"
    wrong = False
    for trouble in room.troubles:
        wrong = True
        yield f"  ! for {report.age(max(trouble.seconds, 1.0))} {trouble.past()}"
    for player in room.players.values():
        yield f"  {_player(player)}"
        for sentence in causes.of(player):
            wrong = True
            yield f"  ! {sentence}"
    if not wrong:
        yield "  nothing went wrong"


def _player(player: Player) -> str:
    facts = [f"{player.name}: {report.age(player.seconds)}"]
    facts += [player.core] if player.core else []
    for name, way in (("to it", player.ways["to_client"]), ("to the host", player.ways["to_host"])):
        facts += [f"{name} {causes.summary(way)}"] if way.rtt else []
    both = report.size(player.state["bytes_from_client"]), report.size(player.state["bytes_from_host"])
    facts.append(f"{both[0]} in, {both[1]} out")
    for count, what in ((player.pauses, "pause"), (player.seen.get("desyncs", 0), "desync")):
        facts += [f"{count} {what}{'s' if count > 1 else ''}"] if count else []
    return ", ".join(facts)
