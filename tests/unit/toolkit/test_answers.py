"""An answer of the host is told from what the login prints before it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from toolkit.ssh import answers

STATE: dict[str, Any] = {"clients": [{"nick": "a{b"}, {"nick": "[c"}], "rooms": {"x": []}, "none": {}}
GREETINGS = ["", "Welcome\n", "\n\n", "{welcome}\n[ok]\n", "no end: ", '{"a": 1}\n']


@pytest.mark.parametrize("greeting", GREETINGS)
@pytest.mark.parametrize("indent", [None, 2])
def test_an_object_is_found_whole(greeting: str, indent: int | None) -> None:
    assert answers.find(f"{greeting}{json.dumps(STATE, indent=indent)}\n") == STATE


@pytest.mark.parametrize("found", [[], [STATE], [[1], [2]]])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_list_is_found_whole(found: list[Any], indent: int | None) -> None:
    assert answers.find(f"Welcome, {{you}}\n{json.dumps(found, indent=indent)}\n", list) == found


@pytest.mark.parametrize("text", ["", "Welcome\n", "[1]\n", '{"a": 1}\nand then it broke off', '{"a": ', "Welcome {}!"])
def test_what_is_no_answer_is_none(text: str) -> None:
    assert answers.find(text) is None
