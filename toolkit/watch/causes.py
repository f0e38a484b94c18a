"""What went wrong for a player, in words, from what was seen and measured. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.outcomes import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.watch.people import Player, Way

FRAME = 1 / 60
# Seconds and counts from which on a person notices: a jitter of most of a frame, a way that is many frames long.
UNEVEN = 0.012
FAR = 0.180
# Segments sent again, for each minute.
LOSSY = 6
REFUSALS = {
    "full": "the host had no place left (its setting: maximum connections)",
    "banned": "the host has banned this player",
    "old version": "the two RetroArch do not understand each other: one is 1.9 or older",
}
# Ends that are nobody's fault.
FINE = {Outcome.LEFT, Outcome.PEER_LEFT, ""}


def of(player: Player) -> list[str]:
    """Return sentences, the likeliest cause first; none when nothing went wrong."""
    return [*_end(player), *_entry(player), *_ways(player), *_game(player)]


def _end(player: Player) -> Iterator[str]:
    word = (player.ended or {}).get("outcome", "")
    if word not in FINE:
        meaning = next((each.doc for each in Outcome if each == word), word)
        reason = f" ({player.ended['reason']})" if player.ended and player.ended.get("reason") else ""
        yield f"its connection ended as {word}: {meaning}{reason}"


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
    minutes = max(player.seconds / 60, 1.0)
    for way, who in ((player.ways["to_client"], player.name), (player.ways["to_host"], player.peer)):
        if way.retransmits / minutes >= LOSSY:
            lost = f"{way.retransmits} segments had to be sent again"
            yield f"packets to {who} were lost ({lost}): a cable instead of Wi-Fi, nothing else on the line"
        if way.jitter >= UNEVEN:
            yield f"the way to {who} was uneven (jitter {_ms(way.jitter)}): Wi-Fi or a busy line"
    both = player.ways["to_client"].rtt + player.ways["to_host"].rtt
    if both >= FAR:
        frames = round(both / 2 / FRAME)
        yield f"{player.name} and {player.peer} are {_ms(both)} apart: input is {frames} frames late on the way"


def _game(player: Player) -> Iterator[str]:
    seen = player.seen
    if not seen:
        return
    if desyncs := seen.get("desyncs"):
        yield f"{_times(desyncs)} the games differed and the host's was sent anew{_difference(player)}"
    if stalls := seen.get("stalls"):
        yield f"{_times(stalls)} the host waited for a player who was behind"


def _difference(player: Player) -> str:
    """Return what is known of why two games may differ."""
    host, client = player.seen.get("host") or {}, player.seen.get("client") or {}
    for fact, name in (("core_version", "version of the core"), ("content_crc", "content")):
        if host.get(fact) and client.get(fact) and host[fact] != client[fact]:
            return f": not the same {name} ({host[fact]} there, {client[fact]} here)"
    return ": same core, same version, same content on both sides?"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def summary(way: Way) -> str:
    """Return a way in a few words."""
    if not way.rtt:
        return "-"
    again = f", {way.retransmits} sent again" if way.retransmits else ""
    return f"{_ms(way.rtt)} ±{way.jitter * 1000:.0f}{again}"
