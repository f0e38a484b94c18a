"""What went wrong for a player, in words, from what was seen and measured. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay import pace
from relay.before_end import BARE
from relay.outcomes import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.watch.people import Player, Way

REFUSALS = {
    "full": "the host had no place left (its setting: maximum connections)",
    "banned": "the host has banned this player",
    "old version": "the two RetroArch do not understand each other: one is 1.9 or older",
}
# Ends that are nobody's fault, unless something happened right before.
FINE = {*BARE, ""}


def of(player: Player) -> list[str]:
    """Return sentences, the likeliest cause first; none when nothing went wrong."""
    return [*_end(player), *_entry(player), *_ways(player), *_game(player)]


def of_game(player: Player) -> list[str]:
    """Return the sentences that are not of the ways: those that relay/pace.py does not judge."""
    return [*_entry(player), *_game(player)]


def _end(player: Player) -> Iterator[str]:
    ended = player.ended or {}
    word, reason = ended.get("outcome", ""), ended.get("reason")
    if word not in FINE:
        meaning = next((each.doc for each in Outcome if each == word), word)
        yield f"its connection ended as {word}: {meaning}{f' ({reason})' if reason else ''}"
    elif reason:
        yield f"right before its end: {reason}"


def _entry(player: Player) -> Iterator[str]:
    seen = player.seen
    if not seen or seen.get("role") != "joining" or not player.ended:
        return
    if refusal := seen.get("refusal"):
        yield REFUSALS.get(refusal, f"the host refused it: {refusal}")
    elif seen.get("password_sent"):
        yield "it never got in: the password was wrong"
    elif seen.get("password"):
        yield "it never got in: the room has a password, and none was typed"
    else:
        yield "it never got into the game: another core, or netplay is not possible with it"


def _ways(player: Player) -> Iterator[str]:
    """Judge the ways over all the time; how much jitter is too much depends on how fast the game ran."""
    limit = pace.HELD if player.held else pace.uneven_from(player.rate)
    legs = [(player.ways[name], who) for name, who in (("to_client", player.name), ("to_host", player.peer))]
    for way, who in legs:
        # A machine that stops and goes on has segments sent to it again, too.
        if who not in player.held:
            measured = pace.Leg(way.rtt, way.jitter, way.retransmits)
            yield from (verdict.past for verdict in pace.leg(who, measured, player.seconds, limit))
    both = sum(way.rtt for way, _ in legs)
    yield from (verdict.past for verdict in pace.apart(player.name, player.peer, both))


def _game(player: Player) -> Iterator[str]:
    seen = player.seen
    if not seen:
        return
    if desyncs := seen.get("desyncs"):
        yield f"{_times(desyncs)} the games differed and the host's was sent again{_difference(player)}"
    if stalls := seen.get("stalls"):
        yield f"{_times(stalls)} the host had this player wait for somebody who was behind"


def _difference(player: Player) -> str:
    """Return what is known of why two games may differ."""
    host, client = player.seen.get("host") or {}, player.seen.get("client") or {}
    for fact, name in (("core_version", "version of the core"), ("content_crc", "content")):
        if host.get(fact) and client.get(fact) and host[fact] != client[fact]:
            return f": not the same {name} ({host[fact]} there, {client[fact]} here)"
    return ": same core, same version, same content on both sides?"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def summary(way: Way) -> str:
    """Return a way in a few words."""
    if not way.rtt:
        return "-"
    again = f", {way.retransmits} sent again" if way.retransmits else ""
    return f"{way.rtt * 1000:.0f} ms ±{way.jitter * 1000:.0f}{again}"
