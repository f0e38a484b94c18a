"""The plugin that keeps what Ansible builds for hosts between runs, in real runs against this machine."""

from __future__ import annotations

import base64
import io
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.templates import ROOT

PLAYBOOK = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.ping:
"""


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Return the folder for what is kept."""
    return tmp_path / "kept"


def play(folder: Path, kept: Path | None) -> str:
    """Run a playbook of one task, and return what it said."""
    (folder / "ping.yml").write_text(PLAYBOOK)
    own = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "NETPLAY_"))}
    argv = [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", "-vvvv", str(folder / "ping.yml")]
    argv += ["--extra-vars", f"ansible_python_interpreter={sys.executable}"]
    settings = {
        "ANSIBLE_CONFIG": str(ROOT / "ansible" / "ansible.cfg"),
        "ANSIBLE_CALLBACKS_ENABLED": "netplay.relay.payloads",
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_LOCAL_TEMP": str(folder / "local"),
        "ANSIBLE_DEBUG": "1",
        "LC_ALL": "C.UTF-8",
    }
    if kept:
        settings["NETPLAY_RELAY_PAYLOADS"] = str(kept)
    done = subprocess.run(argv, env={**own, **settings}, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok=1" in done.stdout
    return done.stdout


def found(kept: Path) -> tuple[Path, Any]:
    """Return the one file that is kept, and what is in it."""
    (path,) = kept.glob("*/ansible.modules.ping-*ED-none")
    return path, pickle.loads(path.read_bytes())  # noqa: S301  # this test has made it


def test_the_second_run_builds_nothing_and_the_host_compiles_nothing(tmp_path: Path, kept: Path) -> None:
    assert "ANSIBALLZ: Creating module" in play(tmp_path, kept)
    archive = zipfile.ZipFile(io.BytesIO(base64.b64decode(found(kept)[1].zip_data)))
    names = set(archive.namelist())
    sources = {name for name in names if name.endswith(".py")}
    assert "ansible/module_utils/basic.py" in sources
    assert {f"{name}c" for name in sources} == names - sources
    said = play(tmp_path, kept)
    assert "ANSIBALLZ: using cached module" in said
    assert "ANSIBALLZ: Creating module" not in said


def test_the_compiled_code_is_what_runs(tmp_path: Path, kept: Path) -> None:
    """Seen by a mark that only the compiled code of the module has."""
    play(tmp_path, kept)
    path, whole = found(kept)
    old = zipfile.ZipFile(io.BytesIO(base64.b64decode(whole.zip_data)))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as new:
        for item in old.infolist():
            data = old.read(item)
            compiled = item.filename.endswith("modules/ping.pyc")
            new.writestr(item, data.replace(b"pong", b"PONG") if compiled else data)
    object.__setattr__(whole, "zip_data", base64.b64encode(out.getvalue()))
    path.write_bytes(pickle.dumps(whole))
    assert '"ping": "PONG"' in play(tmp_path, kept)


def test_nothing_is_kept_where_no_folder_is_named(tmp_path: Path, kept: Path) -> None:
    play(tmp_path, None)
    assert "ANSIBALLZ: Creating module" in play(tmp_path, None)
    assert not kept.exists()
