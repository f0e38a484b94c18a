"""Asks a core itself for its name and version, which is what RetroArch compares with the host's.

The core is loaded by a Python of its own, as RetroArch would load it: one that breaks, or is made for another machine,
takes nothing with it, and simply is not known.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

WITHIN = 20.0
# struct retro_system_info of libretro.h: three strings and two booleans, filled in before anything is loaded.
PROGRAM = """
import ctypes, json, sys

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_char_p) for name in ("name", "version", "extensions")]
    _fields_ += [("full_path", ctypes.c_bool), ("block_extract", ctypes.c_bool)]

info = Info()
ctypes.CDLL(sys.argv[1]).retro_get_system_info(ctypes.byref(info))
print(json.dumps([(text or b"").decode("utf-8", "replace") for text in (info.name, info.version)]))
"""


@dataclass(frozen=True, slots=True)
class Said:
    """What a core calls itself, at most 31 bytes of each as RetroArch sends them; "" while it is not known."""

    name: str = ""
    version: str = ""


def ask(core: Path) -> Said:
    """Return what a core calls itself; nothing when it cannot be loaded here."""
    argv = [sys.executable, "-I", "-S", "-c", PROGRAM, str(core)]
    try:
        done = subprocess.run(
            argv, capture_output=True, encoding="utf-8", errors="replace", timeout=WITHIN, check=False
        )
        name, version = json.loads(done.stdout.splitlines()[-1])
    except (subprocess.TimeoutExpired, OSError, ValueError, IndexError):
        return Said()
    return Said(_kept(name), _kept(version))


def _kept(text: str) -> str:
    """Return a text as the relay shows it: cut as RetroArch cuts it, and safe to print."""
    kept = text.encode()[:31].decode("utf-8", "ignore")
    return "".join(sign if sign.isprintable() else "?" for sign in kept).strip()
