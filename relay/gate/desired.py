"""What is wanted of the gate: by the host's relay.toml and friends.toml, or by what was applied of them last."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from relay import config, tomlfile
from relay.config import Config
from relay.gate import files
from relay.gate.files import GateFiles
from relay.gate.policy import friends as friendslist
from relay.gate.policy.friends import Friend
from relay.gate.state import State
from relay.protocol.tunnel import DEFAULT_PORT
from relay.tomlfile import ConfigError

# Where RetroArch asks for rooms in its LAN, whatever port the relay has.
LAN_PORT = DEFAULT_PORT


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the files ask for: settings, friends, the text of friends.toml (None: there is none), that of relay.toml."""

    settings: Config
    friends: list[Friend]
    text: str | None
    settings_text: str = ""

    @property
    def ports(self) -> tuple[int, ...]:
        """Every port of the relay: TCP is filtered there, and UDP."""
        return self.settings.ports

    @property
    def datagrams(self) -> tuple[int, ...]:
        """Ports that are the relay's for UDP alone: another program may have them for TCP."""
        return datagrams(self.settings)

    @property
    def names(self) -> list[str]:
        """Every DNS name of a friend."""
        return list(dict.fromkeys(name for friend in self.friends for name in friend.names))


def datagrams(settings: Config) -> tuple[int, ...]:
    """Return the ports where a relay with these settings listens for UDP alone."""
    return (LAN_PORT,) if settings.lan.answer and LAN_PORT not in settings.ports else ()


def read(
    where: GateFiles, text: str | None = None, source: Path | None = None, settings_text: str | None = None
) -> Wanted:
    """Read the files. Raises ConfigError.

    A text that is given stands in for one: text, which errors call source, for friends.toml, settings_text for
    relay.toml.
    """
    written = settings_of(where) if settings_text is None else settings_text
    settings = config.parse(written, where.settings)
    if text is None:
        there = where.friends.exists()
        found = friendslist.load(where.friends) if there else []
        return Wanted(settings, found, files.read(where.friends), written)
    return Wanted(settings, friendslist.parse(text, source or where.friends), text, written)


def in_force(where: GateFiles, known: State) -> tuple[Wanted, str]:
    """Return what the files ask for and a complaint; for a broken one, what was applied of it last stands in.

    Raises ConfigError when nothing was applied of it.
    """
    problem = ""
    try:
        settings = settings_of(where)
        config.parse(settings, where.settings)
    except ConfigError as error:
        if known.settings is None:
            raise
        problem, settings = str(error), known.settings
    try:
        return read(where, settings_text=settings), problem
    except ConfigError as error:
        if known.friends is None:
            raise
        return read(where, known.friends, settings_text=settings), problem or str(error)


def settings_of(where: GateFiles) -> str:
    """Return the text of relay.toml, "" where there is none. Raises ConfigError when it cannot be read."""
    return tomlfile.read(where.settings) if where.settings.exists() else ""
