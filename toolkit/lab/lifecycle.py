"""Bringing a lab up, taking it down, restarting a host: what has to happen in which order. Needs root."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from toolkit.errors import HOST_UNUSABLE, UserError
from toolkit.lab import cgroups, hosts, inits, network, sshfiles, state
from toolkit.lab.programs import run
from toolkit.lab.spec import name_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from toolkit.lab.spec import LabSpec, NodeSpec
    from toolkit.lab.state import Node, State

_DOWN_BOUND: Final = 10.0  # seconds; a program that an up left behind ends in milliseconds
_SHUTDOWN_BOUND: Final = 60.0  # seconds a host may take to stop its services before it restarts


def up(spec: LabSpec, lowers: dict[str, Path], progress: Callable[[str], None]) -> State:
    """Bring the lab up; its lock is held, and `lowers` has every suite's root file system."""
    known = state.claim(spec.name, network.taken_subnets())
    for wanted in spec.nodes:
        known = _with(known, wanted, lowers)
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
    _up_hosts(known, [node for node in nodes if node.kind == "host"], progress)
    known = replace(known, ready=True)
    known.save()
    return known


def down(name: str) -> None:
    """Remove whatever there is of a lab, whole or half made."""
    directory = state.directory(name)
    with state.locked(directory):
        sshfiles.close(directory / "ssh")
        deadline = time.monotonic() + _DOWN_BOUND
        while not _remove(name, directory):
            if time.monotonic() > deadline:
                raise UserError(
                    f"something keeps starting programs of the lab {name}, or making files or mounts in {directory}",
                    fix=f"See what it is: grep {directory} /proc/*/cmdline",
                    exit_code=HOST_UNUSABLE,
                )
            time.sleep(0.02)


def reboot(known: State, node: Node, *, power_cut: bool) -> None:
    """Restart a host; the lab's lock is held."""
    sshfiles.close(known.ssh_directory)
    before = hosts.pid(known, node)
    if before is None or power_cut:
        hosts.start(known, node)
        hosts.wait(known, node)
    else:
        run([*hosts.inside(before), *inits.of(node.rootfs).reboot], check=False)
        hosts.wait(known, node, _SHUTDOWN_BOUND + hosts.BOOT_BOUND, besides=before)


def _remove(name: str, directory: Path) -> bool:
    """End a lab's processes and remove its mounts and files; return False when somebody made more meanwhile.

    That is a program of an `up` that was killed: the program ends by itself, but not at once.
    """
    if not cgroups.remove_lab(name):
        return False
    _end_visitors(directory / "netns")
    for mounted in reversed(network.mounts_below(directory)):
        run(["umount", "--lazy", str(mounted)], check=False)
    index = state.index_of(name)
    if index is not None:  # while the subnet is still ours: it is free for others as soon as the directory is gone
        network.unlink_controller(index)
    with state.locked(state.RUN):
        try:
            shutil.rmtree(directory)
        except OSError:
            return False
        with contextlib.suppress(OSError):  # other labs are there
            state.RUN.rmdir()
    return True


def _up_hosts(known: State, nodes: list[Node], progress: Callable[[str], None]) -> None:
    """Start the hosts that are not well, all of them at once, and wait for each."""
    fresh = [node for node in nodes if not _is_well(known, node)]
    for node in nodes:
        hosts.introduce(known, node)
    for node in fresh:
        progress(f"booting {node.name}")
        hosts.start(known, node)
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


def _with(known: State, wanted: NodeSpec, lowers: dict[str, Path]) -> State:
    """Return the state with the node in it; UserError when the name is taken by another kind of node."""
    for node in known.nodes:
        if node.name == wanted.name:
            if (node.kind, node.rootfs) != (wanted.kind, wanted.rootfs):
                raise UserError(
                    f"{node.name} is a {node.kind} ({node.rootfs}) in the lab {known.name},"
                    f" not a {wanted.kind} ({wanted.rootfs})",
                    fix=f"Take the lab down first: invoke lab.down{name_option(known.name)}",
                )
            return known
    lower = str(lowers[wanted.rootfs]) if wanted.kind == "host" else ""
    return state.with_node(known, wanted, lower)


def _end_visitors(namespaces: Path) -> None:
    """End the processes of this machine that run in the lab's network namespaces."""
    lab = {path.stat().st_ino for path in namespaces.glob("*") if network.is_namespace(path)}
    for process in Path("/proc").glob("[0-9]*"):
        # It ended by itself, or is a stranger that even root may not look at.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if (process / "ns/net").stat().st_ino in lab:
                os.kill(int(process.name), signal.SIGKILL)
