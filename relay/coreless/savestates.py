"""Savestates and resets: how everybody gets to hold the same game.

Only the master's can be everybody's, for only its frame is the clock's. What another client loads or resets is undone:
the master is asked for its state, and all are equal again.

When its user loads a state, RetroArch up to 1.20 sends it, twice. 1.21 and newer sends one LOAD_SAVESTATE, with the
state from before, and loads after it has named its frame (docs/protocol.md, What newer RetroArch does differently). So
nobody is sent that one: who keeps time is asked at once and once more a second later, and a client that has jumped is
taken to be some frames further than it said.
"""

from __future__ import annotations

import zlib

from relay.coreless import conversion
from relay.coreless.conversion import Conversion
from relay.coreless.game import Game, Peer
from relay.netplay import wire
from relay.outcomes import Outcome
from relay.spool import Blob, SpoolFullError

# How far (frames) somebody who watches may claim to be ahead of the clock: RetroArch stands still after 60.
MOST_AHEAD = 120
# How far (frames) the clock goes on while a request is not answered, before that means that no answer will come.
CLOCK_RUNS = 60
# How many frames further than it says a RetroArch that loads late may be, when it has loaded.
LOADS_LATE = 60
# So many states of another size in a row, and that is the room's size from now on.
MOST_MISFITS = 10
# What is no more than this many times the room's size, and that much (bytes), can be the same game's.
TIMES, MORE = 4, 1024 * 1024
# A state that is not larger, in either form, is converted at once.
AT_ONCE = conversion.SLICE


def ask(game: Game, now: float) -> None:
    """Ask the master for its state, if somebody needs it and it can be used when it comes."""
    state, master = game.state, game.master
    due = next_ask(game)
    if due is None or now < due or master is None:
        return
    state.wanted, state.asked, state.asked_at, state.at_frame = False, True, now, master.next
    # Asked again before it has answered, it would answer twice, and could die of what is sent to it between.
    if master.owes_since is None:
        master.owes_since = now
        game.send(master, wire.ASK_STATE)


def next_ask(game: Game) -> float | None:
    """Return when the master is to be asked; None for not now."""
    state, master = game.state, game.master
    if not state.wanted or state.asked or master is None or master.next < game.count or not game.gives_states:
        return None
    if game.paused:
        return None
    if _jumping(game, master):
        return None
    return state.asked_at + game.settings.ask_again_seconds


def ask_once_more(game: Game, now: float) -> None:
    """Have the master asked anew where its user has loaded a state that it may not have had when it answered."""
    state = game.state
    if state.again_at is not None and now >= state.again_at:
        state.again_at = None
        state.wanted = len(game.synced) > 1
        game.work = True


def loaded(game: Game, peer: Peer, packet: bytes | Blob, now: float) -> None:
    """Take LOAD_SAVESTATE: the master's answer, or what a user has loaded. Without its body it is nobody's answer."""
    unasked = peer.loads_late and peer.owes_since is None
    if not peer.loads_late:
        peer.loads += 1
    elif not unasked:
        # Or what its user has loaded; then the answer, which follows, is asked for again as nobody's.
        _answered(game, peer)
    head = packet[: 2 * wire.HEAD] if isinstance(packet, bytes) else bytes(packet.views(0, 2 * wire.HEAD)[0])
    frame, raw_size = wire.two.unpack_from(head, wire.HEAD)
    size = len(packet) - 2 * wire.HEAD
    if peer is not game.master or not game.gives_states:
        return _jumped(game, peer, frame)
    state = game.state
    if unasked:
        state.again_at = now + game.settings.load_seconds
    if frame > game.count:
        return _jumped(game, peer, frame)  # the clock is held while somebody pauses, and it was asked before
    game.work = True
    if len(game.synced) == 1:
        return None
    if raw_size > game.settings.max_state_bytes:
        return game.close(peer, Outcome.BROKE_PROTOCOL, f"a state of {raw_size} bytes")
    if size > 2 * raw_size:
        return game.close(peer, Outcome.BROKE_PROTOCOL, f"a state of {size} bytes for {raw_size}")
    if unasked or frame < game.count or _jumping(game, peer):
        state.wanted = True
        return None
    if not _fits(game, raw_size):
        # What a user loads is sent twice, and some cores' own files are of another size than netplay's states, which
        # nobody would take. The answer to a request fits.
        state.wanted, state.misfits = True, state.misfits + 1
        if state.misfits == 1:
            state.asked_at = float("-inf")
        return None
    if not size or game.conversions:
        # It was begun before it was wanted, or one that came before it is still in work.
        state.wanted = True
        return None
    return _pass_on(game, peer, frame, raw_size, packet, now)


def _fits(game: Game, raw_size: int) -> bool:
    """Tell whether a size can be that of the room's states: theirs, or one of which there were many in a row."""
    state = game.state
    if state.size is None or raw_size == state.size:
        return True
    return state.misfits >= MOST_MISFITS and raw_size <= TIMES * state.size + MORE


def wanted(game: Game, raw_size: int) -> bool:
    """Tell whether a large state of the master's is to be kept while it arrives."""
    return len(game.synced) > 1 and raw_size <= game.settings.max_state_bytes and _fits(game, raw_size)


