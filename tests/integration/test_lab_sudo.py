"""The lab for a person who is not root but has sudo, on a machine that systemd runs: a lab host plays that machine.

It differs from a CI machine in what matters to the lab: PID 1 is systemd, the cgroup tree is systemd's, /run is a tmpfs
without devices and set-user-id programs.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.labs import a_lab
from toolkit.lab import Lab, NodeSpec, hosts, rootfs

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.lab

TOOLKIT = Path(__file__).parents[2] / "toolkit"
CHECKOUT = "/opt/checkout"
PROGRAM = """
import json, os, subprocess, sys
from toolkit.lab import DEFAULT_SPEC, Lab, LabSpec, NodeSpec, take_down
from toolkit.errors import UserError

os.umask(0o077)  # sudo keeps it
said, told = [], {}
spec = LabSpec("inner", (NodeSpec("relay", "host"), NodeSpec("friend", "client")))

def run(argv):
    return subprocess.run(argv, capture_output=True, text=True, timeout=60).stdout

lab = Lab.up(spec, said.append)
told["said"] = said
told["status"] = [node.state for node in Lab.status("inner").nodes]
told["ssh"] = run(["ssh", "-F", str(lab.ssh_config), lab.ssh_alias("relay"), "id -u; hostname"])
told["owners"] = sorted({path.stat().st_uid for path in lab.ssh_config.parent.iterdir()})
told["client"] = run(lab.command("friend", ["id", "-un"]))
told["address"] = run(lab.command("friend", ["ip", "-brief", "address"]))
told["inside"] = run(lab.inside("relay", ["id", "-un"]))
lab.reboot("relay")
told["again"] = run(["ssh", "-F", str(lab.ssh_config), lab.ssh_alias("relay"), "hostname"])
try:
    Lab.up(LabSpec("inner", (NodeSpec("relay", "client"),)))
except UserError as error:
    told["refused"] = error.message
told["down"] = take_down("inner")
told["left"] = [path for path in ("/run/netplay-lab", "/sys/fs/cgroup/netplay-lab") if os.path.exists(path)]
told["written"] = run(["find", "/opt/checkout", "-user", "root", "-name", "__pycache__"])
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def machine() -> Iterator[Lab]:
    """Yield a lab whose host has this toolkit, the root file system in its cache, and an account with sudo."""
    with a_lab(NodeSpec("desk", "host")) as lab:
        root = Path(f"/proc/{hosts.pid(lab.state, lab.node('desk'))}/root")
        built = rootfs.ensure("bookworm", lambda _: None)
        cache = root / str(rootfs.CACHE)[1:]
        cache.mkdir(parents=True)
        subprocess.run(["cp", "-a", str(built), str(cache / built.name)], check=True, timeout=100)
        leave_out = shutil.ignore_patterns("__pycache__")
        shutil.copytree(TOOLKIT, root / CHECKOUT[1:] / "toolkit", ignore=leave_out)
        in_machine(lab, "useradd", "--create-home", "anna")
        in_machine(lab, "chown", "-R", "anna", CHECKOUT)
        yield lab


def in_machine(lab: Lab, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(lab.inside("desk", argv), capture_output=True, text=True, timeout=100, check=check)


def as_anna(lab: Lab, program: str) -> subprocess.CompletedProcess[str]:
    # In a cgroup of that machine's, as a login is: who enters by nsenter keeps the controller's, and where the tree is
    # mounted with nsdelegate, as systemd mounts it, may not move a process from there.
    unit = ["systemd-run", "--quiet", "--pipe", "--wait", "--collect", "--uid=anna", f"--working-directory={CHECKOUT}"]
    argv = [*unit, "--setenv=HOME=/home/anna", "python3", "-c", program]
    return in_machine(lab, *argv, check=False)


def test_a_person_with_sudo_has_the_whole_lab(machine: Lab) -> None:
    in_machine(machine, "sh", "-c", "echo 'anna ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/anna")
    done = as_anna(machine, PROGRAM)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    anna = int(in_machine(machine, "id", "-u", "anna").stdout)
    assert "10.213." in told.pop("address")
    assert told == {
        "said": ["booting relay", "relay is running"],
        "status": ["running", "ready"],
        "ssh": "0\nrelay\n",
        "owners": [anna],
        "client": "anna\n",
        "inside": "root\n",
        "again": "relay\n",
        "refused": "relay is a host (bookworm) in the lab inner, not a client (bookworm)",
        "down": True,
        "left": [],
        "written": "",
    }


def test_a_person_without_sudo_is_told_what_the_lab_needs(machine: Lab) -> None:
    hidden = "import shutil; shutil.which = lambda *_, **__: None\n"
    done = as_anna(machine, hidden + "from toolkit.lab.cli import main\nraise SystemExit(main(['up']))")
    assert done.returncode == 3
    assert done.stderr.startswith("error: the lab needs root and this account has no sudo\n")


def test_a_person_whom_sudo_refuses_gets_a_sentence(machine: Lab) -> None:
    in_machine(machine, "rm", "-f", "/etc/sudoers.d/anna")
    done = as_anna(machine, "from toolkit.lab.cli import main\nraise SystemExit(main(['up']))")
    assert done.returncode == 3
    assert "error: sudo did not run the lab's part" in done.stderr
    assert "Traceback" not in done.stderr
