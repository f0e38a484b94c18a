"""What a host is asked before Ansible's modules run there: which parts its Python lacks, and where there is no room."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.needs import lack
from tests.support.templates import ROOT

PREFLIGHT = ROOT / "ansible" / "roles" / "preflight"
PROBE = (PREFLIGHT / "files" / "probe.py").read_text()
VARIABLES = yaml.safe_load((PREFLIGHT / "vars" / "main.yml").read_text())
# What the roles call of Ansible's own.
MODULES = "setup systemd_service user group file copy stat find command package service slurp"
IMPORT_ALL = f"""
import importlib, sys
sys.path.insert(0, {str(ROOT)!r})
import relay.cli, relay.gate.cli, relay.gate.agent
for name in {MODULES!r}.split():
    importlib.import_module("ansible.modules." + name)
print(*sorted(name for name in sys.modules if name.partition(".")[0] in sys.stdlib_module_names))
"""
# What an interpreter has in itself.
GIVEN = {"builtins", "sys", "site", "marshal", "posix", "zipimport", "ntpath", "opcode", "encodings"}


def probe(parts: list[str], room: list[list[object]], **environ: str) -> list[str]:
    text = f"PARTS = {parts!r}\nROOM = {room!r}\n{PROBE}"
    argv = [sys.executable, "-I", "-c", text]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60, env={**os.environ, **environ})
    *said, last = done.stdout.splitlines()
    assert last == "probed=yes"
    return said


def imported_by(path: Path) -> set[str]:
    """Return the modules of the standard library that a file names, also inside its functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module)
    return {name for name in found if name.partition(".")[0] in sys.stdlib_module_names}


def test_every_part_of_python_that_is_used_is_asked_for() -> None:
    """So that a new import cannot fail on a host whose Python is not whole, in the middle of a deployment."""
    loaded = subprocess.run(
        [sys.executable, "-I", "-c", IMPORT_ALL], capture_output=True, text=True, check=True, timeout=60
    )
    files = [*(ROOT / "relay").rglob("*.py"), *(ROOT / "ansible" / "plugins").glob("module*/*.py")]
    named = {name for path in files for name in imported_by(path)} | set(loaded.stdout.split())
    parts = set(VARIABLES["__preflight_parts"])
    tops = {name.partition(".")[0] for name in named if not name.startswith("_")} - GIVEN
    came = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys, {', '.join(sorted(parts))}; print(*sys.modules)"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert tops - parts - set(came.stdout.split()) == set()


def test_a_python_that_is_whole_lacks_nothing_and_one_that_is_not_lacks_what_it_says() -> None:
    assert probe(VARIABLES["__preflight_parts"], []) == []
    assert probe(["asyncio", "no_such_part", "concurrent.futures", "json.none"], []) == [
        "missing=no_such_part",
        "missing=json.none",
    ]


def test_room_that_there_is_is_no_trouble_and_nothing_is_left(tmp_path: Path) -> None:
    missing = tmp_path / "not" / "there" / "yet"
    assert probe([], [[str(tmp_path), 100_000, 10], [str(missing), 100_000, 10]]) == []
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Return where to mount a small file system, in a mount namespace of its own."""
    if os.geteuid() != 0:
        lack("a small file system is mounted: run this test as root")
    (tmp_path / "small").mkdir()
    return tmp_path / "small"


@pytest.mark.parametrize(
    ("options", "before", "reason"),
    [
        ("size=64k", "", "no space left on device (128 KiB are needed, 64 free)"),
        ("size=4m", "dd if=/dev/zero of={0}/full bs=64k", "no space left on device (128 KiB are needed, 0 free)"),
        ("nr_inodes=5", "", "there is room for 4 files, and 10 are to be made"),
        ("size=4m", "mount -o remount,ro {0}", "read-only file system"),
        ("size=4m", "mkdir {0}/a && touch {0}/a/b", ""),
    ],
)
def test_a_place_without_room_is_named_with_its_reason(small: Path, options: str, before: str, reason: str) -> None:
    text = f"PARTS = []\nROOM = {[[str(small / 'a' / 'c'), 131072, 10]]!r}\n{PROBE}"
    made = f"mount -t tmpfs -o {options} none {small}\n{before.format(small)}"
    script = f'{made}\nexec {sys.executable} -I -c "$1"'
    argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", text]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [*([f"room={small}/a/c: {reason}"] if reason else []), "probed=yes"]


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert probe([], [[f"{tmp_path}/file/x", 10, 1]]) == [
        f"room={tmp_path}/file/x: it is there, and is not a directory"
    ]


def test_of_several_places_the_first_that_takes_a_small_file_has_to_do(tmp_path: Path) -> None:
    """As Python chooses where its temporary files go."""
    (tmp_path / "file").touch()
    missing = f"{tmp_path}/missing:{tmp_path}/file"
    assert probe([], [[f"{missing}:{tmp_path}", 10, 1]]) == []
    assert probe([], [[missing, 10, 1]]) == [f"room={tmp_path}/missing: no directory for temporary files"]


def test_a_place_for_temporary_files_that_is_nearly_full_is_none_that_is_passed_over(small: Path) -> None:
    text = f"PARTS = []\nROOM = {[[f'{small}:{small.parent}', 131072, 10]]!r}\n{PROBE}"
    script = f'mount -t tmpfs -o size=64k none {small}; exec {sys.executable} -I -c "$1"'
    argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", text]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    (said, _) = done.stdout.splitlines()
    assert said == f"room={small}: no space left on device (128 KiB are needed, 64 free)"
