"""Running the host's programs: what they print is text, whatever bytes it is."""

from __future__ import annotations

import pytest

from relay.gate.programs import ProgramError, Programs


def test_what_is_no_text_in_a_listing_costs_a_character_and_not_the_listing() -> None:
    """Iptables takes any bytes as the comment of a rule, and prints them."""
    assert Programs().run(["printf", "B\\374ro -A INPUT -j DROP"]) == "B\ufffdro -A INPUT -j DROP"


def test_what_is_no_text_in_a_complaint_is_a_complaint_all_the_same() -> None:
    with pytest.raises(ProgramError, match="sh: no B\ufffdro"):
        Programs().run(["sh", "-c", "printf 'no B\\374ro' >&2; exit 1"])


def test_a_program_is_given_text_in_any_language() -> None:
    assert Programs().run(["cat"], "B\u00fcro\n") == "B\u00fcro\n"
