"""A core-less room as plain data, for status, watch and metrics. Texts are safe to show."""

from __future__ import annotations

from typing import Any

from relay import stream_versions
from relay.coreless.game import Game, Peer, Stage
from relay.stream_seen import Role, clean


def view(game: Game) -> dict[str, Any]:
    """Return who is in a room and where its clock stands.

    master is the client number of the player whose frames are the clock, paused_by the nicks of those who hold it.
    """
    info = game.info
    return {
        "protocol": game.protocol,
        "core": clean(info.name) if info else "",
        "core_version": clean(info.version) if info else "",
        "content_crc": f"{info.crc:08X}" if info else None,
        "frame": game.count,
        "master": game.master.number if game.master else None,
        "paused_by": [clean(peer.nick) for peer in game.synced if peer.paused],
        "players": [_player(game, peer) for peer in game.peers.values()],
    }


def _player(game: Game, peer: Peer) -> dict[str, Any]:
    """Return one client: player is the number RetroArch shows (its first pad), pads are numbered from 1."""
    pads = [pad + 1 for pad in range(16) if peer.playing and peer.pads >> pad & 1]
    synced = peer.stage is Stage.SYNCED
    role = Role.PLAYING if peer.playing else Role.WATCHING if synced else Role.JOINING
    header = peer.header
    return {
        "key": peer.key,
        "nick": clean(peer.nick),
        "number": peer.number,
        "role": role.value,
        "player": pads[0] if pads else None,
        "pads": pads,
        "spectator": synced and not peer.playing,
        "retroarch": stream_versions.guess(header.implementation) if header and header.protocol != 4 else "",
        "modern": peer.modern,
        "core": clean(peer.info.name) if peer.info else "",
        "content_crc": f"{peer.info.crc:08X}" if peer.info else None,
        "frame": peer.next if peer.playing else game.count if synced else 0,
        "behind": max(0, game.count - peer.next) if peer.playing else 0,
        "paused": peer.paused,
        "waits_for_state": peer.needs_state,
    }
