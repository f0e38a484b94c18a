"""When an entry ends: what people write, and the sentence for everything else."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest

from relay.gate.policy import expiry


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def seconds(*words: int) -> int:
    return int(datetime(*words, tzinfo=UTC).timestamp())  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-12-24 23:00", seconds(2026, 12, 24, 22)),
        ("2026-07-24 23:00", seconds(2026, 7, 24, 21)),
        ("2026-12-24T23:00:30", seconds(2026, 12, 24, 22, 0, 30)),
        ("2026-12-24 23:00+00:00", seconds(2026, 12, 24, 23)),
        ("2026-12-24 23:00Z", seconds(2026, 12, 24, 23)),
        (" 2026-12-24 23:00-05:00 ", seconds(2026, 12, 25, 4)),
        (datetime(2026, 12, 24, 23), seconds(2026, 12, 24, 22)),
        (datetime(2026, 12, 24, 23, tzinfo=UTC), seconds(2026, 12, 24, 23)),
    ],
)
def test_a_time_without_an_offset_is_local(written: object, meant: int) -> None:
    assert expiry.parse(written) == meant


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("12h", "let `invoke friends.add NAME --for 12h` write it"),
        ("1d 12h", "--for 1d 12h"),
        ("tomorrow", '"tomorrow" is not a date and a time. Write it like "2026-12-24 23:00"'),
        ("2026-12-24", "has no hour"),
        (date(2026, 12, 24), "It is a day without an hour"),
        ("2026-13-24 23:00", "is not a date and a time"),
        (12, "must be a date and a time"),
        (True, "must be a date and a time"),
        (datetime(1, 1, 1), "a year nobody will see"),
    ],
)
def test_everything_else_is_a_sentence(written: object, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        expiry.parse(written)


@pytest.mark.parametrize(
    ("text", "meant"), [("12h", 43200), ("90m", 5400), ("2d", 172800), ("1w", 604800), ("1h30m", 5400), (" 5 s ", 5)]
)
def test_a_length_of_time(text: str, meant: int) -> None:
    assert expiry.duration(text) == meant


@pytest.mark.parametrize("text", ["", "12", "h", "0h", "-1h", "1y", "999999w", "12h x", "1.5h"])
def test_what_is_no_length_of_time(text: str) -> None:
    with pytest.raises(ValueError, match="Write it like 12h, 2d or 1h30m"):
        expiry.duration(text)


def test_what_is_written_down_means_the_same_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = seconds(2026, 12, 24, 22)
    text = expiry.written(moment)
    assert text == "2026-12-24 23:00:00+01:00"
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    assert expiry.parse(text) == moment


@pytest.mark.parametrize(
    ("left", "text"), [(0, "0s"), (59.9, "59s"), (60, "1m"), (3660, "1h 1m"), (90061, "1d 1h"), (-5, "0s")]
)
def test_what_remains_is_shown_in_two_units(left: float, text: str) -> None:
    assert expiry.remaining(left) == text
