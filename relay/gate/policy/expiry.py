"""When a friend's entry ends: the times a person writes, as seconds since 1970."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

EXAMPLE = '"2026-12-24 23:00"'
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_PART = re.compile(r"(\d{1,6})\s*([smhdw])")
# Long enough for everybody, short enough for every packet filter's arithmetic.
LONGEST = 10 * 366 * 86400


def parse(value: object) -> int:
    """Return when an entry ends, in seconds since 1970. Raises ValueError with a sentence that says what to write.

    value is what a TOML file holds: text or a date with time; without an offset it is local time of this machine.
    """
    if isinstance(value, str):
        value = _from_text(value.strip())
    if not isinstance(value, datetime):
        day = " It is a day without an hour." if isinstance(value, date) else ""
        raise ValueError(f"until must be a date and a time like {EXAMPLE}.{day}")
    try:
        return int(value.timestamp())
    except (OverflowError, ValueError, OSError):
        raise ValueError(f"until is a year nobody will see. Write a date and a time like {EXAMPLE}") from None


def _from_text(text: str) -> datetime:
    if is_duration(text):
        raise ValueError(
            f'until = "{text}" counts from no known moment. '
            f"Write the moment it ends, or let `invoke friends.add NAME --for {text}` write it"
        )
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f'until = "{text}" is not a date and a time. Write it like {EXAMPLE}') from None
    if not re.search(r"\d[T ]\d\d:?\d\d", text):
        raise ValueError(f'until = "{text}" has no hour. Write it like {EXAMPLE}')
    return found


def is_duration(text: str) -> bool:
    """Tell whether text is a length of time like 12h, 2d or 1h30m."""
    return bool(re.fullmatch(rf"(?:{_PART.pattern}\s*)+", text))


def duration(text: str) -> int:
    """Return a length of time like 12h, 90m, 2d or 1d12h in seconds. Raises ValueError with a sentence."""
    seconds = sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(text.strip()))
    if not is_duration(text.strip()) or not 0 < seconds <= LONGEST:
        raise ValueError(f'"{text}" is not a length of time up to ten years. Write it like 12h, 2d or 1h30m')
    return seconds


def written(until: int) -> str:
    """Return a moment as friends.toml should hold it: local time with its offset, which means the same everywhere."""
    return datetime.fromtimestamp(until, UTC).astimezone().isoformat(sep=" ", timespec="seconds")


def shown(until: int) -> str:
    """Return a moment for people: local time of this machine with its offset, to the minute."""
    return datetime.fromtimestamp(until, UTC).astimezone().strftime("%Y-%m-%d %H:%M %z")


def remaining(seconds: float) -> str:
    """Return a length of time for people, in its two largest units: '2d 3h', '14m', '50s'."""
    left, parts = max(0, int(seconds)), []
    for name, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{name}")
    return " ".join(parts[:2]) or "0s"
