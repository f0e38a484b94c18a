"""friends.toml: the people who may connect, each with addresses, DNS names, or both.

    [[friend]]
    name = "anna"
    ip = ["203.0.113.7", "2001:db8:1:2::/64"]
    dns = "anna.example.org"
    until = "2026-12-24 23:00"
    note = "plays on Fridays"

A single IPv6 address stands for its /64: a household has one, and privacy addresses change within it every day.
`until` without an offset is local time of the machine that reads the file; `pinned` writes the offset down.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relay.addresses import Network
from relay.gate.policy import dns_names, expiry
from relay.tomlfile import ConfigError, locate, read, read_toml

KEYS = ("name", "ip", "dns", "until", "note")
# From so many addresses on, which an IPv4 /12 has, a prefix is not a person's: it would open the relay to millions.
# IPv6 is counted in households, of a /64 each.
REFUSED = 2**20
HOUSEHOLD = 64
# What no player can come from: the host itself, one wire, everybody, nobody (RFC 6890, RFC 4291).
_NOBODYS = (
    ("0.0.0.0/8", "is the address of nobody"),
    ("127.0.0.0/8", "is loopback: every machine calls itself that"),
    ("169.254.0.0/16", "is link-local: a machine without an address makes one up"),
    ("224.0.0.0/4", "is multicast: nobody comes from there"),
    ("255.255.255.255/32", "is broadcast: nobody comes from there"),
    ("240.0.0.0/4", "is reserved: nobody comes from there"),
    ("::/128", "is the address of nobody"),
    ("::1/128", "is loopback: every machine calls itself that"),
    ("fe80::/10", "is link-local: every network has the same ones"),
    ("ff00::/8", "is multicast: nobody comes from there"),
)
NOBODYS = tuple((ipaddress.ip_network(text), why) for text, why in _NOBODYS)
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
# An assignment to until on a line of its own: what stands before the value, and the value (text, or a TOML date).
_UNTIL = re.compile(
    r"""(\s*["']?until["']?\s*=\s*)(?:"[^"\n]*"(?!")|'[^'\n]*'(?!')|\d[\d:.TtZz+-]*(?: \d[\d:.Zz+-]*)?)"""
)
_HEADER = re.compile(r"\s*\[\[?\s*friend\s*\]\]?")
_KEY = re.compile(r"\s*[\"']?(\w+)[\"']?\s*[.=]")
# What may hold text that looks like a line of the file: strings (the ones over several lines first) and comments.
_OPAQUE = re.compile(r""""{3}(?:\\.|[^\\])*?"{3,5}|'{3}.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|\#[^\n]*""", re.DOTALL)
_NAME = re.compile(r"[^\"\\#]{1,64}")


@dataclass(frozen=True, slots=True)
class Friend:
    """One person.

    addresses are networks without host bits (a single IPv6 as /64), names are DNS names, until is in seconds since
    1970 (None: for good), line is where the entry starts, lines where each of its keys stands.
    """

    name: str
    addresses: tuple[Network, ...]
    line: int
    note: str = ""
    names: tuple[str, ...] = ()
    until: int | None = None
    lines: Mapping[str, int] = field(default_factory=dict, compare=False)


def load(path: Path) -> list[Friend]:
    """Read and check a friends.toml. Raises ConfigError with the line of the first mistake."""
    return parse(read(path), path)


def parse(text: str, path: Path) -> list[Friend]:
    """Check the text of a friends.toml; path is only named in errors. Raises ConfigError."""
    data = read_toml(text, path)
    for name, content in data.items():
        if name != "friend" or not isinstance(content, list):
            message = f"{name} is not a friend entry."
            line = locate(text, name) or locate(text, "", name)
            raise ConfigError(path, line, message, 'Write [[friend]], then name = "anna" and ip = "203.0.113.7"')
    entries = data.get("friend", [])
    stands = _Stands(text)
    friends = [_friend(entry, stands.entry(number), path) for number, entry in enumerate(entries)]
    _refuse_duplicates(friends, path)
    return friends


def refuse_expired(friends: Sequence[Friend], now: float, path: Path) -> None:
    """Raise ConfigError for the first friend whose time is over: a list that is pushed must mean what it says."""
    for friend in friends:
        if friend.until is not None and friend.until <= now:
            message = f"{friend.name}'s entry ended on {expiry.shown(friend.until)}."
            line = friend.lines.get("until", friend.line)
            raise ConfigError(path, line, message, "Write a later time, take the line out, or remove the friend.")


def pinned(text: str, path: Path, found: Sequence[Friend] | None = None) -> str:
    """Return a friends.toml, line for line, whose local times have their offset: it means the same on every machine.

    found: the friends in it, if known. Raises ConfigError for a file with a mistake, and for a local time that
    is not on a line of its own.
    """
    lines = text.split("\n")
    for friend in parse(text, path) if found is None else found:
        line = friend.lines.get("until")
        if friend.until is None:
            continue
        match = _UNTIL.match(lines[line - 1]) if line else None
        if line is None or not match:
            message = f"{friend.name}'s time cannot be read by another machine."
            raise ConfigError(path, line or friend.line, message, f'Write until = "{expiry.written(friend.until)}"')
        lines[line - 1] = f'{match[1]}"{expiry.written(friend.until)}"{lines[line - 1][match.end() :]}'
    return "\n".join(lines)


def _without_inner_lines(text: str) -> list[str]:
    """Return the lines of a valid file as TOML counts them, without the text of strings that span several lines."""

    def blank(match: re.Match[str]) -> str:
        return "\n" * match[0].count("\n") if "\n" in match[0] else match[0]

    return _OPAQUE.sub(blank, text).split("\n")


def network(value: str) -> Network:
    """Return what an address or prefix stands for. Raises ValueError with a sentence that says what to write."""
    # Which wire a link-local address is on, is said behind "%"; it is refused as what it is.
    text = value.strip().partition("%")[0] if ":" in value else value.strip()
    found = _prefix(text, value) if "/" in text else _household(_address(text, value))
    _refuse_special(found, value)
    if (count := households(found)) >= REFUSED:
        what = "addresses" if found.version == 4 else f"households (/{HOUSEHOLD} each)"
        raise ValueError(f'"{value}" lets in {count:,} {what}. Write the addresses of your friends')
    return found


def households(found: Network) -> int:
    """Return how many people's addresses a network holds: IPv4 addresses, or /64s of IPv6."""
    return 1 << max(0, (found.max_prefixlen if found.version == 4 else HOUSEHOLD) - found.prefixlen)


def _prefix(text: str, value: str) -> Network:
    try:
        found: Network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f'"{value}" is not an address or prefix. Write it like 203.0.113.0/24') from None
    if found.network_address != ipaddress.ip_address(text.partition("/")[0]):
        raise ValueError(f'"{value}" is an address inside a prefix. Write {found} for all of it, or leave out the /')
    if isinstance(found, ipaddress.IPv6Network) and found.subnet_of(_MAPPED):
        return ipaddress.ip_network((found.network_address.ipv4_mapped or 0, found.prefixlen - _MAPPED.prefixlen))
    return found


def _address(text: str, value: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f'"{value}" is not an IP address. Write it like 203.0.113.7 or 2001:db8::7') from None
    return (address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None) or address


def _household(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> Network:
    """Return what a single address stands for. What nobody comes from stays alone, and is refused as what it is."""
    one = ipaddress.ip_network((address, address.max_prefixlen))
    return one if address.version == 4 or _nobodys(one) else ipaddress.ip_network((address, HOUSEHOLD), strict=False)


def _nobodys(found: Network) -> str:
    """Return why nobody can come from a network, or a part of it; "" for any other."""
    return next((why for nobodys, why in NOBODYS if nobodys.version == found.version and found.overlaps(nobodys)), "")


def _refuse_special(found: Network, value: str) -> None:
    # What is far too wide holds some of these, too; there its size says more.
    if households(found) < REFUSED and (why := _nobodys(found)):
        raise ValueError(f'"{value}" {why}. Write the address that a what-is-my-ip site shows your friend')


class _Stands:
    """Where each entry and its keys stand, by one pass over the file: a list may be long."""

    def __init__(self, text: str) -> None:
        self._entries: list[dict[str, int]] = []
        inside = False
        for number, line in enumerate(_without_inner_lines(text), start=1):
            if _HEADER.match(line):
                self._entries.append({"": number})
                inside = True
            elif line.lstrip().startswith("["):
                inside = False
            elif inside and (match := _KEY.match(line)):
                self._entries[-1].setdefault(match[1], number)

    def entry(self, number: int) -> dict[str, int]:
        """Return the lines (from 1) of an entry's keys, that of its header under ""; entries count from 0."""
        # What is written in another way (friend = [{...}]) is right too, and stands somewhere.
        return self._entries[number] if number < len(self._entries) else {"": 1}


def _friend(entry: dict[str, Any], lines: dict[str, int], path: Path) -> Friend:
    def error(key: str | None, message: str, fix: str = "") -> ConfigError:
        return ConfigError(path, lines.get(key or "", lines[""]), message, fix)

    if not isinstance(entry, dict):
        raise error(None, "a friend is a table.", 'Write [[friend]], then name = "anna" and ip = "203.0.113.7"')
    for key in entry:
        if key not in KEYS:
            raise error(key, f"a friend has no {key}.", f"It may have: {', '.join(KEYS)}.")
    name, note = entry.get("name"), entry.get("note", "")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name != name.strip() or not name.isprintable():
        raise error("name", "each friend needs a name of 1 to 64 characters, without quotes or '#'.")
    if not isinstance(note, str):
        raise error("note", f"{name}'s note must be text in quotes.")
    if "ip" not in entry and "dns" not in entry:
        raise error("ip", f"{name} needs an address.", 'Write ip = "203.0.113.7", or dns = "anna.example.org"')
    addresses = _each(entry, "ip", name, network, error)
    names = _each(entry, "dns", name, dns_names.parse, error)
    return Friend(name, tuple(addresses), lines[""], note, tuple(names), _until(entry, name, error), lines)


def _each(entry: dict[str, Any], key: str, name: str, read: Callable[[str], Any], error: Any) -> list[Any]:
    """Return what each text under a key stands for, once each."""
    value = entry.get(key, [])
    values = [value] if isinstance(value, str) else value
    if (
        not isinstance(values, list)
        or not all(isinstance(item, str) for item in values)
        or (key in entry and not values)
    ):
        what, example = ("an address", "203.0.113.7") if key == "ip" else ("a DNS name", "anna.example.org")
        raise error(key, f"{name} needs {what}.", f'Write {key} = "{example}", or a list of such in quotes.')
    found = []
    for item in values:
        try:
            found.append(read(item))
        except ValueError as problem:
            raise _told(error, key, name, problem) from None
    return list(dict.fromkeys(found))


def _told(error: Any, key: str, name: str, problem: ValueError) -> ConfigError:
    """Return the error for a sentence about a value: what is wrong, then what to write."""
    message, _, fix = str(problem).rstrip(".").partition(". ")
    found: ConfigError = error(key, f"{name}: {message}.", fix and f"{fix}.")
    return found


def _until(entry: dict[str, Any], name: str, error: Any) -> int | None:
    if "until" not in entry:
        return None
    try:
        return expiry.parse(entry["until"])
    except ValueError as problem:
        raise _told(error, "until", name, problem) from None


def _refuse_duplicates(friends: list[Friend], path: Path) -> None:
    lines: dict[str, int] = {}
    for friend in friends:
        if friend.name in lines:
            message = f"{friend.name} is here and on line {lines[friend.name]}."
            raise ConfigError(path, friend.line, message, "Give all of a friend's addresses in one entry.")
        lines[friend.name] = friend.line
