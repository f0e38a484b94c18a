"""The scenario for docker, as far as it is shown without one: that Ansible takes it, and what it would be told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from toolkit.dev.checks import environment
from toolkit.lab import programs
from toolkit.lab.state import Node, State
from toolkit.testbed import containers, docker, scenarios, support

FOLDER = scenarios.SCENARIOS / "docker"
SHARED = scenarios.SCENARIOS / "shared"
LAB = "tb-docker"


def ansible(program: str, *words: str, **more: str) -> str:
    """Run a program of Ansible with the scenario's inventories; return what it printed."""
    inventories = [f"--inventory={path}" for path in (SHARED / "groups.yml", FOLDER / "hosts.yml")]
    told = {"NETPLAY_TESTBED_LAB": LAB, "MOLECULE_PROJECT_DIRECTORY": str(scenarios.PROJECT), **more}
    argv = [str(Path(sys.executable).with_name(program)), *inventories, *words]
    done = subprocess.run(
        argv, capture_output=True, text=True, check=False, timeout=120, env=environment() | told, cwd=scenarios.PROJECT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rendered(variable: str, **more: str) -> Any:  # decoded JSON
    """Return a variable of the scenario, as the playbook that makes the containers has it."""
    files = [f"--extra-vars=@{path}" for path in (SHARED / "lab.yml", FOLDER / "vars" / "container.yml")]
    words = ["localhost", "--module-name=ansible.builtin.debug", f"--args=var={variable}", "--extra-vars=relay=relay"]
    said = ansible("ansible", *words, *files, ANSIBLE_LOAD_CALLBACK_PLUGINS="0", **more)
    return json.loads(said.partition("=>")[2])[variable]


@pytest.mark.parametrize("playbook", ["create.yml", "destroy.yml"])
def test_ansible_takes_the_playbooks(playbook: str) -> None:
    assert "playbook:" in ansible("ansible-playbook", "--syntax-check", str(FOLDER / playbook))


def test_a_container_is_made_with_what_an_init_needs_and_no_more() -> None:
    container = rendered("container")
    expected = {
        "name": f"{LAB}-relay",
        "hostname": "relay",
        "capabilities": ["NET_ADMIN", "SYS_ADMIN"],
        "security_opts": ["seccomp=unconfined"],
        "cgroupns_mode": "private",
        "tmpfs": ["/run", "/run/lock", "/tmp"],  # noqa: S108  # in the container
        "pull": "never",
        "network_mode": "none",
        "state": "present",
    }
    assert {key: container[key] for key in expected} == expected
    assert not {"privileged", "volumes", "mounts"} & set(container), "nothing of this machine is in it"
    tasks = [task for play in yaml.safe_load((FOLDER / "create.yml").read_text()) for task in play.get("tasks", [])]
    assert [task["community.docker.docker_container"] for task in tasks if "community.docker.docker_container" in task]
    build = next(task["community.docker.docker_image_build"] for task in tasks if "the image" in task["name"])
    assert build["pull"] is False


def test_the_image_is_a_public_one_unless_another_is_named() -> None:
    assert rendered("base", **{containers.IMAGE: ""}) == containers.USUAL.format("bookworm")
    assert rendered("base", **{containers.IMAGE: "example.org/mine:1"}) == "example.org/mine:1"


def test_the_labs_interface_moves_into_the_container_with_both_addresses() -> None:
    node = Node("relay", "client", "", "", 10, 7)
    lines = docker.connect(State(LAB, 7, 0, 0, True, (node,)), node, "4711")
    assert lines[0][-4:] == ["set", "eth0", "netns", "4711"]
    assert all("--net=/proc/4711/ns/net" in line for line in lines[1:])
    assert {f"{node.ipv4}/24", f"{node.ipv6}/48"} <= {word for line in lines for word in line}


def test_what_docker_has_of_a_testbed_is_removed_by_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[list[str]] = []
    monkeypatch.setattr(docker.shutil, "which", lambda *_, **__: "/usr/bin/docker")
    monkeypatch.setattr(programs, "run", lambda argv, **_: told.append(argv) or "tb-docker-relay\n")
    assert docker.remove(LAB, ["relay"])
    assert told == [["docker", "rm", "--force", "tb-docker-relay"]]
    monkeypatch.setattr(docker.shutil, "which", lambda *_, **__: None)
    assert not docker.remove(LAB, ["relay"])


def test_it_is_not_run_in_ci_and_the_matrix_does_not_say_so() -> None:
    assert not scenarios.load("docker").runs_here
    row = next(row for row in support.rows() if "docker" in row.distribution)
    assert row.sure == support.UNRUN
