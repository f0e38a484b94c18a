"""Editing friends.toml for a person: their comments and their order stay, and nothing wrong is ever written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from relay.config import ConfigError
from relay.gate import friends as gate
from toolkit.errors import UserError
from toolkit.inventory import write

if TYPE_CHECKING:
    from collections.abc import Sequence


def load(path: Path) -> list[gate.Friend]:
    """Read friends.toml. Raises UserError with file and line."""
    try:
        return gate.load(path)
    except ConfigError as error:
        raise as_user_error(error) from None


def as_user_error(error: ConfigError) -> UserError:
    """Turn a mistake in relay.toml or friends.toml into what a task ends with."""
    where = f"{error.path}:{error.line}" if error.line else str(error.path)
    return UserError(f"{where}: {error.message}", fix=error.fix or "Mend that line, then run the same command again.")


def parse_option(text: str) -> tuple[str, str]:
    """Split NAME=ADDRESS as typed after --friend. Raises UserError."""
    name, equals, address = text.partition("=")
    if not equals or not name.strip() or not address.strip():
        raise UserError(f"{text!r} names no friend", fix="Write name and address: --friend anna=203.0.113.7")
    check_address(name, address)
    return name.strip(), address.strip()


def check_address(name: str, address: str) -> None:
    """Raise UserError when the address typed for a friend is none."""
    try:
        gate.network(address)
    except ValueError as problem:
        raise UserError(
            f"the address of {name}: {problem}", fix="Your friend finds it by asking any what-is-my-ip site."
        ) from None


def put(path: Path, name: str, addresses: Sequence[str], *, only: bool = False, note: str = "") -> bool:
    """Let name in from these addresses too (or, with only, from no others); return whether the file changed.

    Raises UserError, and leaves the file as it is, when it is broken or what would be written is.
    """
    known = load(path)
    text = path.read_text(encoding="utf-8")
    if any(friend.name == name for friend in known):
        changed = _changed(text, path, name, addresses, only=only)
    else:
        changed = f"{text.rstrip()}\n\n{_entry(name, addresses, note)}"
    if changed == text:
        return False
    try:
        gate.parse(changed, path)
    except ConfigError as error:
        raise as_user_error(error) from None
    write(path, changed)
    return True


def _entry(name: str, addresses: Sequence[str], note: str) -> str:
    """Return a new entry; it goes to the end of the file, where the comments above it stay above it."""
    entry = tomlkit.table()
    entry.add("name", name)
    entry.add("ip", addresses[0] if len(addresses) == 1 else list(addresses))
    if note:
        entry.add("note", note)
    entries = tomlkit.aot()
    entries.append(entry)
    return tomlkit.dumps({"friend": entries})


def _changed(text: str, path: Path, name: str, addresses: Sequence[str], *, only: bool) -> str:
    """Return the file with the addresses of a friend in it changed where they must be."""
    try:
        document = tomlkit.parse(text)
    except TOMLKitError as error:  # what tomllib reads and tomlkit does not
        raise UserError(f"{path} cannot be edited by a program: {error}", fix="Add the address by hand.") from None
    entries: Any = document["friend"]
    entry = next(entry for entry in entries if entry["name"] == name)
    known = entry.get("ip", [])
    before = [known] if isinstance(known, str) else list(known)
    missing = [address for address in addresses if not _covered(address, before)]
    if only and (missing or len(before) != len(addresses)):
        entry["ip"] = list(addresses)
    elif missing:
        entry["ip"] = [*before, *missing]
    return tomlkit.dumps(document)


def _covered(address: str, by: Sequence[str]) -> bool:
    wanted = gate.network(address)
    found = (gate.network(other) for other in by)
    return any(wanted.version == other.version and wanted.subnet_of(other) for other in found)  # type: ignore[arg-type]
