"""Editing friends.toml for a person: their comments and their order stay, and nothing wrong is ever written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relay.gate.policy import expiry
from relay.gate.policy import friends as gate
from relay.tomlfile import ConfigError
from toolkit.errors import UserError
from toolkit.friends.parse import as_user_error, parse
from toolkit.hosts.inventory import write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tomlkit import TOMLDocument


@dataclass(frozen=True, slots=True)
class FriendChange:
    """What shall be true of a friend: also these addresses and DNS names, until then (None: as it was), that note.

    until is in seconds since 1970. only: these addresses and no others.
    """

    name: str
    addresses: Sequence[str] = ()
    names: Sequence[str] = ()
    until: int | None = None
    note: str = ""
    only: bool = False


def put(path: Path, wish: FriendChange) -> bool:
    """Make a wish true in the file; return whether it changed.

    Raises UserError, and leaves the file as it is, when it is broken or what would be written is.
    """
    text = path.read_text(encoding="utf-8")
    changed = wished(text, path, wish)
    if changed == text:
        return False
    write(path, changed)
    return True


def wished(text: str, path: Path, wish: FriendChange) -> str:
    """Return the text of a friends.toml in which a wish is true; path names it in errors. Raises UserError."""
    known = parse(text, path)
    if any(friend.name == wish.name for friend in known):
        changed = _changed(text, path, wish)
    else:
        changed = f"{text.rstrip()}\n\n{_entry(wish)}"
    parse(changed, path)
    return changed


def without(text: str, path: Path, name: str) -> str:
    """Return the text of a friends.toml without a friend. Raises UserError when nobody has that name."""
    known = [friend.name for friend in parse(text, path)]
    if name not in known:
        some = (
            f"There are: {', '.join(known[:20])}{', ...' if len(known) > 20 else ''}." if known else "It names nobody."
        )
        raise UserError(f"{path} names no {name!r}", fix=some)
    document = _document(text, path)
    entries: Any = document["friend"]
    entries.remove(next(entry for entry in entries if entry["name"] == name))
    if not entries:
        document.remove("friend")
    changed = document.as_string()
    parse(changed, path)
    return changed


def sendable(text: str, path: Path, before: str, now: float) -> tuple[str, list[gate.Friend]]:
    """Return the text for the host, line for line, and the friends left out of it: those whose time ran out.

    before: what was sent last. An end that was over already when it was written is a mistake, and refused; one that has
    come since is not. Local times get their offset. Raises UserError.
    """
    sent = {(friend.name, friend.until) for friend in parse(before, path)}
    friends = parse(text, path)
    over = [
        friend
        for friend in friends
        if friend.until is not None and friend.until <= now and (friend.name, friend.until) in sent
    ]
    lines = text.splitlines(keepends=True)
    starts = [*sorted(friend.line for friend in friends), len(lines) + 1]
    for friend in over:
        end = starts[starts.index(friend.line) + 1]
        lines[friend.line - 1 : end - 1] = ["\n"] * (end - friend.line)
    left = "".join(lines)
    try:
        kept = parse(left, path)
        if len(kept) != len(friends) - len(over):  # not written one below the other
            left, over, kept = text, [], friends
        gate.refuse_expired(kept, now, path)
        return gate.pinned(left, path, kept), over
    except ConfigError as error:
        raise as_user_error(error) from None


def _entry(wish: FriendChange) -> str:
    """Return a new entry; it goes to the end of the file, where the comments above it stay above it."""
    if not wish.addresses and not wish.names:
        raise UserError(
            f"no address was given for {wish.name}",
            fix=f"invoke friends.add {wish.name} --ip 203.0.113.7, or --dns {wish.name}.example.org",
        )
    values: dict[str, str | Sequence[str]] = {"ip": wish.addresses, "dns": wish.names}
    values |= {"until": "" if wish.until is None else expiry.written(wish.until), "note": wish.note}
    given = "".join(f"{key} = {_value(value)}\n" for key, value in values.items() if value)
    return f"[[friend]]\nname = {_value(wish.name)}\n{given}"


def _value(value: str | Sequence[str]) -> str:
    """Return text, or several, as TOML writes them; one alone needs no list."""
    if not isinstance(value, str):
        return _value(value[0]) if len(value) == 1 else f"[{', '.join(map(_value, value))}]"
    # JSON's, but for a sign that TOML wants escaped. To load what edits files takes as long as all else here.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _changed(text: str, path: Path, wish: FriendChange) -> str:
    """Return the file with a friend in it changed where that is needed."""
    document = _document(text, path)
    entries: Any = document["friend"]
    entry = next(entry for entry in entries if entry["name"] == wish.name)
    before = _values(entry, "ip")
    missing = [address for address in wish.addresses if not _covered(address, before)]
    if wish.only and (missing or len(before) != len(wish.addresses)):
        entry["ip"] = list(wish.addresses)
    elif missing:
        entry["ip"] = [*before, *missing]
    names = _values(entry, "dns")
    if new := [name for name in wish.names if name not in names]:
        entry["dns"] = [*names, *new] if names else new[0] if len(new) == 1 else new
    if wish.until is not None:
        entry["until"] = expiry.written(wish.until)
    if wish.note:
        entry["note"] = wish.note
    return document.as_string()


def _document(text: str, path: Path) -> TOMLDocument:
    import tomlkit  # slow to load, and a new friend needs no editing
    from tomlkit.exceptions import TOMLKitError

    try:
        return tomlkit.parse(text)
    except TOMLKitError as error:  # what tomllib reads and tomlkit does not
        raise UserError(f"{path} cannot be edited by a program: {error}", fix="Change it by hand.") from None


def _values(entry: Any, key: str) -> list[str]:
    found = entry.get(key, [])
    return [found] if isinstance(found, str) else list(found)


def _covered(address: str, by: Sequence[str]) -> bool:
    wanted = gate.network(address)
    found = (gate.network(other) for other in by)
    return any(wanted.version == other.version and wanted.subnet_of(other) for other in found)  # type: ignore[arg-type]
