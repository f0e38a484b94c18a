"""Reading dataclasses back from JSON that anybody may have written over: what has another type is not ours. Pure."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

# The last second that calendars know (year 9999); no count of ours is larger either.
LARGEST = 253402300799

Kind = TypeVar("Kind")


def read(kind: type[Kind], held: Any) -> Kind:
    """Return a dataclass from what JSON holds of it; fields this release does not know are left out.

    A field may name, under "shape" of its metadata, the TypedDict (or a list of it) that it holds. Raises TypeError
    where a field has another type, or a number no clock and no count can have, and where one without a default is
    missing.
    """
    if not isinstance(held, Mapping):
        raise TypeError(f"{kind.__name__} is not a mapping")
    hints = typing.get_type_hints(kind)
    found = {}
    for item in dataclasses.fields(typing.cast(Any, kind)):
        if item.name in held:
            found[item.name] = _value(item.metadata.get("shape", hints[item.name]), held[item.name], item.name)
    return kind(**found)


def _value(hint: Any, value: Any, name: str) -> Any:
    """Return a value as the hint has it. Raises TypeError."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        (hint,) = [one for one in arguments if one is not type(None)]
        return _value(hint, value, name)
    if typing.is_typeddict(hint):
        fields = typing.get_type_hints(hint)
        if not isinstance(value, dict) or not set(fields) <= set(value):
            raise TypeError(f"{name} lacks a part")
        return {word: _value(kind, value[word], f"{name}.{word}") for word, kind in fields.items()}
    if origin is list and isinstance(value, list):
        return [_value(arguments[0], one, name) for one in value]
    if origin is dict and isinstance(value, dict):
        return {key: _value(arguments[1], one, name) for key, one in value.items()}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return read(hint, value)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if math.isfinite(value) and abs(value) <= LARGEST:
            return float(value)
    elif type(value) is hint and (not isinstance(value, int) or abs(value) <= LARGEST):
        return value
    raise TypeError(f"{name} is {value!r:.40}")
