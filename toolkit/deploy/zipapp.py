"""The relay as one file: a zip that python3 runs as it is, the same bytes wherever and whenever it is built.

A release is named after its content, so building it twice must give the same bytes: names sorted, times and modes
fixed, nothing compiled. It is stored, not deflated: compressors differ between Python builds (zlib, zlib-ng), and then
two machines would deploy "different" releases of the same commit.

    python -m toolkit.deploy.zipapp DIRECTORY    builds it there, for a playbook of one's own
"""

from __future__ import annotations

import hashlib
import io
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from toolkit.console import ROOT, say
from toolkit.errors import UserError, user_errors

NAME = "netplay-relay.pyz"
SHEBANG = b"#!/usr/bin/python3 -I\n"
# What was unpacked beside it on the host is taken from there: relay/unpack.py.
MAIN = """\
import sys

from relay import unpack as unpacked

unpacked.use()

from relay.__main__ import main

sys.exit(main())
"""
# The beginning of time for zip files.
EPOCH = (1980, 1, 1, 0, 0, 0)
SUFFIXES = {".py", ".toml"}
ID_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Release:
    """A built relay: where it lies, and its id, the first 16 hex digits of its SHA-256."""

    path: Path
    id: str
    files: int


def build(folder: Path, checkout: Path = ROOT) -> Release:
    """Build the relay of a checkout into folder. Raises UserError when the checkout has no whole relay."""
    sources = _sources(checkout)
    content = SHEBANG + _archive({**sources, "__main__.py": MAIN.encode()})
    path = folder / NAME
    path.write_bytes(content)
    path.chmod(0o755)
    return Release(path, hashlib.sha256(content).hexdigest()[:ID_LENGTH], len(sources))


def _sources(checkout: Path) -> dict[str, bytes]:
    found = {
        path.relative_to(checkout).as_posix(): path.read_bytes()
        for path in (checkout / "relay").rglob("*")
        if path.suffix in SUFFIXES and path.is_file() and "__pycache__" not in path.parts
    }
    if "relay/cli.py" not in found:
        raise UserError(f"{checkout}/relay is not whole: cli.py is missing", fix="git -C CHECKOUT status shows why")
    return found


def _archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.create_system = 3  # Unix, wherever it is built
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, files[name])
    return buffer.getvalue()


@user_errors
def main(arguments: list[str]) -> int:
    """Build it, and say what was built."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        raise UserError("no directory was named", fix="python -m toolkit.deploy.zipapp DIRECTORY")
    release = build(Path(arguments[0]))
    say(f"{release.path}: release {release.id}, {release.files} files")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
