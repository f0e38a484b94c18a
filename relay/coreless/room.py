"""A core-less room: what its players send, and what each of them is sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from relay.before_end import OWN_PADS
from relay.coreless import clock, handshake, pauses, roles, savestates, silent, snapshot
from relay.coreless.conversion import Conversion
from relay.coreless.framing import BrokenError, CorePacketError, Framer, StateLostError
from relay.coreless.game import Game, Peer, Stage
from relay.coreless.settings import Action, Close, Convert, CorelessSettings, Note, Rest, Send
from relay.coreless.status import view
from relay.netplay import wire
from relay.outcomes import Outcome
from relay.spool import Blob, Spool

__all__ = ["Action", "Close", "Conversion", "Convert", "CorelessRoom", "CorelessSettings", "Note", "Rest", "Send"]

# How often (seconds) it is looked whether somebody is late.
CHECK = 0.5
# A room without players that has slept through more than this much (seconds) does not make up for it.
MOST_CATCHING_UP = 0.25
# What somebody who waits to be let in may say meanwhile (commands): RetroArch says one.
MOST_PARKED = 4
# A check that comes this much too late (seconds) means that the relay, or its machine, stood still.
SLEPT = 2.0
# How many times the work of an INPUT any other command is reckoned: it may be told to everybody, at once.
OTHERS_WORK = 10
# What may have made a RetroArch hang up happened at most this long (seconds) before.
LATELY = 1.0


class CorelessRoom:
    """One room: told what arrives on its connections and when (seconds), it returns what is to be done, in order.

    A key is the caller's name for a connection. After Close(key), and after `disconnect`, a key means nothing any more.
    quiet(key) tells for how long (seconds)
    nothing at all has come from a connection's machine, waits(key) how many bytes it has not taken yet of what it was
    sent. spool is where large savestates lie.
    """

    def __init__(
        self,
        settings: CorelessSettings = CorelessSettings(),  # noqa: B008 - frozen
        spool: Spool | None = None,
        *,
        quiet: Callable[[int], float] = lambda _: 0.0,
        waits: Callable[[int], int] = lambda _: 0,
    ) -> None:
        self.settings = settings
        self.game = Game(settings, spool or Spool(2 * settings.max_state_bytes), quiet=quiet, waits=waits)

    @property
    def empty(self) -> bool:
        """Whether nobody is connected."""
        return not self.game.peers

    def connect(self, key: int, now: float, source: str = "") -> list[Action]:
        """Take a connection that has just arrived; source is its address, as limits count it."""
        game = self.game
        framer = Framer(self.settings, game.spool, source, partial(savestates.wanted, game))
        peer = game.peers[key] = Peer(key, 0, now, framer, work=self.settings.work_at_once, work_at=now)
        if game.check_at is None:
            game.check_at = now + CHECK
        handshake.numbered(game, peer, now)
        return self._done(now)

    def receive(self, key: int, data: bytes, now: float) -> list[Action]:
        """Take bytes of a connection, however they are cut."""
        game = self.game
        peer = game.peers.get(key)
        if peer is None:
            return []
        try:
            commands = peer.framer.feed(data)
        except BrokenError as error:
            commands = []
            game.close(peer, _outcome(error, peer), str(error))
        if peer.stage is Stage.HEADER and peer.parked is None and key in game.peers:
            handshake.opened(game, peer, now)
        self._take(peer, commands, now)
        return self._done(now)

    def _take(self, peer: Peer, commands: Sequence[tuple[int, bytes | Blob]], now: float) -> None:
        game, work = self.game, len(commands)
        for number, packet in commands:
            if peer.key not in game.peers:
                break
            if peer.parked is not None:
                peer.parked.append((number, bytes(packet)))
                if len(peer.parked) > MOST_PARKED:
                    game.close(peer, Outcome.BROKE_PROTOCOL, "it does not wait for an answer")
                continue
            if peer.loads and number != wire.LOAD_SAVESTATE:
                savestates.tell_apart(game, peer)
            if number == wire.INPUT and peer.stage is Stage.SYNCED and isinstance(packet, bytes):
                clock.played(game, peer, packet, now)
            else:
                work += OTHERS_WORK - 1
                self._received(peer, number, packet, now)
        peer.work -= work
        if peer.work < 0:
            self._account(peer, now)

    def _account(self, peer: Peer, now: float) -> None:
        """Give somebody the time that has passed for commands; who has sent more than that is not read for a while."""
        rate = self.settings.work_per_second
        peer.work = min(self.settings.work_at_once, peer.work + max(0.0, now - peer.work_at) * rate)
        peer.work_at = now
        if peer.work < 0 and peer.key in self.game.peers:
            self.game.rest(peer, -peer.work / rate)

    def appetite(self, key: int) -> int:
        """Return how many bytes of a savestate are still to come of somebody, 0 for none."""
        peer = self.game.peers.get(key)
        return peer.framer.appetite if peer else 0

    def held(self) -> list[tuple[int, Blob]]:
        """Return what has arrived of savestates that are not whole, and of whom."""
        return [(peer.key, peer.framer.state) for peer in self.game.peers.values() if peer.framer.state is not None]

    def converted(self, made: Conversion, failure: str, now: float) -> list[Action]:
        """Take the end of a conversion; failure says why there is nothing to send, "" that it is whole."""
        savestates.converted(self.game, made, failure)
        return self._done(now)

    def disconnect(self, key: int, now: float) -> list[Action]:
        """Take the end of a connection."""
        peer = self.game.peers.pop(key, None)
        if peer is None:
            return []
        if peer.out:
            self.game.dirty.remove(peer)
        self.game.gone.append(peer)
        return self._done(now)

    def tick(self, now: float) -> list[Action]:
        """Do what is due. To be called at next_deadline(), or later."""
        game = self.game
        for peer in pauses.hold(game, now):
            game.close(peer, Outcome.PAUSED_TOO_LONG)
        if game.check_at is not None and game.check_at <= now:
            slept = now - game.check_at
            game.check_at = now + CHECK
            if slept > SLEPT:
                self._excuse(slept)
            self._check(now)
        self._leave(now)
        savestates.ask_once_more(game, now)
        self._run_alone(now)
        return self._done(now)

    def next_deadline(self) -> float | None:
        """Return when `tick` has something to do; None for never."""
        game = self.game
        due = [at for at in (game.check_at, game.hold_at, game.tick_at, game.state.again_at) if at is not None]
        if game.state.wanted and (ask := savestates.next_ask(game)) is not None:
            due.append(ask)
        return min(due, default=None)

    def lately(self, key: int, now: float) -> tuple[str, ...]:
        """Return what happened in the last second (words of relay/before_end.py) that concerns a connection."""
        peer = self.game.peers.get(key)
        # A state takes its time to arrive; who cannot load it has not played when it leaves.
        played = peer.heard if peer and peer.playing else now
        return tuple(
            word
            for (word, whose), at in self.game.events.items()
            if (played if word == OWN_PADS else now) - at <= LATELY and whose in (None, key)
        )

    def save(self) -> dict[str, Any]:
        """Return the whole room as plain data, for `restored`."""
        return snapshot.dump(self.game)

    @classmethod
    def restored(
        cls,
        data: dict[str, Any],
        settings: CorelessSettings,
        quiet: Callable[[int], float] = lambda _: 0.0,
        spool: Spool | None = None,
        waits: Callable[[int], int] = lambda _: 0,
    ) -> CorelessRoom:
        """Return a room that goes on. KeyError, TypeError or ValueError if the data is broken."""
        room = cls(settings, spool)
        room.game = snapshot.load(data, settings, room.game.spool)
        room.game.quiet, room.game.waits = quiet, waits
        room.settings = room.game.settings
        return room

    def status(self, names: bool = True, links: bool = True) -> dict[str, Any]:
        """Return the room as plain data, as far as it may be shown (relay/coreless/status.py)."""
        return view(self.game, names, links)

    def _received(self, peer: Peer, number: int, packet: bytes | Blob, now: float) -> None:
        game = self.game
        if isinstance(packet, Blob):
            savestates.loaded(game, peer, packet, now)
        elif number in (wire.NAK, wire.DISCONNECT):
            game.close(peer, Outcome.GAVE_UP if number == wire.NAK else Outcome.LEFT)
        elif peer.stage is not Stage.SYNCED:
            handshake.received(game, peer, number, packet[wire.HEAD :], now)
        elif number == wire.PLAY:
            roles.wants_to_play(game, peer, packet[wire.HEAD :])
        elif number == wire.SPECTATE:
            game.happened("mode", now, peer)
            roles.watches(game, peer, now)
        elif number == wire.LOAD_SAVESTATE:
            if peer.owes_since is None:
                game.happened("loaded", now)
            savestates.loaded(game, peer, packet, now)
        elif number == wire.RESET:
            game.happened("reset", now)
            savestates.reset(game, peer, packet)
        elif number == wire.PAUSE:
            game.happened("paused", now)
            pauses.paused(game, peer, now)
        elif number == wire.RESUME:
            game.happened("resumed", now)
            pauses.resumed(game, peer, now)

    def _check(self, now: float) -> None:
        game = self.game
        for peer in list(game.peers.values()):
            if peer.stage is not Stage.SYNCED and now >= peer.since + self.settings.handshake_seconds:
                game.close(peer, Outcome.NO_HANDSHAKE)
            elif peer.framer.state is not None:
                self._look_at_half_a_state(peer, now)
        savestates.forgive(game, now)
        for peer in savestates.overdue(game, now):
            game.close(peer, Outcome.NO_STATE)
        if frozen := silent.frozen(game, now):
            peer, why = frozen
            game.close(peer, Outcome.FROZEN, why)
            game.note("frozen", f"{game.called(peer)} was dropped, for the others waited for it: {why}", peer)
        self._look_again(now)

    def _look_again(self, now: float) -> None:
        """Let those in who were kept out by people who are gone by now, or refuse them."""
        # First who is gone goes: what newcomers are compared with may go with it.
        self._leave(now)
        for peer in [peer for peer in self.game.peers.values() if peer.parked is not None]:
            commands, peer.parked = peer.parked or [], None
            handshake.resumed(self.game, peer, now)
            self._take(peer, commands, now)
            self._leave(now)

    def _look_at_half_a_state(self, peer: Peer, now: float) -> None:
        if peer.state_begun != peer.framer.begun:
            peer.state_begun, peer.state_since = peer.framer.begun, now
        elif now >= peer.state_since + self.settings.state_arrives_seconds:
            self.game.close(peer, Outcome.BROKE_PROTOCOL, "half a state")

    def _excuse(self, slept: float) -> None:
        """Count no silence against anybody while it was the relay that slept: what they sent has yet to be read."""
        game = self.game
        game.state.asked_at += slept
        game.hold_since += slept
        for peer in game.peers.values():
            peer.heard += slept
            peer.since += slept
            peer.progress.clear()
            peer.state_since += slept
            peer.took_at += slept
            if peer.owes_since is not None:
                peer.owes_since += slept

    def _run_alone(self, now: float) -> None:
        """Keep time for those who watch while nobody plays: without it they would leave."""
        game = self.game
        if game.tick_at is None:
            return
        if game.master or not game.synced:
            game.tick_at = None
            return
        if now - game.tick_at > MOST_CATCHING_UP:
            game.tick_at = now
        while game.tick_at <= now:
            clock.step(game)
            game.tick_at += pauses.FRAME

    def _leave(self, now: float) -> None:
        game = self.game
        while game.gone:
            peer = game.gone.pop()
            if peer.stage is Stage.SYNCED:
                roles.left(game, peer, now)
        if not game.peers:
            game.check_at = None

    def _done(self, now: float) -> list[Action]:
        game = self.game
        if game.gone or game.work:
            self._leave(now)
            if game.work:
                roles.settle(game, now)
            self._leave(now)
            if any(peer.parked is not None for peer in game.peers.values()):
                self._look_again(now)
        return game.take()


def _outcome(error: BrokenError, peer: Peer) -> Outcome:
    if isinstance(error, StateLostError):
        return Outcome.OVERRUN
    linked = isinstance(error, CorePacketError) and peer.stage is Stage.SYNCED
    return Outcome.NEEDS_HOST if linked else Outcome.BROKE_PROTOCOL
