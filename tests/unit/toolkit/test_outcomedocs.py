"""docs/outcomes.md says what the code says."""

from __future__ import annotations

from toolkit.dev.outcome_docs import PAGE, page


def test_the_page_of_outcomes_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: .venv/bin/python -m toolkit.dev.outcome_docs"
