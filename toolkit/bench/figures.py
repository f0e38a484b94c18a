"""From single measurements to what is printed: medians, spreads, and ratios formed within a round."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Figure:
    """The median of some measurements, the least and the most of them, and how many they were."""

    median: float
    low: float
    high: float
    count: int


def figure(values: Iterable[float]) -> Figure | None:
    """Return the figure of some values; None of none."""
    sample = list(values)
    if not sample:
        return None
    return Figure(statistics.median(sample), min(sample), max(sample), len(sample))


def ratio(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Figure | None:
    """Return the figure of the ratios within each round that both have; both are values by round.

    Two measurements of one round are minutes closer than two of different rounds: what the machine did meanwhile
    falls out of a ratio, and not out of a ratio of medians.
    """
    return figure(ours[turn] / theirs[turn] for turn in sorted(ours.keys() & theirs.keys()) if theirs[turn])


def shown(value: float, digits: int = 3) -> str:
    """Return a number with about three digits that count: 1.23, 12.3, 123, 1,234; a whole one as it is."""
    if isinstance(value, int):
        return f"{value:,}"
    size = abs(value)
    decimals = max(digits - len(str(int(size))), 0) if size >= 1 else digits - 1
    return f"{value:,.{decimals}f}"


def with_spread(figure: Figure | None, digits: int = 3) -> str:
    """Return "median [low..high]"; a dash for no figure, and no spread for a single measurement."""
    if figure is None:
        return "-"
    if figure.count == 1:
        return shown(figure.median, digits)
    return f"{shown(figure.median, digits)} [{shown(figure.low, digits)}..{shown(figure.high, digits)}]"
