"""The release beside its one file, unpacked and compiled: Python compiles a zip file's content anew at each start.

The folder is named by the file's content, so a file that was replaced is not taken for the one that was unpacked. It is
believed only if it belongs to whom the file belongs to, and nobody else may write to it. By a list of its content, one
that a power loss has damaged is found out.
"""

from __future__ import annotations

import os
import stat
import sys
import zlib
from pathlib import Path

import relay

OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
LIST = "CONTENTS"


def use() -> bool:
    """Import the rest of the relay from the folder; return whether there is one. For the file's own __main__."""
    archive = _archive()
    if sys.argv[1:2] == ["unpack"]:  # what is to be looked at cannot be what looks
        return False
    if not archive or not _is_trusted(folder := _folder(archive), archive):
        return False
    relay.__path__.insert(0, str(folder / "relay"))
    return True


def main() -> int:
    """Make the folder, where the program is one file and there is none that is whole; say so; return the exit code."""
    archive = _archive()
    if archive and not _is_whole(folder := _folder(archive), archive):
        from relay.fileerrors import writing  # not needed to start

        with writing(folder):
            _unpack(archive, folder)
        print(f"unpacked into {folder}")  # noqa: T201 - the answer
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


def _is_whole(folder: Path, archive: Path) -> bool:
    """Tell whether all that was unpacked and compiled is there as it was."""
    import zipfile

    try:
        lines = (folder / LIST).read_text(encoding="utf-8").splitlines()
        listed = {name: found for found, name in (line.split(" ", 1) for line in lines)}
        with zipfile.ZipFile(archive) as packed:
            wanted = {info.filename: f"{info.CRC:08x}" for info in packed.infolist() if not info.is_dir()}
        return wanted.items() <= listed.items() and all(_sum(folder / name) == found for name, found in listed.items())
    except (OSError, ValueError):
        return False


def _sum(path: Path) -> str:
    return f"{zlib.crc32(path.read_bytes()):08x}"


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
            packed.extractall(scratch / "new")
        # Python does not look whether the sources are newer: nobody changes them.
        unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
        compileall.compile_dir(scratch / "new", quiet=2, stripdir=str(scratch / "new"), invalidation_mode=unchecked)
        _finish(scratch / "new")
        if os.path.lexists(folder):
            folder.rename(scratch / "spoiled")
        (scratch / "new").rename(folder)
        _flush(archive.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _finish(folder: Path) -> None:
    """List what is in a folder, and have all of it on the disk: its name may be there before what is in it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{_sum(path)} {path.relative_to(folder)}\n" for path in files]
    (folder / LIST).write_text("".join(lines), encoding="utf-8")
    for path in [*folder.rglob("*"), folder]:
        _flush(path)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
