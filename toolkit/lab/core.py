"""The lab itself: up, down, status, reboot, and how its nodes are reached."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from toolkit.errors import UserError
from toolkit.lab import cgroups, elevation, hosts, network, rootfs, sshfiles, state
from toolkit.lab.programs import BUILD_ONLY, PACKAGES, require, run
from toolkit.lab.spec import check_lab_name
from toolkit.lab.status import LabStatus, look

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from toolkit.lab.spec import LabSpec
    from toolkit.lab.state import Node, State

_SHUTDOWN_BOUND: Final = 60.0  # seconds a host may take to stop its services before it restarts


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
        lowers = {
            suite: rootfs.ensure(suite, progress)
            for suite in dict.fromkeys(node.rootfs for node in spec.nodes if node.kind == "host")
        }
        busy = f"waiting for another command on the lab {spec.name}"
        with state.locked(state.directory(spec.name), lambda: progress(busy)):
            return cls(_up(spec, lowers, progress))

    @classmethod
    def load(cls, name: str) -> Lab:
        """Return a lab that was brought up before, by whomever; UserError when there is none of that name."""
        check_lab_name(name)
        known = state.read(name)
        if known is None or not known.ready:
            raise UserError(f"the lab {name} is not up", fix=f"invoke lab.up{_name_option(name)}")
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
                fix=f"invoke lab.up{_name_option(self.name)}",
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
        with state.locked(self.state.directory):
            _reboot(self.state, host, power_cut=power_cut)

    def down(self) -> None:
        """Take the lab down: see `take_down`."""
        take_down(self.name)

    def _host(self, name: str) -> Node:
        node = self.node(name)
        if node.kind != "host":
            raise UserError(
                f"{name} is a client: a network namespace that runs this machine's programs, with nothing to log in to",
                fix=f"python -m toolkit.lab exec{_name_option(self.name)} {name} -- COMMAND",
            )
        return node


def take_down(name: str) -> bool:
    """Remove whatever there is of a lab, whole or half made; return False when there was nothing.

    Processes in its namespaces (started with `Lab.command` as well) are ended, its hosts' file systems removed.
    """
    check_lab_name(name)
    directory = state.directory(name)
    if not directory.exists() and not cgroups.of_lab(name).exists():
        return False
    if not elevation.is_root():
        elevation.as_root(["down", "--name", name], _silent)
        return True
    with state.locked(directory):
        known = state.read(name)
        if known is not None:
            sshfiles.close(known)
        cgroups.remove_lab(name)
        _end_visitors(directory / "netns")
        for mounted in reversed(network.mounts_below(directory)):
            run(["umount", "--lazy", str(mounted)])
        if known is not None:
            network.unlink_controller(known.index)
        with state.locked(state.RUN):
            shutil.rmtree(directory)
            with contextlib.suppress(OSError):  # other labs are there
                state.RUN.rmdir()
    return True


def _up(spec: LabSpec, lowers: dict[str, Path], progress: Callable[[str], None]) -> State:
    """Bring the lab up; its lock is held."""
    known = state.claim(spec.name, network.taken_subnets())
    for wanted in spec.nodes:
        known = _with(known, wanted.name, wanted.kind, wanted.rootfs)
    known.save()
    network.make_bridge(known)
    nodes = [known.node(wanted.name) for wanted in spec.nodes]
    clients = [node for node in nodes if node.kind == "client" and not network.is_whole(known, node)]
    for node in clients:
        network.make_node(known, node)
    key = sshfiles.public_key(known)
    # Every host the lab has, wanted now or before: the ssh configuration names them all.
    host_keys = {node.name: hosts.seed(known, node, key) for node in known.nodes if node.kind == "host"}
    sshfiles.write(known, host_keys)
    _up_hosts(known, [node for node in nodes if node.kind == "host"], lowers, progress)
    known = replace(known, ready=True)
    known.save()
    return known


def _up_hosts(known: State, nodes: list[Node], lowers: dict[str, Path], progress: Callable[[str], None]) -> None:
    """Start the hosts that are not well, all of them at once, and wait for each."""
    fresh = [node for node in nodes if not _is_well(known, node)]
    for node in nodes:
        hosts.introduce(known, node)
    for node in fresh:
        progress(f"booting {node.name}")
        hosts.start(known, node, lowers[node.rootfs])
    for node in fresh:
        word = hosts.wait(known, node)
        progress(f"{node.name} is {word}")


def _is_well(known: State, node: Node) -> bool:
    """Tell whether a host runs and answers; it need not be free of failed services, which may be what is tried."""
    if hosts.pid(known, node) is None or not network.is_whole(known, node):
        return False
    try:
        hosts.wait(known, node, hosts.ANSWER_BOUND)
    except UserError:
        return False
    return True


def _reboot(known: State, node: Node, *, power_cut: bool) -> None:
    """Restart a host; the lab's lock is held."""
    sshfiles.close(known, node)
    before = hosts.pid(known, node)
    if before is None or power_cut:
        hosts.start(known, node, rootfs.Recipe(node.rootfs).path())
    else:
        run([*hosts.inside(before), "systemctl", "reboot"], check=False)
    hosts.wait(known, node, _SHUTDOWN_BOUND + hosts.BOOT_BOUND, besides=before)


def _with(known: State, name: str, kind: str, suite: str) -> State:
    """Return the state with the node in it; UserError when the name is taken by another kind of node."""
    for node in known.nodes:
        if node.name == name:
            if (node.kind, node.rootfs) != (kind, suite):
                raise UserError(
                    f"the lab {known.name} has {name} as a {node.kind} ({node.rootfs}), not as a {kind} ({suite})",
                    fix=f"Take the lab down first: invoke lab.down{_name_option(known.name)}",
                )
            return known
    return state.with_node(known, name, "host" if kind == "host" else "client", suite)


def _end_visitors(namespaces: Path) -> None:
    """End the processes of this machine that run in the lab's network namespaces."""
    lab = {path.stat().st_ino for path in namespaces.glob("*") if network.is_namespace(path)}
    for process in Path("/proc").glob("[0-9]*"):
        # It ended by itself, or is a stranger that even root may not look at.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if (process / "ns/net").stat().st_ino in lab:
                os.kill(int(process.name), signal.SIGKILL)


def _name_option(name: str) -> str:
    """Return the option that names a lab, nothing for the default one."""
    return "" if name == "lab" else f" --name {name}"
