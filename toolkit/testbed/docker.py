"""Relay hosts as containers of docker, on a lab's network. Rendered and linted in CI; no docker runs there.

    python -m toolkit.testbed.docker LAB DIRECTORY NODES

The playbook has made each container, without a network and not yet started, and called it LAB-NAME. docker joins no
network namespace that it did not make, so the lab's interface moves into the container's.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.errors import UserError, user_errors
from toolkit.lab import Lab, Node, inits, network, programs
from toolkit.testbed import containers
from toolkit.testbed.hosts import Testbed

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from toolkit.lab.state import State


def up(lab: Lab, nodes: Sequence[dict[str, Any]]) -> Testbed:
    """Start the containers and wait until each answers. Raises UserError when one does not come up."""
    containers.require("docker")
    suites = {str(each["name"]): str(each["rootfs"]) for each in nodes}
    for name, folder in containers.seed(lab, suites).items():
        container = f"{lab.name}-{name}"
        programs.run(["docker", "cp", f"{folder}/.", f"{container}:/"])
        programs.run(["docker", "start", container])
        number = programs.run(["docker", "inspect", "--format={{.State.Pid}}", container]).strip()
        for argv in connect(lab.state, lab.node(name), number):
            programs.run(argv)
    for name, suite in suites.items():
        containers.wait(["docker", "exec", f"{lab.name}-{name}"], lab.node(name), inits.of(suite))
    return Testbed.of_lab(lab.name, containers=set(suites))


def connect(state: State, node: Node, number: str) -> list[list[str]]:
    """Return the command lines that give the lab's interface to the container with that PID 1, addresses and all."""
    inside = ["nsenter", f"--net=/proc/{number}/ns/net", "--"]
    return [
        [*network.inside(state.netns(node.name)), "ip", "link", "set", "eth0", "netns", number],
        [*inside, "ip", "address", "add", f"{node.ipv4}/24", "dev", "eth0"],
        [*inside, "ip", "address", "add", f"{node.ipv6}/48", "dev", "eth0", "nodad"],
        [*inside, "ip", "link", "set", "eth0", "up"],
    ]


def remove(lab: str, names: Collection[str]) -> bool:
    """Remove the containers of a testbed's relays; return whether there was any. Its lab stays."""
    if shutil.which("docker", path=programs.search_path()) is None:
        return False
    return bool(programs.run(["docker", "rm", "--force", *(f"{lab}-{name}" for name in names)], check=False).strip())


@user_errors
def main(arguments: list[str]) -> int:
    """Start the containers and write down how they are reached."""
    if len(arguments) != 3:
        raise UserError("this is not a testbed", fix="python -m toolkit.testbed.docker LAB DIRECTORY NODES")
    up(Lab.load(arguments[0]), json.loads(arguments[2])).save(Path(arguments[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
