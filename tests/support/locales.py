"""Languages that are not written in UTF-8, made for a test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.support.needs import lack

if TYPE_CHECKING:
    from pathlib import Path


def japanese(folder: Path) -> dict[str, str]:
    """Return an environment in a language whose letters are two bytes that are not UTF-8 (EUC-JP)."""
    if shutil.which("localedef") is None:
        lack("there is no localedef, which makes a locale")
    made = ["localedef", "-i", "ja_JP", "-f", "EUC-JP", str(folder / "ja_JP.eucJP")]
    done = subprocess.run(made, capture_output=True, text=True, check=False, timeout=60)
    if not (folder / "ja_JP.eucJP").exists():
        lack(f"the locale ja_JP.eucJP cannot be made: {done.stderr}")
    environ = {"LOCPATH": str(folder), "LC_ALL": "ja_JP.eucJP", "PYTHONUTF8": "0"}
    ask = [sys.executable, "-c", "import sys; print(sys.getfilesystemencoding())"]
    told = subprocess.run(ask, env={**os.environ, **environ}, capture_output=True, text=True, check=True, timeout=60)
    if told.stdout.strip() != "euc_jp":
        lack(f"the C library has no conversion for EUC-JP (libc's gconv modules): Python says {told.stdout.strip()}")
    return environ
