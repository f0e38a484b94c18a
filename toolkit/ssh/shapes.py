"""The shapes that answers of hosts have: what is not of its shape is refused, what is comes out safe to show.

A host may be broken into, or have a release that nobody here knows. Each shape takes a value out of JSON and where it
stood, returns the value with every text in it cleaned (toolkit/printable.py), and raises WrongShapeError otherwise.
Keys that a shape does not name are kept, cleaned: a newer relay says more. None of them calls itself deeper than
DEEPEST.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from relay.protocol.tunnel import is_session_text
from toolkit import printable

Shape = Callable[[Any, str], Any]

DEEPEST = 40
LONGEST_LINE = 2000
LONGEST_TEXT = 1_000_000
MOST_ITEMS = 200_000
# The end of the year 9999, in seconds since 1970: the last moment that has a date here.
LAST_MOMENT = 253_402_214_400
LARGEST = 2**63


class WrongShapeError(ValueError):
    """An answer has a value that it may not have; the message says where."""


def wrong(where: str, wanted: str) -> WrongShapeError:
    """Return the error for a value that is not what is wanted there."""
    return WrongShapeError(f"{where.lstrip('.') or 'it'} is not {wanted}")


def line(value: Any, where: str) -> str:
    """Take a text for one line; cut where it is longer than LONGEST_LINE."""
    if not isinstance(value, str):
        raise wrong(where, "a text")
    return printable.line(value if len(value) <= LONGEST_LINE else f"{value[:LONGEST_LINE]}…")


def text(value: Any, where: str) -> str:
    """Take a text that may have several lines."""
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise wrong(where, f"a text of at most {LONGEST_TEXT} characters")
    return printable.lines(value)


def flag(value: Any, where: str) -> bool:
    """Take true or false."""
    if not isinstance(value, bool):
        raise wrong(where, "true or false")
    return value


def whole(low: int = -LARGEST, high: int = LARGEST, name: str = "") -> Shape:
    """Take a whole number from low to high; true is not 1."""

    def take(value: Any, where: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise wrong(where, name or f"a whole number from {low} to {high}")
        return value

    return take


def number(low: float = -1e15, high: float = 1e15) -> Shape:
    """Take a finite number from low to high."""

    def take(value: Any, where: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise wrong(where, "a number as it can be here")
        return value if math.isfinite(value) else 0.0

    return take


count = whole(0, name="a count")
port = whole(1, 65535, name="a port from 1 to 65535")
any_port = whole(0, 65535, name="a port from 0 to 65535")
seconds = number()
moment = number(0, LAST_MOMENT)
whole_moment = whole(0, LAST_MOMENT, name="a moment in seconds since 1970")


def session_id(value: Any, where: str) -> str:
    """Take a session's id: 16 characters of base64 (docs/protocol.md). People paste it into commands."""
    if not isinstance(value, str) or not is_session_text(value):
        raise wrong(where, "the id of a session, 16 characters of base64")
    return value


def some_session_id(value: Any, where: str) -> str:
    """Take a session's id, or "" where there is none."""
    return "" if value == "" else session_id(value, where)


def address(value: Any, where: str) -> str:
    """Take an IPv4 or IPv6 address."""
    return _parsed(value, where, ipaddress.ip_address, "an address")


def some_address(value: Any, where: str) -> str:
    """Take an address, or "" where there is none."""
    return "" if value == "" else address(value, where)


def network(value: Any, where: str) -> str:
    """Take a network such as 203.0.113.7/32."""
    return _parsed(value, where, ipaddress.ip_network, "a network")


def _parsed(value: Any, where: str, parse: Callable[[str], object], what: str) -> str:
    try:
        if not isinstance(value, str):
            raise wrong(where, what)
        parse(value)
    except ValueError:
        raise wrong(where, what) from None
    return printable.line(value)  # the zone of a link-local address may be any text


def matching(pattern: str, what: str) -> Shape:
    """Take a text that a pattern fits, whole."""
    compiled = re.compile(pattern)

    def take(value: Any, where: str) -> str:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise wrong(where, what)
        return value

    return take


def or_null(shape: Shape) -> Shape:
    """Take null or what shape takes."""
    return lambda value, where: None if value is None else shape(value, where)


def either(*shapes: Shape) -> Shape:
    """Take what the first of the shapes that can takes."""

    def take(value: Any, where: str) -> Any:
        for shape in shapes[:-1]:
            try:
                return shape(value, where)
            except WrongShapeError:
                continue
        return shapes[-1](value, where)

    return take


def each(shape: Shape, most: int = MOST_ITEMS) -> Shape:
    """Take a list of what shape takes."""

    def take(value: Any, where: str) -> list[Any]:
        if not isinstance(value, list) or len(value) > most:
            raise wrong(where, f"a list of at most {most}")
        return [shape(item, f"{where}[{place}]") for place, item in enumerate(value)]

    return take


def table(shape: Shape, most: int = MOST_ITEMS) -> Shape:
    """Take an object whose keys are any names, and whose values are what shape takes."""

    def take(value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, dict) or len(value) > most:
            raise wrong(where, f"an object with at most {most} names")
        return {line(key, where): shape(item, _below(where, key)) for key, item in value.items()}

    return take


def record(needed: Mapping[str, Shape], known: Mapping[str, Shape] | None = None) -> Shape:
    """Take an object that has the keys of needed, and where it has those of known, in their shapes."""
    shapes = {**needed, **(known or {})}

    def take(value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise wrong(where, "an object")
        if missing := [key for key in needed if key not in value]:
            raise WrongShapeError(f"{_below(where, missing[0]).lstrip('.')} is missing")
        return {
            line(key, where): shapes[key](item, _below(where, key))
            if key in shapes
            else anything(item, _below(where, key))
            for key, item in value.items()
        }

    return take


def by_key(key: str, kinds: Mapping[str, Shape]) -> Shape:
    """Take an object whose shape depends on what one of its keys says; of another kind, anything."""

    def take(value: Any, where: str) -> Any:
        found = record({key: line})(value, where)
        return kinds[found[key]](value, where) if found[key] in kinds else found

    return take


def anything(value: Any, where: str, depth: int = 0) -> Any:
    """Take whatever JSON can hold, cleaned; nested no deeper than DEEPEST."""
    if depth > DEEPEST:
        raise wrong(where, f"nested less than {DEEPEST} deep")
    if isinstance(value, str):
        return printable.lines(value)
    if isinstance(value, list):
        return [anything(item, where, depth + 1) for item in value]
    if isinstance(value, dict):
        return {line(key, where): anything(item, _below(where, key), depth + 1) for key, item in value.items()}
    if isinstance(value, float):
        return number()(value, where)
    if isinstance(value, int) and not isinstance(value, bool):
        return whole()(value, where)
    return value


def _below(where: str, key: str) -> str:
    return f"{where}.{printable.line(key)[:40]}"
