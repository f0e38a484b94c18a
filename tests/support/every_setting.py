"""Every setting of relay.toml with another value than its default, taken from the settings themselves.

A setting that is new is among them without anybody's doing; one of a kind that is not known here is an error.
"""

from __future__ import annotations

import dataclasses
from enum import Enum
from pathlib import Path
from typing import Any, Final

from relay import config

PORTS_AND_BINDINGS: Final = frozenset({"listen.port", "listen.bind", "lan.answer", "room.port"})
"""What opens or closes a socket for players: nothing else may end a game."""
# Where the usual rule makes nothing that is good.
_OTHERS: Final[dict[str, str]] = {
    "gate.allowlist": '"{folder}/others"',
    "control.socket": '"{folder}/other.sock"',
    "listen.bind": '["127.0.0.1"]',
    "coreless.devices": "[1, 1]",
}


def names() -> list[str]:
    """Return every setting as TABLE.KEY."""
    return [f"{table}.{field.name}" for table, kind in config.TABLES.items() for field in dataclasses.fields(kind)]


def other(name: str, folder: Path) -> str:
    """Return a line `KEY = VALUE` with another value than the default; files lie in folder. Raises TypeError."""
    table, _, key = name.partition(".")
    if name in _OTHERS:
        return f"{key} = {_OTHERS[name].format(folder=folder)}"
    value: Any = getattr(config.TABLES[table](), key)
    if name in config.CHOICES:
        used = value.value if isinstance(value, Enum) else value
        return f'{key} = "{next(choice for choice in config.CHOICES[name] if choice != used)}"'
    if isinstance(value, bool):
        return f"{key} = {str(not value).lower()}"
    if isinstance(value, int | float):
        return f"{key} = {value + 1}"
    raise TypeError(f"say in {__name__} what another value of {name} is")


def settings(changed: list[str], folder: Path, usual: dict[str, str] | None = None) -> str:
    """Return a relay.toml with these settings changed; usual: TABLE.KEY -> VALUE, where they are not."""
    lines: dict[str, list[str]] = {}
    for name in names():
        table, _, key = name.partition(".")
        if name in changed:
            lines.setdefault(table, []).append(other(name, folder))
        elif usual and name in usual:
            lines.setdefault(table, []).append(f"{key} = {usual[name]}")
    return "\n".join(line for table, each in lines.items() for line in (f"[{table}]", *each)) + "\n"
