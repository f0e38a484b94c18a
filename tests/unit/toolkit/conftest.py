"""An ssh that says what a test tells it to, and notes how it was called; what types tasks."""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.typed import invoke as invoke
from toolkit.ssh import connection

PROGRAM = """\
import json, sys
from pathlib import Path

folder = Path({folder!r})
answer = json.loads((folder / "answer.json").read_text())
if "netplay-relay:begun" in sys.argv[-1] and "sudo" not in answer["stderr"]:
    print("netplay-relay:begun", file=sys.stderr, flush=True)
with (folder / "calls").open("a") as calls:
    print(json.dumps([sys.argv[1:], "" if "-G" in sys.argv else sys.stdin.read()]), file=calls)
sys.stdout.write(answer["stdout"])
sys.stderr.write(answer["stderr"])
sys.exit(answer["code"])
"""


@dataclass
class FakeSsh:
    """The program's folder; what it was called with."""

    folder: Path

    def answers(self, stdout: str = "", stderr: str = "", code: int = 0) -> None:
        """Set what it says from now on."""
        answer = {"stdout": stdout, "stderr": stderr, "code": code}
        (self.folder / "answer.json").write_text(json.dumps(answer))

    @property
    def calls(self) -> list[tuple[list[str], str]]:
        """The arguments and the standard input of each call so far."""
        lines = (self.folder / "calls").read_text().splitlines()
        return [(arguments, text) for arguments, text in map(json.loads, lines)]


@pytest.fixture
def fake_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSsh:
    """Put a fake ssh in front of the real one."""
    folder = tmp_path / "fake ssh"
    folder.mkdir()
    (folder / "ssh.py").write_text(PROGRAM.format(folder=str(folder)))
    program = folder / "ssh"
    # Not Python's own first line: the kernel takes no path with a space in it.
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(folder / "ssh.py"))} "$@"\n')
    program.chmod(0o755)
    connection.release()  # of the real one, which is asked once
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    fake = FakeSsh(folder)
    fake.answers()
    return fake


@pytest.fixture(autouse=True)
def own_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep every test away from the person's own files; return the folder that stands for them."""
    folder = tmp_path / "config"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    monkeypatch.delenv("NETPLAY_RELAY_COMMAND", raising=False)
    return folder
