"""The clock: inputs are held until the master's input for their frame has come, then all go out together.

Holding matters. A newcomer is promised everybody's input from the clock's frame on; had some of it gone out before,
the next would be out of order for it, and it would leave.
"""

from __future__ import annotations

from relay.coreless.game import Game, Peer
from relay.netplay import wire
from relay.outcomes import Outcome

# A player whose input is always this many frames ahead of the clock, over that many frames, is told to wait: nothing
# else slows it, and the further it is ahead the deeper it has to go back.
AHEAD = 3
AHEAD_FRAMES = 120
MOST_STALL = 60
# A RetroArch has room for 62 frames from the slowest player's on; what is further ahead blocks all that comes after it.
WINDOW = 60


def played(game: Game, peer: Peer, packet: bytes, now: float) -> None:
    """Take a player's INPUT (the whole command)."""
    if not peer.playing:
        return  # it came late, around a change of mode
    frame, number = wire.two.unpack_from(packet, wire.HEAD)
    if frame < peer.next:
        return
    if frame > peer.next or len(packet) != peer.input_size:
        game.close(peer, Outcome.BROKE_PROTOCOL, f"input of frame {frame} instead of {peer.next}")
        return
    if number != peer.tag:
        packet = packet[:12] + wire.one.pack(peer.tag) + packet[16:]
    peer.next = frame + 1
    peer.heard = now
    count = game.count
    if frame < count:
        peer.lead = 0
        game.send_others(peer, packet)
        if game.master and game.master.held:
            advance(game)
        return
    peer.held.append(packet)
    if len(peer.held) > game.settings.max_held_frames:
        game.close(peer, Outcome.BROKE_PROTOCOL, "input without an end")
        return
    if peer is game.master:
        advance(game)
        return
    lead = frame - count
    if lead < peer.lead:
        peer.lead = lead
    if frame >= peer.lead_until:
        _pace(game, peer, frame)


def advance(game: Game) -> None:
    """Let the clock run as far as the master's input is known; while somebody holds the game, not at all.

    Some frames more would be known: those of players who cannot be told, or had not heard of it yet. But who was told,
    and lags, has no room for many, and would never come to read that the game goes on. Nor does it run away from the
    slowest player, as it would behind a master that has jumped by a state of its own.
    """
    master = game.master
    if master is None or not master.held or game.paused:
        return
    slowest = min([peer.next for peer in game.synced if peer.playing], default=None)
    if slowest is None:
        return  # the last player stops at this moment; the room's own clock takes over (relay/coreless/roles.py)
    last = WINDOW + slowest
    while master.held and game.count < last:
        step(game)


def step(game: Game) -> None:
    """Send everybody what the others have played in the clock's frame, and that this frame is over."""
    over = wire.noinput(game.count)
    turn = [(peer, peer.held.popleft()) for peer in game.synced if peer.held]
    everything = b"".join([packet for _, packet in turn]) + over
    for peer in game.synced:
        if peer.shown and turn:
            game.send(peer, b"".join([packet for player, packet in turn if player is not peer]) + over)
        else:
            game.send(peer, everything)
    game.count += 1


def rest(peer: Peer) -> None:
    """Begin to look anew at how far a player is ahead."""
    peer.lead, peer.lead_until = MOST_STALL, peer.next + AHEAD_FRAMES


def _pace(game: Game, peer: Peer, frame: int) -> None:
    # The least of many frames, not one: what comes in bursts over a bad line is no clock that is fast.
    if AHEAD < peer.lead < MOST_STALL and not game.paused:
        game.send(peer, wire.stall(peer.lead))
    peer.lead, peer.lead_until = MOST_STALL, frame + AHEAD_FRAMES
