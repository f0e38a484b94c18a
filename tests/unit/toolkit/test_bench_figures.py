"""Medians, spreads, ratios within a round, and how numbers are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.bench.figures import Figure, figure, ratio, shown, with_spread


def test_a_figure_is_the_median_with_the_least_and_the_most() -> None:
    assert figure([5, 1, 9]) == Figure(5, 1, 9, 3)


def test_there_is_no_figure_of_nothing() -> None:
    assert figure([]) is None


def test_a_ratio_is_formed_within_each_round_before_the_median() -> None:
    # The machine was twice as slow in round 1: a ratio of medians would say 1.5.
    ours, theirs = {0: 10.0, 1: 30.0, 2: 10.0}, {0: 10.0, 1: 30.0, 2: 5.0}
    assert ratio(ours, theirs) == Figure(1.0, 1.0, 2.0, 3)


def test_a_round_that_only_one_of_the_two_has_is_left_out() -> None:
    assert ratio({0: 3.0, 1: 8.0}, {1: 4.0, 2: 1.0}) == Figure(2.0, 2.0, 2.0, 1)


def test_nothing_is_divided_by_zero() -> None:
    assert ratio({0: 3.0}, {0: 0.0}) is None


@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=9))
def test_a_median_lies_within_its_spread(values: list[float]) -> None:
    found = figure(values)
    assert found is not None
    assert found.low <= found.median <= found.high


@given(st.dictionaries(st.integers(0, 9), st.floats(0.001, 1e6), min_size=1))
def test_everything_is_as_fast_as_itself(values: dict[int, float]) -> None:
    assert ratio(values, values) == Figure(1.0, 1.0, 1.0, len(values))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.234, "1.23"),
        (12.34, "12.3"),
        (123.4, "123"),
        (1234.5, "1,234"),
        (0.1234, "0.12"),
        (0.0, "0.00"),
        (895, "895"),
    ],
)
def test_numbers_have_three_digits_that_count(value: float, text: str) -> None:
    assert shown(value) == text


def test_a_figure_is_written_with_its_spread() -> None:
    assert with_spread(Figure(13.2, 12.1, 15.0, 5)) == "13.2 [12.1..15.0]"


def test_a_single_measurement_has_no_spread_and_no_measurement_is_a_dash() -> None:
    assert with_spread(Figure(13.2, 13.2, 13.2, 1)) == "13.2"
    assert with_spread(None) == "-"
