"""The program speaks UTF-8 whatever language its host is set to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
CODE = "import sys; from relay import entry; entry.speak_utf8(); print(sys.flags.utf8_mode, sys.argv[1])"


@pytest.mark.parametrize("options", [[], ["-X", "utf8"]])
def test_a_name_is_read_and_printed_in_a_language_that_has_no_signs_for_it(options: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *options, "-c", CODE, "日本"],
        capture_output=True, check=True, timeout=60, cwd=Path(__file__).parents[3], env={**os.environ, **ASCII},
    )  # fmt: skip
    assert done.stdout.decode() == "1 日本\n"


def test_who_chose_otherwise_is_left_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-c", CODE, "a"],
        capture_output=True, check=True, timeout=60, cwd=Path(__file__).parents[3], env={**os.environ, **ASCII},
    )  # fmt: skip
    assert done.stdout.decode() == "0 a\n"
