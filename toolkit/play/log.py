"""RetroArch's log in sentences: who joined, and what its own messages leave unsaid when something fails."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LAST = 8
# RetroArch notes most of it in the language of its menus: 0 is English, in which it is looked for here.
LANGUAGE = {"user_language": "0"}
# What stands before a nick that has no quotes; releases differ in it.
PREFIX = r"^(?:\[\w+\]:? *){0,2}"
# What the log holds, what it means, and whether netplay failed with it. {0} and {1} are what the pattern caught.
MEANINGS: tuple[tuple[str, str, bool], ...] = (
    (r"You have joined as player (\d+)", "you play, as player {0}", False),
    (PREFIX + r"(.{1,40}) has joined as player (\d+)", "{0} plays, as player {1}", False),
    (PREFIX + r"Player (.{1,40}) has left the game", "{0} plays no more", False),
    (r'Connected to: "(.{0,40})"', "connected to {0}", False),
    (r'Got connection from: "(.{0,40})"', "{0} connects", False),
    (r'"(.{0,40})" has disconnected', "{0} has left", False),
    (
        r"Failed to connect to relay server (\S+) on port (\d+)",
        "the relay {0} port {1} does not answer: is your address let in (invoke friends.list), is it up? The game goes "
        "on without netplay",
        True,
    ),
    (
        r"Failed to create a tunnel session",
        "the relay gave no session: the room is hosted already, or the relay is full. The game goes on without netplay",
        True,
    ),
    (
        r"Failed to connect to host",
        "there was no way in: nobody hosts that room, or your address is not let in. The game goes on without netplay",
        True,
    ),
    (r"Core does not support netplay", "RetroArch refuses netplay with this core: see invoke play.cores", True),
    (r"Netplay host full", "the host has no place free: its Max Simultaneous Connections is 3 by itself", True),
    (r"You are banned from this host", "the relay or the host does not let your address in", True),
    (
        # RetroArch 1.10.3 and older has no word for DENY, 1.9.0 and older none for FULL; both come as this.
        r"not running RetroArch, or is running an old version",
        "the relay refused: your address is not let in, or (RetroArch 1.9.0 and older) there is no place free",
        True,
    ),
    (
        r"state load out of order",
        "a state was loaded at a moment that did not fit, and RetroArch left: join again",
        True,
    ),
    (
        r"Failed to resolve host",
        "that name is unknown; RetroArch 1.9.13 and 1.9.14 need the port behind a bar: ADDRESS|PORT",
        True,
    ),
    (r"old version of RetroArch", "nobody hosts that room, or the two RetroArchs are too far apart in age", True),
    (r"Incorrect password", "that password is wrong", True),
    (r"Your ping is too high", "the host lets nobody in who is so far away", True),
    (r"Failed to initialize netplay", "netplay did not begin", True),
    (r"Tunnel server error", "the relay ended the session: everybody is alone now", True),
    (r"Netplay disconnected", "netplay has ended", False),
)
PATTERNS = [(re.compile(pattern), meaning, fails) for pattern, meaning, fails in MEANINGS]


def sentence(line: str) -> tuple[str, bool] | None:
    """Return what a line of the log means and whether netplay failed with it; None for what says nothing new."""
    for pattern, meaning, fails in PATTERNS:
        if found := pattern.search(line):
            return meaning.format(*(_clean(each) for each in found.groups())), fails
    return None


def _clean(text: str) -> str:
    """Return a nick that is safe to print: it comes from others."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


class Follower:
    """Reads a log while it grows. Attributes: ``failed`` (netplay failed so far)."""

    def __init__(self, path: Path) -> None:
        self._path, self._at, self._rest, self._said = path, 0, "", ""
        self.failed = False

    def new(self) -> Iterator[str]:
        """Yield a sentence for each new thing the log says."""
        for line in self._lines():
            meant = sentence(line)
            if meant is None or meant[0] == self._said:
                continue
            self._said = meant[0]
            self.failed = self.failed or meant[1]
            yield meant[0]

    def last(self) -> list[str]:
        """Return the last lines of the log, safe to print."""
        try:
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []
        return [_clean(line) for line in lines[-LAST:]]

    def _lines(self) -> list[str]:
        try:
            with self._path.open("rb") as file:
                file.seek(self._at)
                data = file.read()
        except OSError:
            return []
        self._at += len(data)
        *whole, self._rest = (self._rest + data.decode("utf-8", "replace")).split("\n")
        return whole
