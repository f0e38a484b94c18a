"""The collection as other people have it: built, installed apart from the checkout, used by a playbook of their own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.labs import a_lab
from tests.support.role_host import SETTINGS, RoleHost
from tests.support.templates import ROOT
from toolkit.lab import NodeSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

NODES = (NodeSpec("relay", "host"), NodeSpec("friend", "client"), NodeSpec("stranger", "client"))
IN, OUT = [True, True], [False, False]
CHANGED = re.compile(r"changed=(\d+) +unreachable=0 +failed=0")


@dataclass(frozen=True)
class Stranger:
    """Somebody who has the collection, a release and a playbook; and a host."""

    folder: Path
    host: RoleHost

    def plays(self, *options: str) -> int:
        """Run the example; return how many tasks changed something, or would."""
        argv = ["ansible", "playbook", "--inventory", "hosts.json", "example.yml", *options]
        said = ansible(self.folder, *argv[1:])
        found = CHANGED.search(said)
        assert found, said
        return int(found[1])


def ansible(folder: Path, *arguments: str) -> str:
    """Run a program of Ansible in that folder, which has nothing of the checkout, without a network."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    environment = {
        **kept,
        "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections"),
        "ANSIBLE_CALLBACKS_ENABLED": "netplay.relay.payloads",
        "ANSIBLE_HOME": str(folder / "home"),
        "LC_ALL": "C.UTF-8",
    }
    argv = [sys.executable, "-m", "ansible", *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment, cwd=folder, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stranger]:
    """Build and install the collection; bring up a host."""
    folder = tmp_path_factory.mktemp("stranger")
    ansible(folder, "galaxy", "collection", "build", str(ROOT / "ansible"), "--output-path", str(folder))
    (archive,) = folder.glob("netplay-relay-*.tar.gz")
    ansible(folder, "galaxy", "collection", "install", "--offline", str(archive))
    installed = folder / "collections" / "ansible_collections" / "netplay" / "relay"
    assert not [path for path in installed.rglob("*") if path.is_symlink()]
    shutil.copyfile(installed / "playbooks" / "example.yml", folder / "example.yml")
    with a_lab(*NODES) as lab:
        host = RoleHost.of(lab, folder)
        (folder / "relay.toml").write_text(SETTINGS)
        (folder / "friends.toml").write_text(host.friend("friend"))
        reached = {"ansible_host": host.alias, "ansible_ssh_common_args": f"-F {lab.ssh_config}"}
        (folder / "hosts.json").write_text(json.dumps({"relays": {"hosts": {"myvps": reached}}}))
        yield Stranger(folder, host)


def test_the_example_deploys_with_the_installed_collection_alone(stranger: Stranger) -> None:
    before = stranger.host.snapshot()
    assert stranger.plays("--check", "--diff") > 0
    assert stranger.host.snapshot() == before
    assert stranger.plays() > 0
    assert (stranger.host.reaches("friend"), stranger.host.reaches("stranger")) == (IN, OUT)
    assert stranger.plays() == 0
    assert stranger.plays("--check") == 0


def test_its_modules_are_documented_under_their_full_names(stranger: Stranger) -> None:
    said = ansible(stranger.folder, "doc", "--list", "netplay.relay")
    assert {line.split()[0] for line in said.splitlines() if line.startswith("netplay.relay.")} >= {
        "netplay.relay.netplay_runit",
        "netplay.relay.netplay_host_info",
        "netplay.relay.netplay_service_info",
    }
