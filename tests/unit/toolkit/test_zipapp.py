"""One release, one id: the same sources give the same bytes, wherever and whenever they are packed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from toolkit.console import ROOT
from toolkit.deploy import zipapp
from toolkit.errors import UserError

SYSTEM_PYTHON = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of the sources to change."""
    copy = tmp_path / "copy of the checkout"
    shutil.copytree(ROOT / "relay", copy / "relay", ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def built(folder: Path, checkout: Path) -> zipapp.Release:
    folder.mkdir()
    return zipapp.build(folder, checkout)


def test_two_copies_of_the_sources_give_the_same_bytes(
    tmp_path: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = built(tmp_path / "first", ROOT)
    for number, path in enumerate(sorted(checkout.rglob("*"), reverse=True)):
        path.chmod(0o700)
        os.utime(path, (number, number))
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    monkeypatch.chdir(tmp_path)
    before = os.umask(0o077)
    try:
        second = built(tmp_path / "second", checkout)
    finally:
        os.umask(before)
        monkeypatch.undo()
        time.tzset()
    assert second.path.read_bytes() == first.path.read_bytes()
    assert second.id == first.id


def test_what_is_no_source_does_not_get_in(tmp_path: Path, checkout: Path) -> None:
    (checkout / "relay" / "__pycache__").mkdir()
    (checkout / "relay" / "__pycache__" / "cli.cpython-311.pyc").write_bytes(b"x")
    (checkout / "relay" / "__pycache__" / "stray.py").write_text("x")
    (checkout / "relay" / "cli.py.orig").write_text("x")
    (checkout / "relay" / ".cli.py.swp").write_text("x")
    assert built(tmp_path / "built", checkout).id == built(tmp_path / "clean", ROOT).id


def test_one_changed_byte_is_another_release(tmp_path: Path, checkout: Path) -> None:
    with (checkout / "relay" / "cli.py").open("a") as source:
        source.write("\n")
    assert built(tmp_path / "built", checkout).id != built(tmp_path / "clean", ROOT).id


def test_it_holds_the_relay_and_nothing_else(tmp_path: Path) -> None:
    names = zipfile.ZipFile(built(tmp_path / "built", ROOT).path).namelist()
    assert {"__main__.py", "relay/cli.py", "relay/relay.toml", "relay/gate/policy/friends.py"} <= set(names)
    assert all(name.startswith("relay/") for name in names if name != "__main__.py")


def test_the_system_python_runs_it_alone(tmp_path: Path) -> None:
    release = built(tmp_path / "built", ROOT)
    settings = tmp_path / "relay.toml"
    settings.write_text("[listen]\nport = 1\n")
    done = subprocess.run(
        [SYSTEM_PYTHON, "-I", release.path, "check-config", settings],
        capture_output=True, text=True, check=False, timeout=30, cwd="/", env={},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    settings.write_text("[listen]\nport = 'x'\n")
    done = subprocess.run(
        [release.path, "check-config", settings],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        cwd="/",
        env={},
    )
    assert done.returncode == 2
    assert f"{settings}:2" in done.stderr


def test_a_checkout_without_a_whole_relay_is_refused(tmp_path: Path, checkout: Path) -> None:
    (checkout / "relay" / "cli.py").unlink()
    with pytest.raises(UserError, match=r"cli\.py is missing"):
        built(tmp_path / "built", checkout)
