"""The relay's own allowlist, when entries end: it fails closed, whoever rewrites it or not."""

from __future__ import annotations

import ipaddress
import math
from pathlib import Path

import pytest

from relay.allowlist import Allowlist, parse, render

ANNA = ipaddress.ip_address("203.0.113.7")


def test_a_line_whose_time_is_over_lets_nobody_in(tmp_path: Path) -> None:
    file = tmp_path / "allowlist"
    file.write_text("203.0.113.7 until=1000  # anna\n")
    now = [999.0]
    allowlist = Allowlist(file, lambda: now[0])
    assert allowlist.allows(ANNA, 0)
    now[0] = 1000.0
    assert not allowlist.allows(ANNA, 0.1), "by the clock, not by a new look at the file"


def test_the_later_of_two_lines_counts_whatever_their_width() -> None:
    assert parse("203.0.113.7 until=1000\n203.0.113.0/24 until=2000\n").until(ANNA) == 2000
    assert parse("203.0.113.7 until=1000\n203.0.113.7\n").until(ANNA) == math.inf
    assert parse("203.0.113.7\n203.0.113.7 until=1000\n").until(ANNA) == math.inf
    assert parse("203.0.113.8\n").until(ANNA) is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("203.0.113.7 until=tomorrow", "'until=tomorrow' is not until=SECONDS"),
        ("203.0.113.7 until=", "is not until=SECONDS"),
        ("203.0.113.7 for 5", "'for 5' is not until=SECONDS"),
        ("until=5 203.0.113.7", "is not until=SECONDS"),
        ("203.0.113.7 until=5 until=6", "is not until=SECONDS"),
    ],
)
def test_a_line_that_is_not_understood_lets_nobody_in(line: str, words: str) -> None:
    with pytest.raises(ValueError, match="line 2") as caught:
        parse(f"203.0.113.8\n{line}\n")
    assert words in str(caught.value)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    network = ipaddress.ip_network("2001:db8:1:2::/64")
    text = render([(ipaddress.ip_network("203.0.113.7/32"), None, "anna"), (network, 5, "ben, cleo")])
    assert text.splitlines()[1:] == ["203.0.113.7  # anna", "2001:db8:1:2::/64 until=5  # ben, cleo"]
    assert parse(text).until(network[5]) == 5
