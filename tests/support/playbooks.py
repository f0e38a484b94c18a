"""Real runs of ansible on this machine, without any host: what a playbook does and says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.support.templates import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def command(folder: Path, playbook: str, hosts: dict[str, dict[str, object]], *options: str) -> list[str]:
    (folder / "playbook.yml").write_text(playbook)
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "folder": str(folder)}
    inventory = {"all": {"hosts": {name: {**local, **variables} for name, variables in hosts.items()}}}
    (folder / "hosts.json").write_text(json.dumps(inventory))
    argv = [sys.executable, "-m", "ansible", "playbook", "--inventory", str(folder / "hosts.json")]
    return [*argv, *options, str(folder / "playbook.yml")]


def environment(folder: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    return {
        **kept,
        "ANSIBLE_CONFIG": str(ROOT / "ansible" / "ansible.cfg"),
        "ANSIBLE_HOME": str(folder / "ansible"),
        "LC_ALL": "C.UTF-8",
        "TERM": "xterm",
    }


def play(folder: Path, playbook: str, hosts: dict[str, dict[str, object]], *options: str) -> tuple[int, str, str]:
    done = subprocess.run(
        command(folder, playbook, hosts, *options),
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr
