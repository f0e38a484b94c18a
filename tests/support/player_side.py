"""A player who types `invoke play.host` or `play.join`, with a RetroArch of their own and settings of their own."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.retroarch_settings import Role
from toolkit.console import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# As Debian 12 has it: with this RetroArch refuses netplay.
SERIALIZED = 'display_name = "Nestopia"\ncorename = "Nestopia"\nsupported_extensions = "nes"\nsavestate = "true"\n'
SERIALIZED += 'savestate_features = "serialized"\n'


def settings_of(folder: Path) -> Path:
    """Return the settings of the person whose machine is in a folder."""
    return folder / "retroarch" / "retroarch.cfg"


def typing(
    task: str,
    *options: str,
    own_log: bool = True,
    edit: Callable[[Path], str] = lambda folder: str(folder / "pads.nes"),
) -> Role:
    """Return who types a task with options; edit makes the folder's game another and returns its path.

    own_log: RetroArch's own log is what is printed, for a Machine to read.

    RetroArch writes its settings on exit, as it does for everybody who has not switched that off.
    """

    def command(folder: Path, argv: Sequence[str]) -> list[str]:
        settings_of(folder).parent.mkdir(exist_ok=True)
        shutil.copyfile(folder / "retroarch.cfg", settings_of(folder))
        shutil.copyfile(settings_of(folder), folder / "before.cfg")
        (folder / "info" / "nestopia_libretro.info").write_text(SERIALIZED)
        limits = [word for word in argv if word.startswith("--max-frames")]
        program = executable(folder / "their RetroArch", ["retroarch", *limits])
        typed = ["--core", "nestopia", "--content", edit(folder), "--retroarch", str(program), *options]
        typed += ["--log"] if own_log else []
        return [sys.executable, "-m", "invoke", f"--search-root={ROOT}", f"play.{task}", *typed]

    # Without the adapter RetroArch ends netplay, without a word, where something is plugged into port 3.
    adapter = {"nestopia_select_adapter": "ntsc"} if "--device=3:257" in options else {}
    return Role(settings={"config_save_on_exit": "true"}, core_options=adapter, command=command)


def executable(path: Path, argv: Sequence[str]) -> Path:
    """Write a program that becomes another one, which ends with whoever started it; return its path."""
    setpriv = shutil.which("setpriv", path=os.environ["PATH"])
    path.write_text(f'#!/bin/sh\nexec {setpriv} --pdeathsig KILL {shlex.join(argv)} "$@"\n')
    path.chmod(0o755)
    return path
