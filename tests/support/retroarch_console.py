"""The RetroArch process itself: started by an agent in a network namespace, its RAM read and its buttons set by UDP."""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support import retroarch_settings as settings
from tests.support import rom
from tests.support.child import Child, tail
from tests.support.nes import layout

if TYPE_CHECKING:
    from tests.support.namespace import Inside
    from tests.support.nes.layout import Button, Snapshot

AGENT = Path(__file__).with_name("retroarch_agent.py")
# The agent answers within a second whatever RetroArch does; the rest is for a machine that is very busy.
AGENT_WITHIN = 10.0
ANSWER_WITHIN = 1.0
# An orphan would end by itself, after some 16 minutes. Frame numbers stay below 65536 with it, too.
MAX_FRAMES = 60_000
# RetroArch's own numbers of the buttons, by our names.
RETROPAD = {"B": 0, "SELECT": 2, "START": 3, "UP": 4, "DOWN": 5, "LEFT": 6, "RIGHT": 7, "A": 8}
REMOTE = struct.Struct("<iiiiHxx")  # port, device (1: joypad), index, button, down
JOYSTICK = struct.Struct("<IhBB")  # time, value, kind (1: button), number: as Linux's joysticks say it


def make_joystick(folder: Path) -> Path:
    """Make a pipe in the place of a joystick; every RetroArch that reads joysticks itself takes it for one."""
    place = folder / "joysticks" / "js0"
    place.parent.mkdir()
    os.mkfifo(place)
    return place


def press_joystick(place: Path, number: int, *, down: bool) -> None:
    """Push a joystick's button down or let it go."""
    pipe = os.open(place, os.O_RDWR | os.O_NONBLOCK)
    try:
        os.write(pipe, JOYSTICK.pack(0, down, 1, number))
    finally:
        os.close(pipe)


class Console:
    """One RetroArch with our ROM. Attributes: ``pid``, ``log`` (the path of its log)."""

    def __init__(self, name: str, role: settings.Role, folder: Path, inside: Inside) -> None:
        """Start RetroArch by ``inside``, with ``folder`` as its scratch folder and ``name`` as its nick."""
        self.log = folder / "retroarch.log"
        size = role.ram_at_once
        self._joystick = role.joystick and make_joystick(folder)
        self._reads = [f"READ_CORE_RAM {at:x} {size}" for at in range(0, layout.RAM_SIZE, size)]
        self._agent = Child(inside([sys.executable, "-I", "-S", str(AGENT)]), log=folder / "agent.log")
        try:
            self._command, self._remote = self._call("ports", kinds=["udp", "udp"])["ports"]
            self.pid = self._start(name, role, folder)
        except BaseException:
            self.stop()
            raise

    def _start(self, name: str, role: settings.Role, folder: Path) -> int:
        own = {
            "netplay_nickname": name,
            "network_cmd_port": str(self._command),
            "network_remote_base_port": str(self._remote),
        }
        config = settings.write_folder(folder, role, own)
        core = folder / "cores" / f"{settings.CORE}.so"
        argv = ["retroarch", "--verbose", f"--config={config}", f"--libretro={core}", f"--max-frames={MAX_FRAMES}"]
        argv += [*role.arguments, str(rom.write(folder / "pads.nes"))]
        argv = role.command(folder, argv) if role.command else argv
        env = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        return int(self._call("start", argv=argv, env=env, cwd=str(folder), log=str(self.log))["pid"])

    def exit_code(self) -> int | None:
        """Return RetroArch's exit code; None while it runs."""
        code: int | None = self._call("state")["code"]
        return code

    def ram(self) -> Snapshot | None:
        """Read the RAM between two frames. None when RetroArch does not answer within a second, or boots.

        Where it is read in pieces, frames that pass between them overwrite the oldest rows alone, which say that by
        their numbers.
        """
        answers = self._call("ask_all", port=self._command, texts=self._reads, within=ANSWER_WITHIN)["answers"]
        words = [word for answer in answers or [] for word in answer.split()[2:]]
        return layout.read(bytes.fromhex("".join(words))) if len(words) == layout.RAM_SIZE else None

    def paused(self) -> bool | None:
        """Tell whether its player has paused the game. None when there is no answer within a second."""
        answer = self._call("ask", port=self._command, text="GET_STATUS", within=ANSWER_WITHIN)["answer"]
        return answer.startswith("GET_STATUS PAUSED") if answer else None

    def set(self, button: Button, *, down: bool) -> None:
        """Push a button down or let it go: RetroArch keeps it so from its next frame on."""
        number = RETROPAD[button.name]
        if self._joystick:
            press_joystick(self._joystick, number, down=down)
            return
        self._send(self._remote, REMOTE.pack(0, 1, 0, number, down))

    def command(self, word: str) -> None:
        """Send one of RetroArch's commands that has no answer, e.g. QUIT."""
        self._send(self._command, word.encode())

    def freeze(self) -> None:
        """Let the process stand still, as a machine does that is far too busy: it reads nothing more."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        os.kill(self.pid, signal.SIGCONT)

    def abandon(self) -> None:
        """Do what happens when the tests are killed: the agent's input ends, and it has to clean up by itself."""
        self._agent.end_input()

    def stop(self) -> None:
        """End RetroArch, however it is."""
        self._agent.stop()

    def _call(self, do: str, **arguments: Any) -> dict[str, Any]:
        self._agent.tell(json.dumps({"do": do, **arguments}))
        answer: dict[str, Any] = json.loads(self._agent.line(AGENT_WITHIN))
        assert "error" not in answer, f"{do}: {answer['error']}; the end of the log:\n{tail(self.log)}"
        return answer

    def _send(self, port: int, datagram: bytes) -> None:
        self._call("send", port=port, hex=datagram.hex())
