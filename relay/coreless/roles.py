"""Who plays, who watches, whose frames are the clock: coming, PLAY, SPECTATE, leaving, and the next master.

`settle` does what has fallen due; everything that may make something due sets game.work.
"""

from __future__ import annotations

from relay.coreless import clock, pauses, savestates
from relay.coreless.game import Game, Peer, StateRequest
from relay.netplay import wire
from relay.outcomes import Outcome

WANTED_PADS = 0xFFFF


def entered(game: Game, peer: Peer, now: float) -> None:
    """Take a client that has just got its SYNC."""
    game.synced.append(peer)
    game.work = True
    game.offered(peer, now)
    pauses.tell(game, now)
    if game.master:
        peer.needs_state = game.state.wanted = True
    else:
        peer.needs_state = game.protocol == 4 and len(game.synced) > 1
        # Its PLAY is on the way, and must find the clock where it got it.
        game.tick_at = now + game.settings.first_play_seconds


def wants_to_play(game: Game, peer: Peer, body: bytes) -> None:
    """Take PLAY; it is granted as soon as everybody can be told."""
    if not peer.playing:
        peer.wants_play = wire.one.unpack(body)[0] & WANTED_PADS if len(body) == wire.one.size else 0
        game.work = True


def watches(game: Game, peer: Peer, now: float) -> None:
    """Take SPECTATE: the client has stopped already; the others are told when its last input has gone out."""
    peer.wants_play = None
    if not peer.playing:
        return
    peer.leaving = True
    game.send(peer, _mode(game, peer, peer.next, 0, you=True))
    _stop(game, peer, now)


def left(game: Game, peer: Peer, now: float) -> None:
    """Take the end of a client that took part."""
    game.synced.remove(peer)
    peer.held.clear()
    if peer.shown:
        game.send_others(peer, _mode(game, peer, game.count, 0))
    peer.leaving = False
    if peer.playing:
        _stop(game, peer, now)
    pauses.tell(game, now)
    game.work = True
    game.events = {place: at for place, at in game.events.items() if place[1] != peer.key}
    if not game.synced:
        _forget(game)


def _forget(game: Game) -> None:
    """Forget the game when the last has left it: who comes next may have another core."""
    game.count, game.protocol, game.release, game.info = 0, None, 0, None
    game.events = {}
    game.state, game.work = StateRequest(), False
    game.tick_at = game.hold_at = None


def settle(game: Game, now: float) -> None:
    """Do what has fallen due: tell who has stopped, ask for a state, let players in."""
    for peer in game.synced:
        _tell_stopped(game, peer)
        if peer.ahead is not None and peer.ahead <= game.count:
            peer.ahead = None
    for peer in savestates.stranded(game):
        game.close(peer, Outcome.NO_STATE, "protocol 4, and who opened the room plays no more")
    savestates.ask(game, now)
    for peer in game.synced:
        if peer.wants_play is not None and _may_play(game, peer):
            _let_in(game, peer, now)
    savestates.ask(game, now)
    game.work = game.state.wanted or any(
        peer.leaving or peer.ahead is not None or peer.wants_play is not None for peer in game.synced
    )


def _tell_stopped(game: Game, peer: Peer) -> None:
    """Tell the others that somebody plays no longer, once all they were promised of it has gone out."""
    if peer.leaving and peer.next <= game.count:
        game.send_others(peer, _mode(game, peer, peer.next, 0))
        peer.leaving, peer.pads = False, 0


def _stop(game: Game, peer: Peer, now: float) -> None:
    peer.playing = False
    game.work = True
    pauses.resumed(game, peer, now)
    _tell_stopped(game, peer)
    if peer is game.master:
        # What it was asked for and did not give is asked of its successor.
        game.state.wanted |= game.state.asked
        game.state.asked = False
        _promote(game, now)
    else:
        clock.advance(game)


def _promote(game: Game, now: float) -> None:
    """Make the player who is furthest the master; the clock goes on from where it is, and nobody notices."""
    master = max(game.players(), key=lambda peer: (peer.next, -peer.number), default=None)
    game.master = master
    for peer in game.synced:
        peer.framer.keep_states = peer is master
    if master is None:
        # Nobody has a state to give: who comes next begins with the next master's.
        game.state.wanted = False
        for peer in game.synced:
            peer.needs_state &= game.protocol == 4
        if game.synced and game.tick_at is None:
            game.tick_at = now
        return
    game.tick_at = None
    game.state.wanted |= any(peer.needs_state for peer in game.synced)
    game.note("clock", "the clock is another player's now", master)
    clock.advance(game)


def _may_play(game: Game, peer: Peer) -> bool:
    # MODE must arrive at the very frame it names. One that crosses a client's own jump, which an answered request for
    # its state is too, would be its end.
    if peer.needs_state or peer.leaving or game.state.asked:
        return False
    return all(other.ahead is None and other.owes_since is None for other in game.synced)


def _let_in(game: Game, peer: Peer, now: float) -> None:
    wanted, peer.wants_play = peer.wants_play or 0, None
    pads = _free_pads(game, wanted)
    if not pads:
        game.send(peer, wire.REFUSED_FULL)
        return
    peer.playing, peer.pads, peer.next, peer.heard = True, pads, game.count, now
    peer.input_size = wire.input_size(game.protocol or 5, pads, game.settings.devices)
    peer.tag = peer.number - (game.protocol == 4)
    peer.progress.clear()
    clock.rest(peer)
    if game.master is None:
        _lead(game, peer)
    elif not game.gives_states and peer.number == 1:
        game.master = peer
        for other in game.synced:
            other.framer.keep_states = other is peer
    game.happened("mode", now, peer)
    game.happened("joined", now)
    game.offered(peer, now)
    for other in game.synced:
        game.send(other, _mode(game, peer, game.count, pads, you=other is peer))


def _lead(game: Game, peer: Peer) -> None:
    """Make somebody the master where nobody played: from now on all have what it has."""
    game.master, game.tick_at = peer, None
    peer.framer.keep_states = True
    others = [other for other in game.synced if other is not peer]
    if game.gives_states:
        for other in others:
            other.needs_state = True
    game.state.wanted = bool(others)


def _free_pads(game: Game, wanted: int) -> int:
    taken = 0
    for peer in game.synced:
        taken |= peer.pads
    free = [
        1 << pad
        for pad in range(min(game.settings.pads, wire.PADS))
        if wire.words_of(game.settings.devices[pad]) and not taken >> pad & 1
    ]
    if game.protocol != 4 and wanted and wanted & sum(free) == wanted:
        return wanted
    return free[0] if free else 0


def _mode(game: Game, peer: Peer, frame: int, pads: int, *, you: bool = False) -> bytes:
    return wire.mode(game.protocol or 5, frame, peer.number, pads, peer.nick, you=you)
