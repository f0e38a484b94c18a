"""Tasks typed in a terminal whose language is not written in UTF-8: no traceback, and the right bytes in files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import locales
from tests.support.templates import ROOT

PRINT = """
import sys
sys.path.insert(0, sys.argv[1])
from toolkit import console
console.forgive()
console.say("日本 \U0001f600")
console.step("日本", "\\U0001f600")
print("\\U0001f600", file=sys.stderr)
"""


@pytest.fixture(scope="module")
def japanese(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return locales.japanese(tmp_path_factory.mktemp("locales"))


def run(environ: dict[str, str], *argv: str | bytes) -> tuple[int, str]:
    """Run Python in a language; return how it ended and what it printed, in that language's letters."""
    done = subprocess.run(
        [sys.executable, *argv],
        capture_output=True, check=False, timeout=120, cwd=ROOT, env={**os.environ, **environ},
    )  # fmt: skip
    said = (done.stdout + done.stderr).decode("euc_jp", "replace")
    assert "Traceback" not in said, said
    return done.returncode, said


def invoke(environ: dict[str, str], *words: str | bytes) -> tuple[int, str]:
    return run(environ, "-m", "invoke", *words)


def test_what_the_language_has_no_sign_for_ends_nothing(japanese: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "print.py").write_text(PRINT, encoding="utf-8")
    assert run(japanese, str(tmp_path / "print.py"), str(ROOT)) == (0, "日本 ?\n日本         ?\n?\n")


def test_a_template_in_utf8_is_read(japanese: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "srcpkgs" / "日本").mkdir(parents=True)
    text = "# Template file for 'x'\npkgname=x\nversion=1.0\nif 日本 \U0001f600; do\n"
    (tmp_path / "srcpkgs" / "日本" / "template").write_text(text, encoding="utf-8")
    code, said = invoke(japanese, "xbps.lint", str(tmp_path).encode())
    assert code == 1
    assert "pkgname" in said


def test_a_name_typed_in_that_language_is_written_in_utf8(japanese: dict[str, str], tmp_path: Path) -> None:
    maintainer = "日本 <a@example.org>"
    code, said = invoke(
        japanese, "xbps.template", "--out", str(tmp_path / "out"), "--maintainer", maintainer.encode("euc_jp")
    )
    assert code == 0, said
    template = tmp_path / "out" / "srcpkgs" / "netplay-relay" / "template"
    assert f'maintainer="{maintainer}"\n' in template.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "words", [("xbps.template", "--out", "none", "--maintainer", "日本 <a@b.c>"), ("join", "日本"), ("日本",)]
)
def test_a_name_typed_in_another_language_is_a_mistake_in_a_sentence(
    japanese: dict[str, str], words: tuple[str, ...]
) -> None:
    code, said = invoke(japanese, *(word.encode() for word in words))
    assert code == 2
    assert said.startswith("error: ")
