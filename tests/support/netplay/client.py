"""A simulated RetroArch that joins by an address: bytes in, bytes out, one frame after the other.

It does what the real one does as far as others can see it, and it is as strict: what the real one answers with NAK ends
this one too, with a sentence. Like the real one it reads and writes in its frames only.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from tests.support import netplay as np
from tests.support.netplay.endings import Ending, How, NakError, RefusedError
from tests.support.netplay.framing import Stream
from tests.support.netplay.game import Game
from tests.support.netplay.game_four import GameFour
from tests.support.netplay.greeting import Content, Handshake
from tests.support.netplay.machine import Machine
from tests.support.netplay.pace import HURRY
from tests.support.netplay.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.netplay.kinds import Kind

# The handshake as a whole: 60 frames ahead, then 10 s.
HANDSHAKE_WITHIN = 11.0
CONTENT = Content()


class Client:
    """One RetroArch. ``buttons`` says what its player presses in a frame.

    Attributes: ``ending`` (None while it takes part), ``game`` (from SYNC on), ``timeline``, ``frozen``, ``paused``,
    ``mute`` (its core has no states to give).
    """

    def __init__(
        self,
        kind: Kind,
        nick: str,
        *,
        content: Content = CONTENT,
        machine: Machine | None = None,
        spectator: bool = False,
        password: str | None = None,
        compression: int = 1,
        buttons: Callable[[int], int] = lambda frame: 0,
    ) -> None:
        self.kind, self.nick, self.spectator, self.buttons = kind, nick, spectator, buttons
        self.timeline = Timeline(machine or Machine())
        self.handshake = Handshake(kind, nick, content, password, compression)
        self.game: Game | None = None
        self.ending: Ending | None = None
        self.frozen = self.paused = self.mute = False
        self._resumes = False
        self._stream = Stream()
        self._out = [self.handshake.header()]
        self._since: float | None = None

    # The connection.

    def feed(self, data: bytes) -> None:
        """Take what has arrived; it is looked at in the next frame."""
        self._stream.add(data)

    def unread(self) -> int:
        """Return how many bytes have arrived and are not read."""
        return len(self._stream)

    def output(self) -> bytes:
        """Return, once, what is to be sent."""
        data, self._out = b"".join(self._out), []
        return data

    def closed(self) -> None:
        """Hear, in the next frame, that the other side has closed."""
        self.end(How.HUNG_UP)

    def end(self, how: How, why: str = "") -> None:
        """End the game, unless it has ended."""
        if self.ending is None:
            self.ending = Ending(how, why)

    # What its player and its machine do.

    @property
    def playing(self) -> bool:
        """Whether it has a pad of the game."""
        return self.game is not None and self.game.mode == "playing"

    @property
    def running(self) -> bool:
        """Whether its frames pass: it has not left, is not frozen and its player has not paused."""
        return self.ending is None and not self.frozen and not self.paused

    def leave(self) -> None:
        """Close the connection."""
        self.end(How.LEFT)

    def pause(self) -> bool:
        """Let the player pause, or open the menu. Returns False where that cannot be."""
        if not self.running or self.game is None or not self.game.may_pause:
            return False
        self.paused = True
        self._out.append(np.pause(self.game.nick))
        return True

    def resume(self) -> None:
        """Let the player go on: with the next frame."""
        self._resumes = self._resumes or self.paused
        self.paused = False

    def toggle(self) -> bool:
        """Let the player begin to watch, or ask to play, from the menu too. Returns False where that cannot be."""
        if self.ending is not None or self.frozen or self.game is None:
            return False
        if self.game.mode == "playing":
            self.game.mode = "spectating"
            self._out.append(np.command(0x24))
        else:
            self._out.append(np.command(0x25, self.kind.play))
        return True

    def load_state(self, state: tuple[int, int], second_size: int | None = None) -> bool:
        """Let the player load a state. Returns False where that cannot be, as in releases since 1.10.

        It is sent twice; on some cores the file, and so the second, has another size than netplay's own states.
        """
        if not self.running or self.game is None or not self.kind.may_load:
            return False
        self.game.force_future(unasked=True)
        self.timeline.load(self.game.here, state, "state")
        self._send_state()
        self._send_state(second_size)
        return True

    def reset(self) -> bool:
        """Let the player reset the machine. Returns False where that cannot be."""
        if not self.running or self.game is None:
            return False
        self.game.force_future(unasked=True)
        self.timeline.load(self.game.here, (0, 0), "reset")
        self._out.append(np.command(0x46, np.words(self.game.here)))
        return True

    # A frame.

    def frame(self, now: float) -> None:
        """Let a frame's time pass: run it, or wait."""
        if not self.running:
            return
        self._since = now if self._since is None else self._since
        for _ in range(HURRY if self.game is not None and self.game.pace.hurries else 1):
            try:
                self._frame(now)
            except NakError as error:
                self._out.append(np.command(0x01))
                self.end(How.CROSSED if error.nobodys_fault else How.NAK, str(error))
            except RefusedError as error:
                self.end(How.REFUSED, str(error))
            if self.ending is not None:
                return

    def _frame(self, now: float) -> None:
        game = self.game
        if game is None:
            self._shake_hands(now)
            return
        if self._resumes:
            self._out.append(np.RESUME)
            self._resumes = False
        self._answer_request(game)
        self._give_input(game)
        self._read(game)
        if game.gone:
            self.end(How.DISCONNECTED)
        elif not game.pace.look(game, now):
            self.end(How.STALLED, f"waits ({game.pace.stall}) at frame {game.here} for {game.unread()}")
        else:
            self._run(game, now)

    def _shake_hands(self, now: float) -> None:
        while (answer := self.handshake.step(self._stream)) is not None:
            self._out.append(answer)
        if self.handshake.waits_for == "sync" and self._take_sync():
            return
        assert self._since is not None
        if now - self._since > HANDSHAKE_WITHIN:
            self.end(How.UNANSWERED, f"waits for {self.handshake.waits_for}")

    def _take_sync(self) -> bool:
        command = self._stream.command()
        if command is None:
            return False
        game = GameFour if self.kind.protocol == 4 else Game
        fresh = game(self.kind, self.timeline, self.handshake.compressed, self.handshake.protocol)
        fresh.on_sync(command[1])
        self._stream.drop(len(command[1]))
        self.game = fresh
        if not self.spectator:
            self._out.append(np.command(0x25, self.kind.play))
        return True

    def _answer_request(self, game: Game) -> None:
        if game.state_wanted and not self.mute and game.pace.stall is None and not game.remote_paused and game.here > 0:
            state = self.timeline.guess(game.here, game.expected)
            game.force_future(unasked=False)
            self.timeline.load(game.here, state, "state")
            game.state_wanted = False
            self._send_state()

    def _send_state(self, raw_size: int | None = None) -> None:
        assert self.game is not None
        machine = self.timeline.machine if raw_size is None else Machine(raw_size)
        assert machine.size is not None
        raw = machine.save(self.timeline.state)
        blob = zlib.compress(raw) if self.game.compressed else raw
        self._out.append(np.command(0x42, np.words(self.game.here, machine.size) + blob))

    def _give_input(self, game: Game) -> None:
        if game.captured:
            return
        game.captured = True
        if game.mode == "playing" and game.here >= game.silent_until:
            size = game.size_for(game.pad)
            pressed = self.buttons(game.here) if game.here else 0
            game.give(game.here, (pressed, *[0] * (size - 1)) if size else ())
        self._flush(game)

    def _read(self, game: Game) -> None:
        while (command := self._stream.command()) is not None:
            number, body = command
            if not game.handle(number, body):
                break
            self._stream.drop(len(body))
            if game.gone:
                break
        self._flush(game)

    def _flush(self, game: Game) -> None:
        self._out += game.out
        game.out.clear()

    def _run(self, game: Game, now: float) -> None:
        waits = game.pace.stall is not None or game.remote_paused
        if not waits:
            game.run += 1
            if game.here < game.run:
                game.here += 1
                game.captured = False
        self.timeline.settle(min(game.unread(), game.run))
        if not waits:
            game.pace.after(game, now)
