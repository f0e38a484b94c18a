"""A real RetroArch, without a screen, as an object: started in any network namespace, watched and played by the tests.

``Machine`` runs it with a scratch folder and settings of its own and our own ROM, reads the console's RAM, presses
buttons, and waits for lines of its log. Every wait is bounded, and every failure shows the end of the log.
"""

from __future__ import annotations

import json
import os
import re
import struct
import sys
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.support import retroarch_settings as settings
from tests.support import rom
from tests.support.child import Child, tail
from tests.support.history import History
from tests.support.nes import layout
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.namespace import Inside
    from tests.support.nes.layout import Button, Snapshot

AGENT = Path(__file__).with_name("retroarch_agent.py")
# An orphan would end by itself, after some 16 minutes. Frame numbers stay below 65536 with it, too.
MAX_FRAMES = 60_000
START_WITHIN = 10.0
JOIN_WITHIN = 10.0
# A press shows in the machine's own RAM in two or three frames; longer only while netplay waits for the other side.
PRESS_WITHIN = 5.0
RESEND_AFTER = 1.0
PAUSED_ANSWERS = 10
READ_RAM = f"READ_CORE_RAM 0 {layout.RAM_SIZE}"
JOINED = r"\[Netplay\] You have joined as player (\d+)"
# RetroArch's own numbers of the buttons, by our names.
RETROPAD = {"B": 0, "SELECT": 2, "START": 3, "UP": 4, "DOWN": 5, "LEFT": 6, "RIGHT": 7, "A": 8}
REMOTE = struct.Struct("<iiiiHxx")  # port, device (1: joypad), index, button, down


