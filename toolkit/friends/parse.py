"""Friends as their owner types them and writes them down: read, checked, and refused with a sentence."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from relay.gate.policy import dns_names, expiry
from relay.gate.policy import friends as gate
from relay.tomlfile import ConfigError
from toolkit.errors import UserError


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


def check_name(name: str, text: str) -> None:
    """Raise UserError when the DNS name typed for a friend can be none."""
    try:
        dns_names.parse(text)
    except ValueError as problem:
        raise UserError(f"the DNS name of {name}: {problem}", fix="Write it like --dns anna.example.org") from None


def parse_end(length: str | None, until: str | None, now: float) -> int | None:
    """Return when an entry ends, by --for or --until as typed; None for neither. Raises UserError.

    now and what is returned are seconds since 1970.
    """
    if length and until:
        raise UserError("--for and --until were both given", fix="Give one of them.")
    try:
        end = int(now) + expiry.duration(length) if length else expiry.parse(until) if until else None
    except ValueError as problem:
        option = "--for" if length else "--until"
        raise UserError(f"{option}: {problem}", fix='Write --for 12h, or --until "2026-12-24 23:00"') from None
    if end is not None and end <= now:
        raise UserError(f"--until {until} is over: it is {expiry.shown(int(now))} here", fix="Give a later time.")
    return end


def parse(text: str, path: Path) -> list[gate.Friend]:
    """Check the text of a friends.toml; path names it in errors. Raises UserError.

    One command asks several times about the same text: it is parsed once.
    """
    try:
        return list(_parsed(text, path))
    except ConfigError as error:
        raise as_user_error(error) from None


@lru_cache(maxsize=8)
def _parsed(text: str, path: Path) -> tuple[gate.Friend, ...]:
    return tuple(gate.parse(text, path))
