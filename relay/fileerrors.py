"""What the system says of a file, as a sentence that names the file: Python names none when writing fails."""

from __future__ import annotations

import contextlib
import errno
import shlex
from collections.abc import Iterator
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)


class FileError(OSError):
    """An OSError of a known file; str() is a sentence."""

    def __str__(self) -> str:
        """Return the sentence, with what to type where that is known."""
        path = Path(str(self.filename))
        said = f"cannot write {path}: {self.strerror}"
        place = shlex.quote(str(path.parent))
        if self.errno in FULL:
            return f"{said}. See what is full: df -h {place}; df -i {place}"
        return f"{said}. It has to be writable: findmnt --target {place}" if self.errno == errno.EROFS else said


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise what goes wrong in the block as a FileError of this file, whatever temporary one stood in for it."""
    try:
        yield
    except FileError:
        raise
    except OSError as error:
        raise FileError(error.errno, error.strerror or str(error), str(path)) from error


def sentence(error: Exception) -> str:
    """Return an error as a person reads it: no number, and the file's name where there is one."""
    if isinstance(error, OSError) and not isinstance(error, FileError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    return str(error)
