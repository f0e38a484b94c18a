"""How a client comes in: header, NICK, INFO twice, and SYNC with everything it has to know.

The first INFO it is sent is empty and makes it tell its own: that shows core, content and the order in which it
writes them, before the relay must write one itself.
"""

from __future__ import annotations

from relay.coreless import roles, silent
from relay.coreless.game import Game, Peer, Stage
from relay.netplay import info, wire
from relay.outcomes import Outcome
from relay.protocol import tunnel

# What RetroArch 1.10 and later speak with an older side.
PROTOCOL = 5
ANONYMOUS = b"Anonymous"
# Where a name is cut to make room for " (2)" behind it.
SHORT_NICK = 27


def numbered(game: Game, peer: Peer, now: float) -> bool:
    """Give a newcomer its number, if there is one left; else it waits or is refused."""
    others = [other for other in game.peers.values() if other.number]
    if len(others) < game.settings.players and (number := game.free_number()) is not None:
        peer.number = number
        return True
    if not silent.makes_way(game, peer, others, False, now):
        game.send(peer, tunnel.refusal(tunnel.Reason.FULL))
        game.close(peer, Outcome.SESSION_FULL, f"{len(others)} are connected")
    return False


def resumed(game: Game, peer: Peer, now: float) -> None:
    """Go on with a newcomer that had to wait for it to be known whether those who keep it out are still there."""
    if not peer.number and not numbered(game, peer, now):
        return
    if peer.stage is Stage.HEADER:
        opened(game, peer, now)
    elif peer.stage is Stage.INFO:
        _compare(game, peer, now)
    elif peer.stage is Stage.ACCEPT:
        _accepted(game, peer, now)


def opened(game: Game, peer: Peer, now: float) -> None:
    """Answer a client's header with the relay's, and with its name."""
    header = peer.framer.header
    if header is None:
        return None
    peer.header = header
    if header.protocol not in (4, PROTOCOL):
        game.send(peer, tunnel.refusal(tunnel.Reason.OLD_VERSION))
        return game.close(peer, Outcome.OTHER_PROTOCOL, f"protocol {header.protocol}")
    if not _fits(game, peer):
        return _refuse(
            game, peer, Outcome.OTHER_PROTOCOL, f"protocol {header.protocol}, the room's is {game.protocol}", now
        )
    platform = game.master.header.platform if game.master and game.master.header else header.platform
    answer = wire.header(header.protocol, header.implementation, platform, header.compression & 1)
    game.send(peer, answer + wire.nick(game.settings.nick.encode()[: wire.MOST_NICK]))
    peer.stage = Stage.NICK
    return None


def _fits(game: Game, peer: Peer) -> bool:
    """Tell whether a client speaks what the room speaks; protocol 4 wants the very same release, too."""
    header = peer.header
    if game.protocol is None or header is None:
        return True
    if header.protocol == 4:
        # States go to the place of the first client there: unless it plays nobody can come in any more.
        first = any(player.number == 1 for player in game.synced) and (game.master is None or game.gives_states)
        return game.protocol == 4 and header.implementation == game.release and first
    return game.protocol == header.protocol


def received(game: Game, peer: Peer, number: int, body: bytes, now: float) -> None:
    """Take a command of a client that is not synced yet."""
    if peer.stage is Stage.NICK and number == wire.NICK:
        peer.nick = body[: wire.MOST_NICK].partition(b"\0")[0] or ANONYMOUS
        game.send(peer, wire.ASK_INFO)
        peer.stage = Stage.INFO
    elif peer.stage is Stage.INFO and number == wire.INFO:
        _told(game, peer, body, now)
    elif peer.stage is Stage.ACCEPT and number == wire.INFO:
        _accepted(game, peer, now)
    else:
        game.close(peer, Outcome.BROKE_PROTOCOL, f"command {number:#x} in the handshake")


def _told(game: Game, peer: Peer, body: bytes, now: float) -> None:
    header = peer.header
    peer.old_info = info.is_old(body, peer.modern, header.implementation if header else 0)
    peer.info = info.parse(body, peer.old_info)
    _compare(game, peer, now)


def _compare(game: Game, peer: Peer, now: float) -> None:
    """Let a client on that has the core of the others."""
    if peer.info and _same_core(game, peer, now):
        # While nobody plays, each is told what it said itself; who is in first decides for the others.
        game.send(peer, (game.info or peer.info).command(peer.old_info))
        peer.stage = Stage.ACCEPT


def _same_core(game: Game, peer: Peer, now: float) -> bool:
    if game.info is None or peer.info is None or game.info.core == peer.info.core:
        return True
    _refuse(game, peer, Outcome.OTHER_CORE, "another core than the room's", now)
    return False


def _refuse(game: Game, peer: Peer, outcome: Outcome, reason: str, now: float) -> None:
    """Refuse a newcomer for what is played, unless all who play it are gone, or may be."""
    if not silent.makes_way(game, peer, game.synced, True, now):
        game.close(peer, outcome, reason)


def _accepted(game: Game, peer: Peer, now: float) -> None:
    header = peer.header
    if header is None or not _same_core(game, peer, now):
        return None
    if not _fits(game, peer):
        return _refuse(game, peer, Outcome.OTHER_PROTOCOL, "the room's protocol is another by now", now)
    if game.protocol is None:
        game.protocol, game.release, game.info = header.protocol, header.implementation, peer.info
    peer.nick = _unique(peer.nick, {other.nick for other in game.synced})
    paused = game.paused and not peer.modern
    players = [(other.number, other.pads) for other in game.synced if other.shown]
    sync = wire.sync(header.protocol, game.count, peer.number, paused, game.settings.devices, players, peer.nick)
    game.send(peer, sync + wire.NO_PAUSING if peer.modern else sync)
    peer.stage, peer.told, peer.heard = Stage.SYNCED, paused, now
    roles.entered(game, peer, now)
    return None


def _unique(nick: bytes, taken: set[bytes]) -> bytes:
    """Return a name nobody has: "bob (2)" is what RetroArch itself makes of a second bob."""
    name, number = nick, 1
    while name in taken:
        number += 1
        name = _cut(nick, SHORT_NICK if number < 10 else SHORT_NICK - 1) + f" ({number})".encode()
    return name


def _cut(nick: bytes, size: int) -> bytes:
    return nick[:size].decode("utf-8", "ignore").encode() if len(nick) > size else nick
