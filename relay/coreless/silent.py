"""Those who keep others from playing: players for whom all wait, and silent ones who keep a newcomer out.

What counts is progress. An input now and then is a sign of life and no game.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto

from relay.coreless.game import Game, Peer
from relay.outcomes import Outcome
from relay.spool import PACE_BYTES

# A player for whom the others wait has to make at least so many frames a second: with fewer nobody plays.
LEAST_RATE = 10
# How often in that time it may have been seen where it was not waited for: one who sends in bursts nearly catches up.
CAUGHT_UP = 1

# A player whose savestate arrives at this pace (bytes a second, over so many seconds) is busy and not frozen: it sends
# no input before the state is out. State that drips in slower is for `state_arrives_seconds` to end.
STATE_PACE = PACE_BYTES / 10
STATE_LOOK = 2.0

# A player who takes what waits for it, where that is more than so many bytes, reads a savestate and plays on behind it.
# It counts as taking it for so many seconds after some of it went: what has arrived has to be loaded, too.
READS, READ_LATELY = 64 * 1024, 2.0

# Seconds without a sign of its machine after which somebody who has to send nothing may be gone.
DOUBT = 0.5


class Sign(Enum):
    """What is known of somebody who is in the room."""

    THERE = auto()
    DOUBTED = auto()
    GONE = auto()


def frozen(game: Game, now: float) -> tuple[Peer, str] | None:
    """Return the player for whom all others stand still, and why: within 10 s of that they would all leave.

    To be called now and then: it notes how far everybody is.
    """
    players = list(game.players())
    if game.paused or not players:
        for peer in players:
            peer.progress.clear()
        return None
    furthest = max(peer.next for peer in players)
    alone = len(players) == 1 and len(game.synced) > 1
    late: list[tuple[Peer, str]] = []
    for peer in players:
        waited_for = alone or furthest - peer.next >= game.settings.frozen_frames
        if (why := _stands_still(game, peer, waited_for, now)) and waited_for:
            late.append((peer, why))
    return min(late, key=lambda each: each[0].next, default=None)


def _stands_still(game: Game, peer: Peer, waited_for: bool, now: float) -> str:
    """Note a player's frame, and whether the others wait for it; return why it is called frozen, "" if it is not."""
    progress, seconds = peer.progress, game.settings.frozen_seconds
    if _brings_a_state(peer, now):
        progress.clear()
        peer.heard = now
        return ""
    if _takes_a_state(game, peer, now):
        seconds = max(seconds, game.settings.taking_seconds)
    progress.append((now, peer.next, waited_for))
    while len(progress) > 1 and now - progress[1][0] >= seconds:
        progress.popleft()
    if now >= peer.heard + seconds:
        return f"no input since frame {peer.next}"
    since, frame, _ = progress[0]
    made = peer.next - frame
    if now - since < seconds or made >= LEAST_RATE * (now - since):
        return ""
    if sum(not waited for _, _, waited in progress) > CAUGHT_UP:
        return ""
    return f"{made} frames in {now - since:.0f} s"


def _brings_a_state(peer: Peer, now: float) -> bool:
    """Note how much of a player's savestate has come, and tell whether it comes at a pace worth waiting for."""
    state = peer.framer.state
    if state is None:
        peer.brings = False
        return False
    since, begun, bytes_then = peer.brought
    if not peer.brings and begun == peer.framer.begun:
        return False  # it was too slow once: the others have waited long enough
    if begun != peer.framer.begun:
        peer.brought, peer.brings = (now, peer.framer.begun, len(state)), True
    elif now - since >= STATE_LOOK:
        peer.brings = len(state) - bytes_then >= STATE_PACE * (now - since)
        peer.brought = (now, begun, len(state))
    return peer.brings


def _takes_a_state(game: Game, peer: Peer, now: float) -> bool:
    """Note how much waits for a player, and tell whether it is about to read a savestate."""
    waits = game.waits(peer.key)
    if waits < peer.waits and peer.waits > READS:
        peer.took_at = now
    peer.waits = waits
    return now - peer.took_at <= READ_LATELY


def sign(game: Game, peer: Peer, since: float, now: float) -> Sign:
    """Return whether somebody is still there: by its inputs, where it has to send some, and by its machine.

    since: when it began to matter. A sign since then is enough, and one before says nothing of now.
    """
    silence = now - peer.heard if peer.playing and not game.paused else 0.0
    quiet = game.quiet(peer.key)
    if silence >= game.settings.frozen_seconds or quiet >= game.settings.gone_seconds:
        return Sign.GONE
    # A machine need not have anything to say for a while; whoever plays sends sixty inputs a second.
    longest = max(silence, quiet if quiet >= DOUBT else 0.0)
    return Sign.DOUBTED if now - longest < since else Sign.THERE


def makes_way(game: Game, newcomer: Peer, there: Iterable[Peer], every: bool, now: float) -> bool:
    """Tell whether those in a newcomer's way may be silent: the gone are dropped, and it waits until that is known.

    every: all of them have to be gone for it to come in; otherwise one is enough.
    """
    signs = {peer: sign(game, peer, newcomer.since, now) for peer in there}
    gone = [peer for peer, its in signs.items() if its is Sign.GONE]
    doubted = Sign.DOUBTED in signs.values()
    if every and Sign.THERE in signs.values():
        return False
    if doubted and (every or not gone):
        newcomer.parked = newcomer.parked or []
        return True
    for peer in gone:
        game.close(peer, Outcome.VANISHED, "somebody else wanted to come in")
        game.note("vanished", f"{game.called(peer)} had fallen silent and kept somebody out: it was dropped", peer)
    if gone:
        newcomer.parked = newcomer.parked or []
    return bool(gone)
