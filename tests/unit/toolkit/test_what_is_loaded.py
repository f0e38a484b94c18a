"""What a task loads before its work begins: a person waits for each module, at each friend that is let in."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from toolkit.console import ROOT

SLOW = {"ansible", "dns", "jinja2", "prometheus_client", "rich", "segno", "tomlkit"}
ADD = """
import sys
from pathlib import Path
import tasks
from toolkit.friends import parse as friends, commands as guests; from toolkit.hosts import last
from toolkit.friends.edit import FriendChange, wished
wished("", Path("friends.toml"), FriendChange("anna", ["192.0.2.1"], note="new"))
"""


def loaded(program: str) -> set[str]:
    """Return the names of the modules that a program has loaded at its end."""
    argv = [sys.executable, "-c", f"{program}\nimport sys\nprint(*sys.modules, sep='\\n')"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True, env={**os.environ})
    return {*done.stdout.splitlines()}


def test_a_new_friend_is_let_in_without_what_draws_edits_or_deploys() -> None:
    """Each of them takes about as long to load as all that is needed of ours."""
    assert loaded(ADD) & SLOW == set()


@pytest.mark.parametrize("program", [ADD, "import tasks", "from toolkit.lab import DEFAULT_SPEC"])
def test_of_the_lab_no_more_is_loaded_than_what_it_is_called(program: str) -> None:
    """All tasks know the default lab's name; few make a lab."""
    assert {name for name in loaded(program) if name.startswith("toolkit.lab")} == {"toolkit.lab", "toolkit.lab.spec"}


def test_the_lab_has_what_it_says_it_has_and_nothing_else() -> None:
    """Its names are loaded one by one, when they are asked for."""
    from toolkit import lab

    assert [name for name in lab.__all__ if getattr(lab, name, None) is None] == []
    with pytest.raises(AttributeError, match="has no attribute 'nobody'"):
        _ = lab.nobody  # type: ignore[attr-defined]
