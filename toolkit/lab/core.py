"""The lab itself: up, down, status, reboot, and how its nodes are reached."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolkit.errors import UserError
from toolkit.lab import cgroups, elevation, hosts, lifecycle, network, rootfs, sshfiles, state
from toolkit.lab.programs import BUILD_ONLY, PACKAGES, require
from toolkit.lab.spec import check_lab_name, name_option
from toolkit.lab.status import LabStatus, look

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from toolkit.lab.spec import LabSpec
    from toolkit.lab.state import Node, State


def _silent(_: str) -> None:
    """Take a line of progress and say nothing."""


@dataclass(frozen=True)
class Lab:
    """A lab that is up. Made by `Lab.up` or `Lab.load`."""

    state: State

    @property
    def name(self) -> str:
        """The lab's name."""
        return self.state.name

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The lab's nodes, in the order in which they were added."""
        return self.state.nodes

    @property
    def ssh_config(self) -> Path:
        """An ssh configuration with one entry for each host (see `ssh_alias`); root's login, the lab's own key."""
        return sshfiles.config(self.state)

    @classmethod
    def up(cls, spec: LabSpec, progress: Callable[[str], None] = _silent) -> Lab:
        """Make what is missing of the lab and wait until its hosts have booted and sshd answers.

        What runs and is healthy stays as it is, and so do nodes that the spec does not name. Raises UserError when a
        program or a right is missing or a host does not come up.
        """
        if not elevation.is_root():
            elevation.as_root(["up", "--spec", spec.to_json()], progress)
            return cls.load(spec.name)
        elevation.check_privileges()
        require(set(PACKAGES) - BUILD_ONLY)
        busy = f"waiting for another command on the lab {spec.name}"
        suites = dict.fromkeys(node.rootfs for node in spec.nodes if node.kind == "host")
        with state.readable():
            lowers = {suite: rootfs.ensure(suite, progress) for suite in suites}
            with state.locked(state.directory(spec.name), lambda: progress(busy)):
                return cls(lifecycle.up(spec, lowers, progress))

    @classmethod
    def load(cls, name: str) -> Lab:
        """Return a lab that was brought up before, by whomever; UserError when there is none of that name."""
        check_lab_name(name)
        known = state.read(name)
        if known is None or not known.ready:
            raise UserError(f"the lab {name} is not up", fix=f"invoke lab.up{name_option(name)}")
        return cls(known)

    @staticmethod
    def status(name: str) -> LabStatus:
        """Look at a lab, there or not, and change nothing."""
        check_lab_name(name)
        if not elevation.is_root() and state.read(name) is not None:
            return LabStatus.from_raw(elevation.as_root(["status", "--name", name], _silent))
        return look(name)

    def node(self, name: str) -> Node:
        """Return the node of that name, with its addresses; UserError when there is none."""
        return self.state.node(name)

    def ssh_alias(self, name: str) -> str:
        """Return what to type after `ssh -F CONFIG` to reach the host; UserError when it is not a host."""
        return sshfiles.alias(self.state, self._host(name))

    def command(self, node: str, argv: Sequence[str]) -> list[str]:
        """Return the command line that runs a program of this machine in the node's network namespace.

        Not as root: through sudo into the namespace, and there as the caller again.
        """
        start = network.inside(self.state.netns(self.node(node).name))
        if elevation.is_root():
            return [*start, *argv]
        me = ["setpriv", f"--reuid={os.getuid()}", f"--regid={os.getgid()}", "--init-groups", "--"]
        return ["sudo", "-n", "--", *start, *me, *argv]

    def inside(self, node: str, argv: Sequence[str]) -> list[str]:
        """Return the command line that runs a host's own program in the host, as its root, without ssh.

        Good until the host restarts. Raises UserError when the host is not running or the node is no host.
        """
        number = hosts.pid(self.state, self._host(node))
        if number is None:
            raise UserError(
                f"the host {node} of the lab {self.name} is not running",
                fix=f"invoke lab.up{name_option(self.name)}",
            )
        sudo = [] if elevation.is_root() else ["sudo", "-n", "--"]
        return [*sudo, *hosts.inside(number), *argv]

    def reboot(self, node: str, *, power_cut: bool = False) -> None:
        """Restart the host's PID 1 and wait until sshd answers again; its file system stays as it is.

        Services are stopped in order first, unless `power_cut`: then everything ends at once. Addresses, firewall
        rules and all of /run and /tmp are gone, as after a real restart.
        """
        host = self._host(node)
        if not elevation.is_root():
            elevation.as_root(["reboot", node, "--name", self.name, *(["--power-cut"] if power_cut else [])], _silent)
            return
        with state.readable(), state.locked(self.state.directory):
            lifecycle.reboot(self.state, host, power_cut=power_cut)

    def down(self) -> None:
        """Take the lab down: see `take_down`."""
        take_down(self.name)

    def _host(self, name: str) -> Node:
        node = self.node(name)
        if node.kind != "host":
            raise UserError(
                f"{name} is a client: a network namespace that runs this machine's programs, with nothing to log in to",
                fix=f"python -m toolkit.lab exec{name_option(self.name)} {name} -- COMMAND",
            )
        return node


def take_down(name: str) -> bool:
    """Remove whatever there is of a lab, whole or half made; return False when there was nothing.

    Processes in its namespaces (started with `Lab.command` as well) are ended, its hosts' file systems removed.
    """
    check_lab_name(name)
    if not state.directory(name).exists() and not cgroups.of_lab(name).exists():
        return False
    if elevation.is_root():
        lifecycle.down(name)
    else:
        elevation.as_root(["down", "--name", name], _silent)
    return True
