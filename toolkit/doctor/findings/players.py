"""Those who play right now: who has a bad way, whose game differs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from relay import pace
from relay.monitoring import report
from toolkit.doctor.finding import Finding, fine, note, warning
from toolkit.join.lines import FRIEND_MENU
from toolkit.status import rooms
from toolkit.watch import causes
from toolkit.watch.people import Player

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.doctor.case import Case

# What is so for a while in a game that is as it should be.
ORDINARY = {pace.Cause.PAUSED, pace.Cause.STATE}


def look(case: Case) -> Iterator[Finding]:
    """Say whose line is dead, who has to connect again, and what `watch` would say of each game and each player."""
    state = case.told("relay") or {"sessions": []}
    silent = list(_silent(case, state))
    yield from silent
    for sentence in report.sent_off(state):
        yield warning(sentence, "host-came", f"Tell that friend: {FRIEND_MENU}. invoke join{case.target.option}")
    looks = [pace.of(one) for one in [*(case.told("earlier") or []), state] if "age" in one]
    judged = [verdict for verdicts in (pace.judged(looks) if looks else {}).values() for verdict in verdicts]
    for verdict in judged:
        tell = note if verdict.cause in ORDINARY else warning
        yield tell(f"right now {verdict.sentence}", _evidence(verdict), _cure(verdict, case))
    players = [Player(client, 0.0) for session in rooms.rooms(state) for client in session["clients"]]
    bad = [(player, sentence) for player in players for sentence in causes.of_game(player)]
    for player, sentence in bad:
        yield warning(f"{player.name} plays now, and {sentence}", cure=f"invoke watch{case.target.option}")
    if players and not bad and not silent and not any(verdict.cause not in ORDINARY for verdict in judged):
        yield fine(f"{len(players)} joined a game now, and all of them have a good one")


def _evidence(verdict: pace.Verdict) -> str:
    seen = [f"case {verdict.cause}"]
    seen += [f"{verdict.rate:.0f} frames a second"] if verdict.rate else []
    seen += [f"{verdict.behind} frames behind"] if verdict.behind else []
    way = verdict.leg
    seen += [f"way {way.rtt * 1000:.0f} ms ±{way.jitter * 1000:.0f}, {way.retransmits} sent again"] if way.rtt else []
    return ", ".join(seen)


def _cure(verdict: pace.Verdict, case: Case) -> str:
    return f"What helps: {verdict.cause.cure}.\nTo see it over time: invoke watch{case.target.option}"


def _silent(case: Case, state: dict[str, Any]) -> Iterator[Finding]:
    """Say of whom nothing comes any more, not even an acknowledgement."""
    for session in rooms.rooms(state):
        host = session.get("host") or {}
        if host.get("silence") is not None:
            yield warning(
                f"the host of room {session['id']}, {host['address']}, has given no sign of life for "
                f"{report.age(host['silence'])}: its line seems to be dead",
                "its machine acknowledges nothing; a paused one would",
                f"The host player restarts it. Friends who join are sent elsewhere. invoke join{case.target.option}",
            )
        for client in session["clients"]:
            silence = (client.get("to_client") or {}).get("silence")
            if silence is not None:
                yield warning(
                    f"{Player(client, 0.0).name} has given no sign of life for {report.age(silence)}: that line seems "
                    "to be dead",
                    "its machine acknowledges nothing; a paused one would",
                    "That player connects again.",
                )
