"""A core-less room as plain data and back: handed whole to the next program when the relay is upgraded under a game.

Only JSON types. Times are of the system's monotonic clock, which goes on across the change of programs. What clients
have been promised (devices, sizes) is taken over as it was, whatever the new program's own defaults are.
"""

from __future__ import annotations

import dataclasses
from base64 import b64decode, b64encode
from collections import deque
from functools import partial
from typing import Any

from relay.coreless import savestates
from relay.coreless.conversion import Conversion
from relay.coreless.framing import Framer, Header
from relay.coreless.game import Game, Peer, Stage, StateRequest
from relay.coreless.settings import CorelessSettings
from relay.netplay.info import Info
from relay.spool import Spool

PLAIN = (
    *("key", "number", "since", "old_info", "playing", "leaving", "pads", "next", "input_size", "tag", "heard"),
    *("wants_play", "needs_state", "ahead", "owes_since", "loads", "paused", "told", "lead", "lead_until"),
)
PLAIN_GAME = ("count", "protocol", "release", "paused", "work", "tick_at", "hold_at", "hold_since", "check_at")
STATE = tuple(field.name for field in dataclasses.fields(StateRequest))


def dump(game: Game) -> dict[str, Any]:
    """Return a room between two calls of it: nothing waits to be sent then."""
    return {
        "devices": list(game.settings.devices),
        "game": {name: getattr(game, name) for name in PLAIN_GAME},
        "info": _dump_info(game.info),
        "state": {name: getattr(game.state, name) for name in STATE if name != "asked_at"},
        "asked_at": game.state.asked_at if game.state.asked_at > float("-inf") else None,
        "peers": [_dump_peer(peer) for peer in game.peers.values()],
        "synced": [peer.key for peer in game.synced],
        "master": game.master.key if game.master else None,
        "conversions": [made.save() for made in game.conversions],
    }


def load(data: dict[str, Any], settings: CorelessSettings, spool: Spool) -> Game:
    """Return the room again. KeyError, TypeError or ValueError if the data is broken."""
    game = Game(dataclasses.replace(settings, devices=tuple(data["devices"])), spool)
    for name in PLAIN_GAME:
        setattr(game, name, data["game"][name])
    game.info = _load_info(data["info"])
    asked_at = float("-inf") if data["asked_at"] is None else data["asked_at"]
    game.state = StateRequest(**data["state"], asked_at=asked_at)
    for entry in data["peers"]:
        peer = _load_peer(entry, game)
        game.peers[peer.key] = peer
    game.synced = [game.peers[key] for key in data["synced"]]
    game.master = None if data["master"] is None else game.peers[data["master"]]
    # Not there where an older program wrote it.
    game.conversions = [Conversion.load(entry, spool) for entry in data.get("conversions", [])]
    return game


def _dump_peer(peer: Peer) -> dict[str, Any]:
    framer = peer.framer
    return {
        **{name: getattr(peer, name) for name in PLAIN},
        "stage": peer.stage.name,
        "header": list(dataclasses.astuple(peer.header)) if peer.header else None,
        "info": _dump_info(peer.info),
        "nick": _text(peer.nick),
        "held": [_text(packet) for packet in peer.held],
        "rest": _text(framer.rest),
        "need": framer.need,
        "skip": framer.skip,
        "keep_states": framer.keep_states,
        "parked": None if peer.parked is None else [[number, _text(packet)] for number, packet in peer.parked],
        "source": framer.source,
        "taking": [peer.waits, peer.took_at] if peer.took_at > float("-inf") else None,
        "half": [framer.state.save(), framer.state_size] if framer.state is not None else None,
    }


def _load_peer(entry: dict[str, Any], game: Game) -> Peer:
    framer = Framer(game.settings, game.spool, entry.get("source", ""), partial(savestates.wanted, game))
    header = Header(*entry["header"]) if entry["header"] else None
    framer.header = header
    framer.rest += b64decode(entry["rest"])
    framer.need, framer.skip, framer.keep_states = entry["need"], entry["skip"], entry["keep_states"]
    if half := entry.get("half"):
        framer.state, framer.state_size, framer.begun = game.spool.load_blob(half[0]), int(half[1]), 1
    # Not there where an older program wrote it.
    waits, took_at = entry.get("taking") or (0, float("-inf"))
    return Peer(
        waits=int(waits),
        took_at=float(took_at),
        work=game.settings.work_at_once,
        **{name: entry[name] for name in PLAIN},
        framer=framer,
        stage=Stage[entry["stage"]],
        header=header,
        info=_load_info(entry["info"]),
        nick=b64decode(entry["nick"]),
        held=deque(b64decode(packet) for packet in entry["held"]),
        # Not there where an older program wrote it.
        parked=None if (parked := entry.get("parked")) is None else [(int(one), b64decode(it)) for one, it in parked],
    )


def _dump_info(info: Info | None) -> list[Any] | None:
    return [_text(info.name), _text(info.version), info.crc] if info else None


def _load_info(entry: list[Any] | None) -> Info | None:
    return Info(b64decode(entry[0]), b64decode(entry[1]), int(entry[2])) if entry else None


def _text(data: bytes | bytearray) -> str:
    return b64encode(data).decode("ascii")
