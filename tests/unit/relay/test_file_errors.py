"""A disk that is full or read-only: every program of ours names the file, in a sentence."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from relay.fileerrors import FileError, sentence, writing
from tests.support.needs import lack

ROOT = Path(__file__).parents[3]
FULL = "dd if=/dev/zero of={0}/filler bs=4k 2>/dev/null"
READ_ONLY = "mount -o remount,ro {0}"
WRITE = (
    "from pathlib import Path; from relay.gate import files as places; places.write(Path('{0}/state.json'), 'x' * 9000)"
)
LOCK = "from pathlib import Path; from relay.gate import state\nwith state.locked(Path('{0}/lock/lock')): pass"


def on_a_disk(folder: Path, before: str, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a mount namespace of its own, where the folder is a small disk on which something was done."""
    if os.geteuid() != 0:
        lack("a small file system is mounted: run this test as root")
    script = f'mount -t tmpfs -o size=2m none {folder}\n{before.format(folder)}\nexec "$@"'
    wrapped = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *argv]
    return subprocess.run(wrapped, capture_output=True, text=True, check=False, timeout=60, cwd=ROOT)


@pytest.mark.parametrize(
    ("before", "script", "said"),
    [
        (FULL, WRITE, "cannot write {0}/state.json: No space left on device. See what is full: df -h {0}; df -i {0}"),
        (READ_ONLY, WRITE, "cannot write {0}/state.json: Read-only file system. It has to be writable: findmnt"),
        (READ_ONLY, LOCK, "cannot write {0}/lock/lock: Read-only file system. It has to be writable: findmnt"),
        (f"{READ_ONLY}; chmod 0 {{0}}", LOCK, "cannot write {0}/lock/lock: Read-only file system"),
    ],
)
def test_what_cannot_be_written_is_named(tmp_path: Path, before: str, script: str, said: str) -> None:
    done = on_a_disk(tmp_path, before, sys.executable, "-c", script.format(tmp_path))
    assert done.returncode != 0
    assert said.format(tmp_path) in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("before", [FULL, READ_ONLY])
def test_a_release_that_cannot_be_unpacked_says_so_in_a_sentence(tmp_path: Path, before: str) -> None:
    """One file, as it is deployed."""
    made = "import sys; from pathlib import Path; from toolkit.deploy import zipapp; zipapp.build(Path(sys.argv[1]))"
    built = f'{sys.executable} -c "{made}" {{0}}'
    program = str(tmp_path / "netplay-relay.pyz")
    done = on_a_disk(tmp_path, f"{built}\n{before}", sys.executable, "-I", program, "unpack")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"netplay-relay: cannot write {program}.")


def test_the_file_that_is_meant_is_named_and_not_the_one_that_stands_in_for_it(tmp_path: Path) -> None:
    with pytest.raises(FileError) as caught, writing(tmp_path / "list"):
        (tmp_path / "none" / ".list.x7").write_text("")
    assert str(caught.value) == f"cannot write {tmp_path}/list: No such file or directory"
    assert caught.value.errno == errno.ENOENT


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(13, "Permission denied", "/etc/x"), "/etc/x: Permission denied"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (PermissionError("the gate is for root"), "the gate is for root"),
        (ValueError("odd"), "odd"),
    ],
)
def test_an_error_is_a_sentence_without_its_number(error: Exception, words: str) -> None:
    assert sentence(error) == words
