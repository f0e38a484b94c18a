"""Where the gate's files are on the host, and how they are written: whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from relay.fileerrors import writing

CONFIG_DIR = Path("/etc/netplay-relay")
STATE_DIR = Path("/var/lib/netplay-relay")
SHARED = 0o640
# How the name ends of a file that is being written: nobody calls one of theirs so.
UNFINISHED = ".unfinished"


@dataclass(frozen=True, slots=True)
class GateFiles:
    """The two directories: what is configured (the owner's word), and what the gate knows and did."""

    config_dir: Path = CONFIG_DIR
    state_dir: Path = STATE_DIR

    @property
    def settings(self) -> Path:
        """The relay.toml."""
        return self.config_dir / "relay.toml"

    @property
    def friends(self) -> Path:
        """The host's copy of friends.toml: for root alone, it holds people's names."""
        return self.config_dir / "friends.toml"

    @property
    def allowlist(self) -> Path:
        """The relay's own allowlist."""
        return self.config_dir / "allowlist"

    @property
    def state(self) -> Path:
        """What the gate knows: see relay.gate.state."""
        return self.state_dir / "gate.json"

    @property
    def pending(self) -> Path:
        """What comes back unless it is confirmed: see relay.gate.commit_confirm."""
        return self.state_dir / "pending.json"

    @property
    def lock(self) -> Path:
        """Held while anything is changed."""
        return self.state_dir / "gate.lock"

    @property
    def agent(self) -> Path:
        """Held by the agent as long as it runs."""
        return self.state_dir / "agent.lock"


def read(path: Path) -> str | None:
    """Return a text, None when there is no such file. Raises OSError.

    Line ends, and bytes that are no UTF-8, come back as they were when it is written again.
    """
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return None


def write(path: Path, text: str | None, like: Path | None = None) -> bool:
    """Put a text at path in one step, or take the file away (None). Return whether that changed something.

    It is on the disk when this returns: a change that was confirmed must not come back after a power loss. The file is
    root's alone; with like, the group of that file may read it too, and it is written anew when that group could not.
    Raises OSError, whose words name the file.
    """
    with writing(path):
        return _write(path, text, like)


def _write(path: Path, text: str | None, like: Path | None) -> bool:
    if text is None:
        there = path.exists()
        path.unlink(missing_ok=True)
        if there:
            sync(path.parent)
        return there
    if _is(path, text) and (_is_own(path) if like is None else is_shared(path, like)):
        return False
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=UNFINISHED, dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            if like is not None and like.exists():
                os.fchown(file.fileno(), -1, like.stat().st_gid)
                os.fchmod(file.fileno(), SHARED)
            file.write(text.encode("utf-8", "surrogateescape"))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)
    return True


def unfinished(path: Path) -> list[Path]:
    """Return what is left of writes of a file in the middle of which the host lost its power."""
    named = re.compile(rf"\.{re.escape(path.name)}\.[a-z0-9_]{{8}}{re.escape(UNFINISHED)}")
    with contextlib.suppress(OSError):
        return [one for one in path.parent.iterdir() if named.fullmatch(one.name)]
    return []


def sync(folder: Path) -> None:
    """Bring to the disk which files are in a folder: a name lives, or is gone, after a power loss only then."""
    with contextlib.suppress(OSError):  # not every file system does that
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _is(path: Path, text: str) -> bool:
    with contextlib.suppress(OSError):
        return read(path) == text
    return False


def _is_own(path: Path) -> bool:
    """Tell whether a file is this account's and readable to it: the agent, root without privileges, has to read it."""
    with contextlib.suppress(OSError):
        found = path.stat()
        return found.st_uid == os.geteuid() and bool(found.st_mode & stat.S_IRUSR)
    return False


def is_shared(path: Path, like: Path) -> bool:
    """Tell whether those who may read a file by its group are those of another one, which is there or not."""
    with contextlib.suppress(OSError):
        found = path.stat()
        shared = found.st_gid == like.stat().st_gid and stat.S_IMODE(found.st_mode) == SHARED if like.exists() else True
        return shared and _is_own(path)
    return False
