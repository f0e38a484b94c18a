"""The release beside its one file, unpacked and compiled: Python compiles a zip file's content anew at each start.

The folder is named by the file's content, so a file that was replaced is not taken for the one that was unpacked. It is
believed only if it belongs to whom the file belongs to, and nobody else may write to it.
"""

from __future__ import annotations

import os
import stat
import zlib
from pathlib import Path

import relay

OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def use() -> bool:
    """Import the rest of the relay from the folder; return whether there is one. For the file's own __main__."""
    archive = _archive()
    if not archive or not _is_trusted(folder := _folder(archive), archive):
        return False
    relay.__path__.insert(0, str(folder / "relay"))
    return True


def main() -> int:
    """Make the folder, where the program is one file and there is none yet; return the exit code."""
    archive = _archive()
    if archive and not (folder := _folder(archive)).is_dir():
        _unpack(archive, folder)
    return 0


def _archive() -> Path | None:
    """Return the file this program came in, None when it is none."""
    place = Path(relay.__file__).parents[1]
    return place.resolve() if place.is_file() else None


def _folder(archive: Path) -> Path:
    content = archive.read_bytes()
    return archive.with_name(f"{archive.name}.{zlib.crc32(content):08x}-{len(content)}")


def _is_trusted(folder: Path, archive: Path) -> bool:
    try:
        there, mine = folder.lstat(), archive.stat()
    except OSError:
        return False
    return stat.S_ISDIR(there.st_mode) and there.st_uid == mine.st_uid and not there.st_mode & OTHERS_WRITE


def _unpack(archive: Path, folder: Path) -> None:
    import compileall  # none of these is needed to start
    import py_compile
    import shutil
    import tempfile
    import zipfile

    os.umask(0o022)
    scratch = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=archive.parent))
    try:
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(scratch)
        # Python does not look whether the sources are newer: nobody changes them.
        unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
        compileall.compile_dir(scratch, quiet=2, stripdir=str(scratch), invalidation_mode=unchecked)
        scratch.chmod(0o755)
        scratch.rename(folder)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
