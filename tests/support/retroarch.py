"""A real RetroArch, without a screen, as an object: started in any network namespace, watched and played by the tests.

``Machine`` runs it with a scratch folder and settings of its own and our own ROM, reads the console's RAM, presses
buttons, and waits for lines of its log. Every wait is bounded, and every failure shows the end of the log.
"""

from __future__ import annotations

import re
import time
from collections import deque
from typing import TYPE_CHECKING, Self, TypeVar

from tests.support.child import tail
from tests.support.history import History
from tests.support.retroarch_console import Console
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.namespace import Inside
    from tests.support.nes.layout import Button, Snapshot
    from tests.support.retroarch_settings import Role

T = TypeVar("T")
START_WITHIN = 10.0
JOIN_WITHIN = 10.0
# A press shows in the machine's own RAM in two or three frames; longer only while netplay waits for the other side.
ACT_WITHIN = 5.0
RESEND_AFTER = 1.0
PAUSED_ANSWERS = 10
# RetroArch answers once a frame: after two answers it has seen what was sent before.
TAP_ANSWERS = 2
JOINED = r"You have joined as player (\d+)"


class Machine:
    """One RetroArch with one player; a context manager that always ends it.

    Attributes: ``name`` (its nick), ``console`` (the process), ``history`` (settled frames seen so far), ``player``
    (the number of the pad that its buttons reach, once it has joined a game).
    """

    def __init__(self, name: str, role: Role, folder: Path, inside: Inside, within: float = START_WITHIN) -> None:
        """Start RetroArch by ``inside``, with the scratch folder ``folder``/``name``; wait until the game runs.

        Joining comes first and holds the game up: for at most 10 s where nobody answers.
        """
        self.name, self.history, self.player, self._page = name, History(name), 1, 0
        own = folder / name
        own.mkdir()
        self.console = Console(name, role, own, inside)
        try:
            self.wait_for_ram(lambda _: True, within, "the game to run")
        except BaseException:
            self.stop()
            raise

    def quit(self) -> int:
        """Leave as a player does, and return the exit code."""
        self._command("QUIT", lambda: self.console.exit_code() is not None)
        code = self.console.exit_code()
        assert code is not None
        return code

    def stop(self) -> None:
        """End RetroArch, however it is."""
        self.console.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # The log.

    def logged(self, pattern: str) -> re.Match[str] | None:
        """Return the first place in the log that matches."""
        return re.search(pattern, self.console.log.read_text(errors="replace")[self._page :])

    def wait_for_log(self, pattern: str, within: float) -> re.Match[str]:
        """Wait for the log to match. Raises AssertionError, with the end of the log."""
        return self._wait(lambda: self.logged(pattern), within, f"{pattern!r} in the log")

    def wait_until_joined(self, within: float = JOIN_WITHIN) -> int:
        """Wait until this machine plays; from here on its history counts. Returns the number of its player."""
        self.player = int(self.wait_for_log(JOINED, within)[1])
        self.history = History(self.name)
        return self.player

    def host_again(self, within: float = START_WITHIN) -> None:
        """Begin to host anew, after netplay has ended: RetroArch loads the game afresh and opens its ports again.

        What was logged before is not looked at any more.
        """
        self._page = len(self.console.log.read_text(errors="replace"))
        self.console.command("NETPLAY_HOST_TOGGLE")
        self.wait_for_log(JOINED + r"(\n.*)*Bringing up remote interface", within)
        self.wait_until_joined()

    # The game, seen in the console's RAM.

    def ram(self) -> Snapshot | None:
        """Read the RAM between two frames, and let the history grow. None when there is no answer in a second."""
        snapshot = self.console.ram()
        if snapshot is not None:
            self.history.add(snapshot)
        return snapshot

    def wait_for_ram(self, condition: Callable[[Snapshot], bool], within: float, what: str) -> Snapshot:
        """Read the RAM until it meets the condition. Raises AssertionError, with the end of the log."""

        def probe() -> Snapshot | None:
            snapshot = self.ram()
            return snapshot if snapshot is not None and condition(snapshot) else None

        return self._wait(probe, within, what)

    def wait_for_frames(self, count: int) -> None:
        """Wait until RetroArch has gone through that many frames, at least, whatever the game does meanwhile."""
        for _ in range(count):
            self.wait_for_ram(lambda _: True, 5.0, "RAM")

    def wait_until_paused(self, within: float = 5.0) -> Snapshot:
        """Wait until the game stands still: the same frame in a row of answers, which take a frame's time each."""
        answers: deque[int] = deque(maxlen=PAUSED_ANSWERS)

        def still(snapshot: Snapshot) -> bool:
            answers.append(snapshot.frame)
            return answers.count(snapshot.frame) == PAUSED_ANSWERS

        return self.wait_for_ram(still, within, "the game to be paused")

    # The player.

    def hold(self, button: Button) -> None:
        """Push the button down until the machine's own RAM shows it: a shorter press could vanish while it waits."""
        self._set(button, down=True)

    def release(self, button: Button) -> None:
        """Let the button go and wait until the machine's own RAM shows that."""
        self._set(button, down=False)

    def tap(self, button: Button) -> None:
        """Press a button where the game's RAM does not show it: in a menu."""
        for down in (True, False):
            self.console.set(button, down=down)
            self.wait_for_frames(TAP_ANSWERS)

    def pause(self) -> Snapshot:
        """Pause the game and wait until it stands still."""
        self._command("PAUSE_TOGGLE", lambda: self.console.paused() is True)
        return self.wait_until_paused()

    def resume(self) -> None:
        """Let the game go on."""
        self._command("PAUSE_TOGGLE", lambda: self.console.paused() is False)

    def toggle(self, word: str, done: Callable[[], bool]) -> None:
        """Send a command that turns something over until ``done``, and no oftener: twice would be the same as never.

        RetroArch loses a command that comes while it plays older frames again. It has had it when it has answered
        twice since, and a second later nothing comes of it any more.
        """
        answers, sent = TAP_ANSWERS, float("-inf")

        def probe() -> bool:
            nonlocal answers, sent
            if done():
                return True
            if answers >= TAP_ANSWERS and time.monotonic() - sent > RESEND_AFTER:
                self.console.command(word)
                answers, sent = 0, time.monotonic()
            elif self.ram() is not None:
                answers += 1
            return False

        self._wait(probe, ACT_WITHIN, f"{word} to be done")

    def reset(self) -> None:
        """Reset the console."""
        self._toggle_until_logged("RESET", r"Reset\.\n")

    def save_state(self) -> None:
        """Save the game by hand."""
        self._toggle_until_logged("SAVE_STATE", r"Saving state:? \"/")

    def load_state(self) -> None:
        """Load by hand what was saved by hand."""
        self._toggle_until_logged("LOAD_STATE", r"Loading state:? \"/")

    def _toggle_until_logged(self, word: str, pattern: str) -> None:
        def count() -> int:
            return len(re.findall(pattern, self.console.log.read_text(errors="replace")))

        before = count()
        self.toggle(word, lambda: count() > before)

    def _command(self, word: str, done: Callable[[], bool]) -> None:
        self._insist(lambda: self.console.command(word), done, f"{word} to be done")

    def _set(self, button: Button, *, down: bool) -> None:
        newest = self.history.newest

        def shown() -> bool:
            # In an older frame, played once more, the button was perhaps as it shall be now.
            snapshot = self.ram()
            return snapshot is not None and snapshot.frame > newest and snapshot.held(self.player, button) == down

        what = f"{button.name} to be {'down' if down else 'up'} on pad {self.player}"
        self._insist(lambda: self.console.set(button, down=down), shown, what)

    def _insist(self, send: Callable[[], None], done: Callable[[], bool], what: str) -> None:
        """Send something until it has had its effect: what comes while older frames are played again can be lost."""
        send()
        sent = time.monotonic()

        def probe() -> bool:
            nonlocal sent
            if done():
                return True
            if time.monotonic() - sent > RESEND_AFTER:
                send()
                sent = time.monotonic()
            return False

        self._wait(probe, ACT_WITHIN, what)

    def _wait(self, probe: Callable[[], T | None], within: float, what: str) -> T:
        try:
            return wait_for(probe, within, what)
        except AssertionError as error:
            code = self.console.exit_code()
            state = "runs" if code is None else f"ended with exit code {code}"
            log = tail(self.console.log)
            raise AssertionError(f"{self.name} (it {state}): {error}; the end of its log:\n{log}") from None
