"""friends.toml: the people who may connect, each with one or more addresses.

    [[friend]]
    name = "anna"
    ip = ["203.0.113.7", "2001:db8:1:2::/64"]
    note = "plays on Fridays"

A single IPv6 address stands for its /64: a household has one, and privacy addresses change within it every day.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relay.config import ConfigError, locate, read_toml

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

KEYS = ("name", "ip", "note")
# Wider than this is no person: a /8 typed for a /28 would open the relay to millions.
WIDEST = {4: 8, 6: 16}
_NAME = re.compile(r"[^\x00-\x1f\x7f\"\\#]{1,64}")


@dataclass(frozen=True, slots=True)
class Friend:
    """One person: name, addresses (networks without host bits, single IPv6 as /64), the line where the entry starts."""

    name: str
    addresses: tuple[Network, ...]
    line: int
    note: str = ""


def load(path: Path) -> list[Friend]:
    """Read and check a friends.toml. Raises ConfigError with the line of the first mistake."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(path, None, f"cannot read this file: {reason}.") from error
    return parse(text, path)


def parse(text: str, path: Path) -> list[Friend]:
    """Check the text of a friends.toml; path is only named in errors. Raises ConfigError."""
    data = read_toml(text, path)
    for name, content in data.items():
        if name != "friend" or not isinstance(content, list):
            message = f"{name} is not a friend entry."
            line = locate(text, name) or locate(text, "", name)
            raise ConfigError(path, line, message, 'Write [[friend]], then name = "anna" and ip = "203.0.113.7"')
    entries = data.get("friend", [])
    friends = [_friend(entry, number, text, path) for number, entry in enumerate(entries)]
    _refuse_duplicates(friends, path)
    return friends


def network(value: str) -> Network:
    """Return what an address or prefix stands for. Raises ValueError with a sentence that says what to write."""
    if "/" not in value:
        address = _address(value)
        return ipaddress.ip_network((address, 64), strict=False) if address.version == 6 else _one(address)
    try:
        found = ipaddress.ip_network(value.strip(), strict=False)
    except ValueError:
        raise ValueError(f'"{value}" is not an address or prefix. Write it like 203.0.113.0/24') from None
    if found.prefixlen < WIDEST[found.version]:
        raise ValueError(f'"{value}" lets in {found.num_addresses:,} addresses. Write the addresses of your friends')
    if str(found.network_address) != str(_address(value.partition("/")[0])):
        raise ValueError(f'"{value}" is an address inside a prefix. Write {found} for all of it, or leave out the /')
    _refuse_special(found, value)
    return found


def _address(value: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        address = ipaddress.ip_address(value.strip())
    except ValueError:
        raise ValueError(f'"{value}" is not an IP address. Write it like 203.0.113.7 or 2001:db8::7') from None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    _refuse_special(_one(address), value)
    return address


def _one(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> Network:
    return ipaddress.ip_network((address, address.max_prefixlen))


def _refuse_special(found: Network, value: str) -> None:
    if found.is_multicast or found.is_unspecified:
        raise ValueError(f"\"{value}\" is nobody's address. Write the address your friend's network has")


def _friend(entry: dict[str, Any], number: int, text: str, path: Path) -> Friend:
    def error(key: str | None, message: str, fix: str = "") -> ConfigError:
        line = (key and locate(text, "friend", key, number)) or locate(text, "friend", None, number)
        return ConfigError(path, line, message, fix)

    if not isinstance(entry, dict):
        raise error(None, "a friend is a table.", 'Write [[friend]], then name = "anna" and ip = "203.0.113.7"')
    for key in entry:
        if key not in KEYS:
            raise error(key, f"a friend has no {key}.", f"It may have: {', '.join(KEYS)}.")
    name, note = entry.get("name"), entry.get("note", "")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name != name.strip():
        raise error("name", "each friend needs a name of 1 to 64 characters, without quotes or '#'.")
    if not isinstance(note, str):
        raise error("note", f"{name}'s note must be text in quotes.")
    return Friend(name, tuple(_networks(entry, name, error)), locate(text, "friend", None, number) or 1, note)


def _networks(entry: dict[str, Any], name: str, error: Any) -> list[Network]:
    value = entry.get("ip")
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not values or not all(isinstance(item, str) for item in values):
        raise error("ip", f"{name} needs an address.", 'Write ip = "203.0.113.7" or a list of addresses in quotes.')
    found = []
    for item in values:
        try:
            found.append(network(item))
        except ValueError as problem:
            raise error("ip", f"{name}: {problem}.") from None
    return found


def _refuse_duplicates(friends: list[Friend], path: Path) -> None:
    lines: dict[str, int] = {}
    for friend in friends:
        if friend.name in lines:
            message = f"{friend.name} stands here and on line {lines[friend.name]}."
            raise ConfigError(path, friend.line, message, "Give all of a friend's addresses in one entry.")
        lines[friend.name] = friend.line
