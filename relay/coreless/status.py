"""A core-less room as plain data, for status, watch and metrics. Texts are safe to show."""

from __future__ import annotations

from typing import Any

from relay.coreless.game import Game, Peer, Stage
from relay.netplay import releases
from relay.netplay.observed import Role, clean

# What stands for all that is said in the game, where that is not to be shown.
HIDDEN: dict[str, Any] = {
    **dict.fromkeys(("protocol", "content_crc", "frame", "master"), None),
    **dict.fromkeys(("core", "core_version"), ""),
    "paused_by": [],
}
HIDDEN_PLAYER: dict[str, Any] = {
    **dict.fromkeys(("role", "player", "content_crc", "frame"), None),
    **dict.fromkeys(("nick", "retroarch", "core"), ""),
    **dict.fromkeys(("spectator", "modern", "paused", "waits_for_state"), False),
    "pads": [],
    "behind": 0,
}


def view(game: Game, names: bool = True, links: bool = True) -> dict[str, Any]:
    """Return who is in a room and where its clock stands.

    master is the client number of the player whose frames are the clock, paused_by who holds it: nicks, or "player 1"
    where there is none. Without names there is no nick in it; without links nothing that is said in the game: None, ""
    and [], as where it is not known, and no role.
    """
    info = game.info
    found = {
        "protocol": game.protocol,
        "core": clean(info.name) if info else "",
        "core_version": clean(info.version) if info else "",
        "content_crc": f"{info.crc:08X}" if info else None,
        "frame": game.count,
        "master": game.master.number if game.master else None,
        "paused_by": [_nick(peer, names) or _number(peer) for peer in game.synced if peer.paused],
        "players": [_player(game, peer, names, links) for peer in game.peers.values()],
    }
    return found if links else found | HIDDEN


def _nick(peer: Peer, names: bool) -> str:
    return clean(peer.nick) if names else ""


def _number(peer: Peer) -> str:
    return " ".join(["player", *map(str, _pads(peer)[:1])])


def _pads(peer: Peer) -> list[int]:
    return [pad + 1 for pad in range(16) if peer.playing and peer.pads >> pad & 1]


def _player(game: Game, peer: Peer, names: bool, links: bool) -> dict[str, Any]:
    """Return one client: player is the number RetroArch shows (its first pad), pads are numbered from 1."""
    pads = _pads(peer)
    synced = peer.stage is Stage.SYNCED
    role = Role.PLAYING if peer.playing else Role.WATCHING if synced else Role.JOINING
    header = peer.header
    found = {
        "key": peer.key,
        "nick": _nick(peer, names),
        "number": peer.number,
        "role": role.value,
        "player": pads[0] if pads else None,
        "pads": pads,
        "spectator": synced and not peer.playing,
        "retroarch": releases.guess(header.implementation) if header and header.protocol != 4 else "",
        "modern": peer.modern,
        "core": clean(peer.info.name) if peer.info else "",
        "content_crc": f"{peer.info.crc:08X}" if peer.info else None,
        "frame": peer.next if peer.playing else game.count if synced else 0,
        "behind": max(0, game.count - peer.next) if peer.playing else 0,
        "paused": peer.paused,
        "waits_for_state": peer.needs_state,
    }
    return found if links else found | HIDDEN_PLAYER