class Machine:
    """One RetroArch with one player; a context manager that always ends it.

    Attributes: ``name`` (its nick), ``pid``, ``log`` (the log's path), ``history`` (settled frames seen so far),
    ``player`` (the number of the pad that its buttons reach, once it has joined a game).
    """

    def __init__(
        self, name: str, role: settings.Role, folder: Path, inside: Inside, within: float = START_WITHIN
    ) -> None:
        """Start RetroArch by ``inside``, with the scratch folder ``folder``/``name``; wait until the game runs.

        Joining comes first and holds the game up: for at most 10 s where nobody answers.
        """
        self.name = name
        self.history = History(name)
        self.player = 1
        self._folder = folder / name
        self._folder.mkdir()
        self.log = self._folder / "retroarch.log"
        self._agent = Child(inside([sys.executable, "-I", "-S", str(AGENT)]), log=self._folder / "agent.log")
        try:
            self._command, self._remote = self._call("ports", kinds=["udp", "udp"])["ports"]
            self._start(role)
            self.wait_for_ram(lambda _: True, within, "the game to run")
        except BaseException:
            self.stop()
            raise

    # -- the process

    def _start(self, role: settings.Role) -> None:
        own = {
            "netplay_nickname": self.name,
            "network_cmd_port": str(self._command),
            "network_remote_base_port": str(self._remote),
        }
        config = settings.write_folder(self._folder, role, own)
        core = self._folder / "cores" / f"{settings.CORE}.so"
        game = rom.write(self._folder / "pads.nes")
        argv = ["retroarch", "--verbose", f"--config={config}", f"--libretro={core}", f"--max-frames={MAX_FRAMES}"]
        env = {"PATH": os.environ["PATH"], "HOME": str(self._folder), "XDG_CONFIG_HOME": str(self._folder)}
        argv += [*role.arguments, str(game)]
        self.pid: int = self._call("start", argv=argv, env=env, cwd=str(self._folder), log=str(self.log))["pid"]

    def running(self) -> bool:
        """Whether RetroArch still runs."""
        return self._call("state")["code"] is None

    def quit(self, within: float = 5.0) -> int:
        """Leave as a player does, and return the exit code."""
        self._send(self._command, b"QUIT")
        wait_for(lambda: not self.running(), within, f"{self.name} to quit")
        return int(self._call("state")["code"])

    def abandon(self) -> None:
        """Do what happens when the tests are killed: the agent's input ends, and it has to clean up by itself."""
        self._agent.end_input()

    def stop(self) -> None:
        """End RetroArch, however it is."""
        self._agent.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- the log

    def logged(self, pattern: str) -> re.Match[str] | None:
        """Return the first place in the log that matches."""
        return re.search(pattern, self.log.read_text(errors="replace"))

    def wait_for_log(self, pattern: str, within: float) -> re.Match[str]:
        """Wait for the log to match. Raises AssertionError, with the end of the log."""
        try:
            return wait_for(lambda: self.logged(pattern), within, f"{pattern!r} in the log")
        except AssertionError as error:
            raise AssertionError(self._what(str(error))) from None

    def wait_until_joined(self, within: float = JOIN_WITHIN) -> int:
        """Wait until this machine plays; from here on its history counts. Returns the number of its player."""
        self.player = int(self.wait_for_log(JOINED, within)[1])
        self.history = History(self.name)
        return self.player

    # -- the console's RAM

    def ram(self, within: float = 1.0) -> Snapshot | None:
        """Read the RAM between two frames, and let the history grow. None when RetroArch does not answer, or boots."""
        answer = self._call("ask", port=self._command, text=READ_RAM, within=within)["answer"]
        words = answer.split()[2:] if answer else []
        if len(words) != layout.RAM_SIZE:
            return None
        snapshot = layout.read(bytes.fromhex("".join(words)))
        if snapshot is not None:
            self.history.add(snapshot)
        return snapshot

    def wait_for_ram(self, condition: Callable[[Snapshot], bool], within: float, what: str) -> Snapshot:
        """Read the RAM until it meets the condition. Raises AssertionError, with the end of the log."""

        def probe() -> Snapshot | None:
            snapshot = self.ram()
            return snapshot if snapshot is not None and condition(snapshot) else None

        try:
            return wait_for(probe, within, what)
        except AssertionError as error:
            raise AssertionError(self._what(f"{error} (it runs: {self.running()})")) from None

    def wait_until_paused(self, within: float = 5.0) -> Snapshot:
        """Wait until the game stands still: the same frame in a row of answers, which take a frame's time each."""
        answers: deque[int] = deque(maxlen=PAUSED_ANSWERS)

        def still(snapshot: Snapshot) -> bool:
            answers.append(snapshot.frame)
            return answers.count(snapshot.frame) == PAUSED_ANSWERS

        return self.wait_for_ram(still, within, "the game to be paused")

    # -- the player

    def hold(self, button: Button) -> None:
        """Push the button down until the machine's own RAM shows it: a shorter press could vanish while it waits."""
        self._set(button, down=True)

    def release(self, button: Button) -> None:
        """Let the button go and wait until the machine's own RAM shows that."""
        self._set(button, down=False)

    def press(self, button: Button) -> None:
        """Hold and release."""
        self.hold(button)
        self.release(button)

    def toggle_pause(self) -> None:
        """Pause the game, or let it go on."""
        self._send(self._command, b"PAUSE_TOGGLE")

    def _set(self, button: Button, *, down: bool) -> None:
        datagram = REMOTE.pack(0, 1, 0, RETROPAD[button.name], down)
        sent = 0.0

        def shown(snapshot: Snapshot) -> bool:
            nonlocal sent
            if snapshot.held(self.player, button) == down:
                return True
            if time.monotonic() - sent > RESEND_AFTER:
                self._send(self._remote, datagram)
                sent = time.monotonic()
            return False

        what = f"{button.name} to be {'down' if down else 'up'} on pad {self.player}"
        self.wait_for_ram(shown, PRESS_WITHIN, what)

    # -- the agent

    def _call(self, do: str, **arguments: Any) -> dict[str, Any]:
        self._agent.tell(json.dumps({"do": do, **arguments}))
        answer: dict[str, Any] = json.loads(self._agent.line(within=5.0))
        assert "error" not in answer, self._what(f"{do}: {answer['error']}")
        return answer

    def _send(self, port: int, datagram: bytes) -> None:
        self._call("send", port=port, hex=datagram.hex())

    def _what(self, what: str) -> str:
        return f"{self.name}: {what}; the end of its log:\n{tail(self.log)}"
