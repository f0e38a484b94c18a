"""Pauses: older RetroArch is told, newer RetroArch is held.

RetroArch 1.10 and later never goes on after PAUSE. So nobody of these is sent one; they are told to wait a little,
sixty times a second, for as long as an older one has the game paused, and they are asked not to pause themselves.
"""

from __future__ import annotations

from relay.coreless import clock
from relay.coreless.clock import MOST_STALL
from relay.coreless.game import Game, Peer
from relay.netplay import wire

FRAME = 1 / 60


def paused(game: Game, peer: Peer, now: float) -> None:
    """Take PAUSE; who only watches holds nobody."""
    if peer.playing and not peer.paused:
        peer.paused = True
        tell(game, now)


def resumed(game: Game, peer: Peer, now: float) -> None:
    """Take RESUME, or the end of a player who had the game paused."""
    if not peer.paused:
        return
    peer.paused = False
    tell(game, now)
    if not game.paused:
        # All were silent, and none of them had a choice.
        game.state.asked_at = now
        for player in game.synced:
            player.heard = now
            player.lead = MOST_STALL
            player.progress.clear()
        clock.advance(game)


def tell(game: Game, now: float) -> None:
    """Bring what everybody was told to what is so."""
    pausers = [peer for peer in game.synced if peer.paused]
    game.paused = bool(pausers)
    for peer in game.synced:
        by = next((pauser for pauser in pausers if pauser is not peer), None)
        if peer.modern or (by is not None) == peer.told:
            continue
        peer.told = by is not None
        game.send(peer, wire.pause(by.nick) if by else wire.RESUMED)
    if not pausers or not any(peer.modern for peer in game.synced):
        game.hold_at = None
    elif game.hold_at is None:
        game.hold_at = game.hold_since = now


def hold(game: Game, now: float) -> list[Peer]:
    """Hold those who cannot be told; return whom to drop because they had the game paused for too long."""
    if game.hold_at is None or now < game.hold_at:
        return []
    if now >= game.hold_since + game.settings.mixed_pause_seconds:
        return [peer for peer in game.synced if peer.paused]
    game.hold_at = max(game.hold_at + FRAME, now)
    for peer in game.synced:
        if peer.modern and not peer.paused:
            game.send(peer, wire.stall(MOST_STALL))
    return []
