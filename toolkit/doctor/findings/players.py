"""Those who play right now: who has a bad way, whose game differs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit import roomview
from toolkit.doctor.finding import Finding, fine, warning
from toolkit.watch import causes
from toolkit.watch.people import Player

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.doctor.case import Case


def look(case: Case) -> Iterator[Finding]:
    """Say what `watch` would say of each player."""
    players = [
        Player(client, 0.0)
        for session in roomview.rooms(case.told("relay") or {"sessions": []})
        for client in session["clients"]
    ]
    bad = [(player, sentence) for player in players for sentence in causes.of(player)]
    for player, sentence in bad:
        ways = " and ".join(f"{name.replace('_', ' ')} {causes.summary(way)}" for name, way in player.ways.items())
        yield warning(f"{player.name} plays now, and {sentence}", ways, f"invoke watch{case.target.option}")
    if players and not bad:
        yield fine(f"{len(players)} joined a game now, and all of them have a good one")
