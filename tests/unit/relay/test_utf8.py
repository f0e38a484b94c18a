"""The program speaks UTF-8 whatever language its host is set to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import locales
from tests.support.needs import lack

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
ROOT = Path(__file__).parents[3]
GATE = "import sys; from relay.__main__ import main; sys.exit(main())"
CODE = "import sys; from relay.__main__ import speak_utf8; speak_utf8(); print(sys.flags.utf8_mode, sys.argv[1])"


@pytest.mark.parametrize("options", [[], ["-X", "utf8"]])
def test_a_name_is_read_and_printed_in_a_language_that_has_no_signs_for_it(options: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *options, "-c", CODE, "日本"],
        capture_output=True, check=True, timeout=60, cwd=Path(__file__).parents[3], env={**os.environ, **ASCII},
    )  # fmt: skip
    assert done.stdout.decode() == "1 日本\n"


@pytest.fixture(scope="module")
def japanese(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Give an environment in such a language."""
    return locales.japanese(tmp_path_factory.mktemp("locales"))


def test_every_name_comes_through_in_a_language_of_two_bytes(japanese: dict[str, str]) -> None:
    """The C library and Python do not agree on how that language is written: some names had no bytes any more."""
    letters = [chr(code) for code in range(0x80, 0x10000, 7) if not 0xD800 <= code < 0xE000]
    for name in ("日本", "\uff41\uff5e\uffe5", "".join(letters), "", "é"):
        done = subprocess.run(
            [sys.executable, "-c", CODE, name],
            capture_output=True, check=False, timeout=60, cwd=ROOT, env={**os.environ, **japanese},
        )  # fmt: skip
        assert done.stdout.decode() == f"1 {name}\n", done.stderr.decode()


def test_the_gate_knows_a_friend_by_name_in_a_language_of_two_bytes(japanese: dict[str, str], tmp_path: Path) -> None:
    if os.geteuid() != 0:
        lack("the gate is for root")
    (tmp_path / "日本").mkdir()
    friends = '[[friend]]\nname = "日本"\nip = "203.0.113.7"\n'
    (tmp_path / "日本" / "friends.toml").write_text(friends, encoding="utf-8")
    gate = ["-c", GATE, "gate", "--config-dir", str(tmp_path / "日本"), "--state-dir", str(tmp_path / "state")]
    for words, said in (
        (["check", "日本"], "日本"),
        (["status"], "203.0.113.7/32  日本, for good"),
        (["check", "大阪"], "大阪"),
        (["apply", "--check", "--friends", str(tmp_path / "大阪.toml")], "大阪.toml"),
    ):
        done = subprocess.run(
            [sys.executable, *gate, *words],
            capture_output=True, check=False, timeout=60, cwd=ROOT, env={**os.environ, **japanese},
        )  # fmt: skip
        answer = (done.stdout + done.stderr).decode()
        assert said in answer
        assert "Traceback" not in answer


def test_who_chose_otherwise_is_left_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-c", CODE, "a"],
        capture_output=True, check=True, timeout=60, cwd=Path(__file__).parents[3], env={**os.environ, **ASCII},
    )  # fmt: skip
    assert done.stdout.decode() == "0 a\n"
