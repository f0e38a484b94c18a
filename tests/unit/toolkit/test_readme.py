"""What the README tells people to type is there, and what it points to exists."""

from __future__ import annotations

import re

import pytest

from tasks import ns
from toolkit import errors
from toolkit.console import ROOT

README = (ROOT / "README.md").read_text()


def test_every_task_it_names_exists() -> None:
    lines = re.findall(r"\./bootstrap ([a-z. |]+)", README)
    named = {word for line in lines for word in re.split(r"[ |]+", line.strip())}
    tasks = {word for word in named if "." in word or word in {"deploy", "test"}}
    assert {"deploy", "test", "lab.up", "lab.down", "friends.add"} <= tasks
    assert tasks <= set(ns.task_names)


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md"])
def test_every_file_it_points_to_is_there(name: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / name).read_text())
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_exit_codes_are_the_real_ones() -> None:
    told = [int(number) for number in re.findall(r"\b([2-7]) (?:for|when)", README)]
    assert told == [
        errors.BAD_INPUT,
        errors.HOST_UNUSABLE,
        errors.PREFLIGHT_REFUSED,
        errors.DEPLOY_FAILED,
        errors.PROOF_FAILED,
        errors.ROLLED_BACK,
    ]
