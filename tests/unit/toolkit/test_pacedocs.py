"""docs/troubleshooting.md has every case of why a game stutters, as relay/pace.py decides it."""

from __future__ import annotations

import pytest

from relay.pace import Cause
from toolkit.dev.pace_docs import PAGE, page, table


def test_the_table_of_cases_is_up_to_date() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(text), "write it anew: .venv/bin/python -m toolkit.dev.pace_docs"
    assert [line.split("`")[1] for line in table().splitlines()[2:]] == [cause.value for cause in Cause]


def test_a_page_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="0 places"):
        page("nothing")