def reset(game: Game, peer: Peer, packet: bytes) -> None:
    """Take RESET. It is not passed on: the master is asked for its state, and all follow it.

    A RetroArch that waits while RESET comes runs one frame too many afterwards, and who watches waits nearly always;
    one that was far ahead of the clock can stand still for good. A state does neither.
    """
    frame = wire.one.unpack_from(packet, wire.HEAD)[0]
    _jumped(game, peer, frame)


def tell_apart(game: Game, peer: Peer) -> None:
    """Take what follows on LOAD_SAVESTATE: it says whether the answer to a request was among the states before it.

    What a user loads comes twice, the answer once.
    """
    if peer.loads % 2:
        _answered(game, peer)
    peer.loads = 0


def _answered(game: Game, peer: Peer) -> None:
    peer.owes_since = None
    if peer is game.master:
        game.state.asked = False
    game.work = True


def _jumping(game: Game, but: Peer) -> bool:
    """Whether somebody may be at a frame that the clock has not reached, by a state of its own; ``but`` not counted."""
    return any(peer.ahead is not None or (peer.owes_since is not None and peer is not but) for peer in game.synced)


def forgive(game: Game, now: float) -> None:
    """Wait no longer for the answers of those whose state nobody needs any more."""
    for peer in game.synced:
        if peer.loads:
            tell_apart(game, peer)
        late = peer.owes_since is not None and now >= peer.owes_since + game.settings.state_seconds
        if late and not (peer is game.master and game.state.asked) and not game.paused:
            peer.owes_since = None
            game.work = True


def overdue(game: Game, now: float) -> list[Peer]:
    """Return whom to drop because the master's core has no state to give: its frames go on and no state comes."""
    state, master = game.state, game.master
    if not state.asked or master is None or game.paused:
        return []
    runs = master.next >= state.at_frame + CLOCK_RUNS
    if not runs or now < state.asked_at + game.settings.state_seconds:
        return []
    state.asked, master.owes_since = False, None
    game.work = True
    return [peer for peer in game.synced if peer.needs_state]


def stranded(game: Game) -> list[Peer]:
    """Return who needs a state that nobody can give: in protocol 4, when the first client plays no more."""
    if game.master is None or game.gives_states:
        return []
    return [peer for peer in game.synced if peer.needs_state]


def _jumped(game: Game, peer: Peer, frame: int) -> None:
    most = peer.next if peer.playing else game.count + MOST_AHEAD
    if frame > most:
        return game.close(peer, Outcome.BROKE_PROTOCOL, f"a jump to frame {frame}")
    peer.ahead = max(frame, peer.next) + LOADS_LATE if peer.loads_late and peer is not game.master else frame
    if game.protocol == 4 and len(game.synced) > 1:
        peer.needs_state = True  # from here on it is apart, and perhaps for good
    game.state.wanted = len(game.synced) > 1
    game.work = True
    return None


def _pass_on(game: Game, master: Peer, frame: int, raw_size: int, packet: bytes | Blob, now: float) -> None:
    packets: dict[bool, bytes | Blob] = {master.compresses: packet}
    others = [peer for peer in game.synced if peer is not master]
    if strangers := [peer.key for peer in others if peer.compresses != master.compresses]:
        target = Blob(game.spool, master.framer.source)
        made = Conversion(packet, target, frame, raw_size, master.compresses, master.key, strangers)
        if max(len(packet), raw_size) > AT_ONCE:
            game.convert(made)
            packets[not master.compresses] = target
        else:
            try:
                while not made.step():
                    pass
            except SpoolFullError:
                return game.close(master, Outcome.OVERRUN, f"a state that was lost: {conversion.NO_MEMORY}")
            except (zlib.error, ValueError) as error:
                return game.close(master, Outcome.BROKE_PROTOCOL, f"a state that cannot be read: {error}")
            packets[not master.compresses] = bytes(target)
    game.state.size, game.state.misfits, game.state.wanted = raw_size, 0, False
    master.needs_state = False  # all have what it has, whatever it had loaded before
    for peer in others:
        game.send(peer, packets[peer.compresses])
        if peer.needs_state:
            game.offered(peer, now)
        peer.needs_state = False
    game.happened("state", now)
    _raise(game, master, frame)
    return None


def converted(game: Game, made: Conversion, failure: str) -> None:
    """Take the end of a conversion. Where it failed, those who wait for it can be sent nothing any more."""
    game.conversions.remove(made)
    game.work = True
    if not failure:
        return
    if (sender := game.peers.get(made.sender)) is not None:
        lost = failure == conversion.NO_MEMORY
        outcome = Outcome.OVERRUN if lost else Outcome.BROKE_PROTOCOL
        game.close(sender, outcome, f"a state that {'was lost' if lost else 'cannot be read'}: {failure}")
    for key in made.keys:
        if (peer := game.peers.get(key)) is not None:
            game.close(peer, Outcome.NO_STATE, "the state that it waited for could not be read")


def _raise(game: Game, master: Peer, frame: int) -> None:
    for peer in game.synced:
        if peer is not master and peer.playing and peer.next < frame:
            peer.next = frame
