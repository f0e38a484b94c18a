"""The lock files: the exact versions, with hashes, that bootstrap installs on each Python from 3.11 on."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from toolkit.console import ROOT
from toolkit.errors import UserError

EXTRAS = ("toolkit", "dev")
"""The extras of pyproject.toml that have a lock file each; a later one's file holds what an earlier one's does."""
HEAD = "# Written by `invoke lock`{upgrade} from pyproject.toml; bootstrap installs it. Not edited by hand.\n"


def path(extra: str, root: Path = ROOT) -> Path:
    """Return where an extra's lock file lies."""
    return root / "requirements" / f"{extra}.txt"


def write(*, upgrade: bool, root: Path = ROOT) -> list[Path]:
    """Write the lock files and return those that changed.

    With `upgrade` every package gets the newest version; otherwise a version stays as long as pyproject.toml allows
    it. Needs the package index. Raises UserError with what uv said when there is no solution or no network; the files
    are then as they were.
    """
    texts: dict[Path, str] = {}
    with tempfile.TemporaryDirectory(prefix="netplay-lock-") as scratch:
        for place, extra in enumerate(EXTRAS):
            output = Path(scratch) / f"{extra}.txt"
            if not upgrade and path(extra, root).exists():
                output.write_text(path(extra, root).read_text())
            # What the owner runs is what was tested: the larger lock keeps the versions of the smaller one.
            above = [f"--constraints={Path(scratch) / f'{name}.txt'}" for name in EXTRAS[:place]]
            _compile(extra, EXTRAS[: place + 1], output, above, root)
            texts[path(extra, root)] = HEAD.format(upgrade=" --upgrade" if upgrade else "") + output.read_text()
    changed = [file for file, text in texts.items() if not file.exists() or _pins(file.read_text()) != _pins(text)]
    for file in changed:
        file.parent.mkdir(exist_ok=True)
        file.write_text(texts[file])
    return changed


def _compile(extra: str, extras: tuple[str, ...], output: Path, options: list[str], root: Path) -> None:
    argv = [
        *(sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"),
        *("--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
        *(f"--extra={name}" for name in extras),
        *options,
        f"--output-file={output}",
        "pyproject.toml",
    ]
    done = subprocess.run(
        argv, cwd=root, capture_output=True, encoding="utf-8", errors="replace", check=False, timeout=300
    )
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()
        raise UserError(
            f"the versions of the extra {extra} could not be worked out: {said[-1]}",
            fix="\n".join([*said[:-1], "Correct pyproject.toml (or the network), then: invoke lock"]),
        )


def _pins(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("#")]
