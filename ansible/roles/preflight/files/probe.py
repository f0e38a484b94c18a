"""Runs on a host before anything of Ansible's does, with nothing but the interpreter: what is missing or full there.

Put in front are PARTS, modules of the standard library, and ROOM, places as (path, bytes, files). Each line printed is
a fact: `missing=MODULE` or `room=PATH: REASON`. Nothing is left behind.
"""

import errno
import os

CHUNK = bytes(65536)


def existing(path: str) -> str:
    """Return the last directory that is there on the way to a path: what is missing will be made in it.

    Raises NotADirectoryError where something else is in the way.
    """
    while not os.path.isdir(path):
        if os.path.lexists(path):
            raise NotADirectoryError(errno.ENOTDIR, "it is there, and is not a directory")
        path = os.path.dirname(path) or "/"
    return path


def write(directory: str, size: int) -> None:
    """Write a file without a name, which is gone when it is closed. Raises OSError."""
    try:
        file = os.open(directory, os.O_WRONLY | os.O_TMPFILE, 0o600)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
            raise
        # A file system without such files (9p, NFS, an older overlay).
        path = os.path.join(directory, f".netplay-relay-probe.{os.getpid()}")
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.unlink(path)
    try:
        while size > 0:
            size -= os.write(file, CHUNK[:size])
    finally:
        os.close(file)


def home() -> str:
    """Return the home of the account that logs in, where Ansible carries its files to."""
    import pwd

    try:
        return pwd.getpwnam(os.environ.get("SUDO_USER", "")).pw_dir
    except KeyError:
        return os.path.expanduser("~")


def trouble(path: str, size: int, files: int) -> str:
    """Return why a directory cannot take so many bytes in so many files, "" if it can."""
    try:
        directory = existing(path)
        free = os.statvfs(directory)
        if free.f_files and free.f_ffree < files:
            return f"there is room for {free.f_ffree} files, and {files} are to be made"
        write(directory, size)
    except OSError as error:
        reason = str(error.strerror)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            free = os.statvfs(directory)
            kib = (free.f_bfree * free.f_frsize) >> 10
            return f"{reason.lower()} ({-(-size >> 10)} KiB are needed, {kib} free)"
        return reason.lower()
    return ""


def main() -> None:
    """Print what is missing, and where there is no room; at last that this is all."""
    for name in PARTS:  # type: ignore[name-defined]
        try:
            __import__(name)
        except Exception:
            print(f"missing={name}")
    for paths, size, files in ROOM:  # type: ignore[name-defined]
        places = [home() + path[1:] if path.startswith("~") else path for path in paths.split(os.pathsep)]
        # As Python chooses where temporary files go: the first place that takes a small one has to take all of it.
        fit = [place for place in places if os.path.isdir(place) and not trouble(place, 16, 1)]
        place = (fit or places)[0] if len(places) > 1 else places[0]
        why = trouble(place, size, files) if fit or len(places) == 1 else "no directory for temporary files"
        if why:
            print(f"room={place}: {why}")
    print("probed=yes")


main()
