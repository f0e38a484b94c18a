"""Makes the pictures of docs/playing.md and docs/controllers.md anew: RetroArch's own menus, on a screen nobody sees.

    python -m toolkit.play.pictures --out docs/pictures

It needs RetroArch, and xvfb, xdotool and imagemagick; without a network of their own (unshare) nothing is started, so
that no menu reaches anybody. RetroArch's plain menu (rgui) is drawn: it has two colours and no clock here, so that the
same RetroArch draws the same picture.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.errors import UserError, report
from toolkit.join import instructions
from toolkit.play import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS = {
    "retroarch": "retroarch",
    "Xvfb": "xvfb",
    "xdotool": "xdotool",
    "import": "imagemagick",
    "unshare": "util-linux",
}
SCREEN = "640x480x24"
WITHIN = 60.0
STILL, SETTLES = 3, 4.0
OK, DOWN, UP = "x", "Down", "Up"
RELAY = "relay.example.org"
SETTINGS = {
    "video_driver": "gl",
    "video_window_custom_size_enable": "true",
    "video_windowed_position_width": "640",
    "video_windowed_position_height": "480",
    "audio_driver": "null",
    "audio_enable": "false",
    "input_driver": "x",
    "input_joypad_driver": "null",
    "menu_driver": "rgui",
    "menu_timedate_enable": "false",
    "menu_mouse_enable": "false",
    "menu_show_sublabels": "false",
    "menu_scroll_delay": "2000",  # how long a key is held before it counts as pressed again
    "pause_nonactive": "false",
    "config_save_on_exit": "false",
    "core_info_cache_enable": "false",
    "netplay_nickname": "anna",
    "netplay_nat_traversal": "false",
    "netplay_max_connections": "3",
    **instructions.host_settings(RELAY, 55435),
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture's name, the keys that lead to it from the main menu, and a text that is typed then."""

    name: str
    keys: tuple[str, ...]
    text: str = ""


NETPLAY = (DOWN,) * 4 + (OK,)
INPUT = (*(DOWN,) * 6, OK, *(DOWN,) * 3, OK)
PICTURES = (
    Picture("netplay", NETPLAY),
    Picture("host", (*NETPLAY, OK)),
    Picture("connect", (*NETPLAY, DOWN, OK), f"{RELAY}|55435"),
    Picture("port-1-controls", (*INPUT, *(UP,) * 5, OK)),
)


def missing() -> list[str]:
    """Return the packages of the programs that are not here."""
    return sorted({package for program, package in PROGRAMS.items() if shutil.which(program) is None})


def make(out: Path) -> list[Path]:
    """Make every picture into a folder and return their files. Raises UserError when something is missing."""
    if lacking := missing():
        raise UserError(
            f"programs are missing: {', '.join(lacking)}",
            fix=f"apt-get install --no-install-recommends {' '.join(lacking)}",
        )
    out.mkdir(parents=True, exist_ok=True)
    return [_make(picture, out / f"{picture.name}.png") for picture in PICTURES]


def _make(picture: Picture, path: Path) -> Path:
    """Make one picture, with a RetroArch of its own: each begins at the main menu."""
    with tempfile.TemporaryDirectory(prefix="netplay-relay-pictures-") as name, ExitStack() as stack:
        folder = Path(name)
        screen = stack.enter_context(_Screen(folder).running())
        for key in picture.keys:
            screen.press(key)
        if picture.text:
            screen.type(picture.text)
        path.write_bytes(screen.picture(folder))
    return path


class _Screen:
    """An X server and a RetroArch in it, both without a network and gone at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}

    @contextmanager
    def running(self) -> Iterator[_Screen]:
        """Start both; wait until the menu stands still."""
        config = self._folder / "retroarch.cfg"
        config.write_text(settings.render(SETTINGS | {"rgui_config_directory": str(self._folder)}))
        read, write = os.pipe()
        argv = ["Xvfb", "-displayfd", str(write), "-screen", "0", SCREEN, "-nolisten", "tcp"]
        with _program(argv, self._environment, self._folder, keep=write):
            os.close(write)
            with os.fdopen(read) as told:
                self._environment["DISPLAY"] = f":{told.readline().strip()}"
            with _program(
                ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"]),
                 "retroarch", "--menu", f"--config={config}"], self._environment, self._folder,
            ):  # fmt: skip
                self._changed(self._look())
                self._still()
                yield self

    def press(self, key: str) -> None:
        """Hold a key until the menu has followed: RetroArch looks at the keys once a frame, and may miss a tap."""
        before = self._look()
        self._tool("keydown", key)
        self._changed(before)
        self._tool("keyup", key)
        self._still()

    def type(self, text: str) -> None:
        """Type a text, a letter at a time as RetroArch reads it."""
        self._tool("type", "--delay", "150", text)
        self._still()

    def picture(self, folder: Path) -> bytes:
        """Return what is seen as a small PNG, once it stands still."""
        self._still()
        path = folder / "picture.png"
        small = ["-strip", "-colors", "8", "-define", "png:compression-level=9", f"PNG8:{path}"]
        subprocess.run(["import", "-window", "root", *small], env=self._environment, check=True, timeout=WITHIN)
        return path.read_bytes()

    def _tool(self, *arguments: str) -> None:
        subprocess.run(["xdotool", *arguments], env=self._environment, check=True, timeout=WITHIN)

    def _look(self) -> bytes:
        argv = ["import", "-window", "root", "ppm:-"]
        return subprocess.run(argv, env=self._environment, check=True, capture_output=True, timeout=WITHIN).stdout

    def _changed(self, before: bytes) -> None:
        """Wait until what is seen is another picture."""
        end = time.monotonic() + WITHIN
        while self._look() == before:
            if time.monotonic() > end:
                raise UserError(f"RetroArch's menu did not move within {WITHIN:g} s", fix="Run it again.")
            time.sleep(0.1)

    def _still(self) -> None:
        """Wait until what is seen is the same a few times in a row; something small may go on moving."""
        last, same, end = self._look(), 0, time.monotonic() + SETTLES
        while same < STILL and time.monotonic() < end:
            time.sleep(0.1)
            now = self._look()
            same = same + 1 if now == last else 0
            last = now


@contextmanager
def _program(argv: list[str], environment: dict[str, str], folder: Path, keep: int | None = None) -> Iterator[None]:
    """Run a program until the end of the block; it may keep one file descriptor."""
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            argv, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            pass_fds=() if keep is None else (keep,),
        )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main() -> int:
    """Make the pictures as typed; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m toolkit.play.pictures", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the folder for them")
    try:
        for path in make(parser.parse_args().out):
            sys.stdout.write(f"{path} {path.stat().st_size} bytes\n")
    except UserError as error:
        report(error)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
