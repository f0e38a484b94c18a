"""A release that was unpacked beside itself starts from there, and from nothing else that lies there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from toolkit.console import ROOT
from toolkit.deploy import zipapp

WHERE = "import runpy, sys; sys.argv[0:] = [sys.argv[1], '--version']\ntry:\n    runpy.run_path(sys.argv[0])\nexcept "
WHERE += "SystemExit:\n    print(sys.modules['relay.cli'].__file__)"


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return zipapp.build(tmp_path).path


def run(*words: object) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-I", *map(str, words)]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)


def origin(release: Path) -> str:
    """Return where the program takes its modules from."""
    return run("-c", WHERE, release).stdout.splitlines()[-1]


def unpacked(release: Path) -> Path:
    run(release, "unpack")
    (folder,) = release.parent.glob(f"{release.name}.*")
    return folder


def test_as_it_comes_it_runs_out_of_the_file(release: Path) -> None:
    assert origin(release) == f"{release}/relay/cli.py"


def test_unpacked_it_runs_out_of_the_folder_compiled(release: Path) -> None:
    folder = unpacked(release)
    assert origin(release) == f"{folder}/relay/cli.py"
    (compiled,) = (folder / "relay" / "__pycache__").glob("cli.*.pyc")
    assert compiled.read_bytes()[4:8] == b"\1\0\0\0", "its sources are not looked at"
    assert not list(release.parent.glob(".unpacking-*"))
    before = folder.stat().st_mtime_ns
    assert unpacked(release) == folder
    assert folder.stat().st_mtime_ns == before


@pytest.mark.parametrize("spoiled", ["relay/__main__.py", "relay/__pycache__/cli.*.pyc", "CONTENTS"])
def test_what_a_power_loss_has_damaged_is_unpacked_anew(release: Path, spoiled: str) -> None:
    folder = unpacked(release)
    (victim,) = folder.glob(spoiled)
    victim.write_bytes(victim.read_bytes()[:20])
    assert run(release, "unpack").stdout == f"unpacked into {folder}\n"
    assert run(release, "unpack").stdout == ""
    assert origin(release) == f"{folder}/relay/cli.py"
    assert {path.name for path in release.parent.iterdir()} == {release.name, folder.name}


def test_it_is_on_the_disk_before_it_has_its_name(release: Path) -> None:
    script = (
        "import os, runpy, sys\n"
        "real, named, flushed = os.rename, [], set()\n"
        "fsync = os.fsync\n"
        "def note(handle):\n    flushed.add(os.fstat(handle).st_ino); fsync(handle)\n"
        "def rename(old, new, **_):\n"
        "    inside = [old] + [os.path.join(top, name) for top, *names in os.walk(old) for name in sum(names, [])]\n"
        "    named.append(all(os.stat(path).st_ino in flushed for path in inside)); real(old, new)\n"
        "os.fsync, os.rename = note, rename\n"
        "sys.argv = [sys.argv[1], 'unpack']\n"
        "try:\n    runpy.run_path(sys.argv[0])\n"
        "except SystemExit:\n"
        "    print(named, os.stat(os.path.dirname(sys.argv[0])).st_ino in flushed)\n"
    )
    assert run("-c", script, release).stdout.splitlines()[-1] == "[True] True"


def test_everybody_may_read_it_whoever_made_it(release: Path) -> None:
    argv = [sys.executable, "-I", str(release), "unpack"]
    subprocess.run(argv, check=True, timeout=60, umask=0o077)
    (folder,) = release.parent.glob(f"{release.name}.*")
    assert {path.stat().st_mode & 0o777 for path in [folder, *folder.rglob("*")]} == {0o755, 0o644}


def test_a_file_that_was_replaced_is_not_taken_for_the_one_that_was_unpacked(release: Path) -> None:
    unpacked(release)
    with release.open("r+b") as file:
        file.write(b"#!/usr/bin/python9 -I\n")
    assert origin(release) == f"{release}/relay/cli.py"


def test_what_others_could_have_put_there_is_not_run(release: Path, tmp_path: Path) -> None:
    folder = unpacked(release)
    folder.chmod(0o777)
    assert origin(release) == f"{release}/relay/cli.py"
    folder.chmod(0o755)
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert origin(release) == f"{release}/relay/cli.py"


def test_the_way_it_was_started_is_the_way_it_starts_others(release: Path) -> None:
    folder = unpacked(release)
    asked = "import sys; from relay import unpack; unpack.use(); from relay.gate import commit_confirm as commit; "
    asked += "print(commit.__file__, commit.own_command()[-1])"
    script = f"import sys; sys.path.insert(0, {str(release)!r}); {asked}"
    assert run("-c", script).stdout.split() == [f"{folder}/relay/gate/commit_confirm.py", str(release)]


def test_a_checkout_has_nothing_to_unpack(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "relay", tmp_path / "relay")
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from relay import unpack; sys.exit(unpack.main())"
    before = sorted(tmp_path.iterdir())
    run("-B", "-c", script)
    assert sorted(tmp_path.iterdir()) == before
