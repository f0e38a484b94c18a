"""The lab's ssh files: a key of its own, the hosts' keys known beforehand, one configuration that ties them up."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.lab.programs import run

if TYPE_CHECKING:
    from toolkit.lab.state import Node, State


def alias(state: State, node: Node) -> str:
    """Return what to type after `ssh -F CONFIG` to reach a host."""
    return f"{state.name}-{node.name}"


def config(state: State) -> Path:
    """Return the path of the lab's ssh configuration."""
    return state.ssh_directory / "config"


def public_key(state: State) -> str:
    """Return the line that lets the lab's key in; the key pair is made when missing."""
    directory = state.ssh_directory
    directory.mkdir(mode=0o700, exist_ok=True)
    key = directory / "id_ed25519"
    public = key.with_suffix(".pub")
    if not public.exists():
        key.unlink(missing_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"netplay lab {state.name}", "-f", str(key)])
    return public.read_text()


def write(state: State, host_keys: dict[str, str]) -> None:
    """Write configuration and known hosts for the hosts in `host_keys` (name -> public key); all is the owner's."""
    nodes = [state.node(name) for name in host_keys]
    known = [
        f"{alias(state, node)},{node.ipv4},{node.ipv6} {' '.join(host_keys[node.name].split()[:2])}" for node in nodes
    ]
    directory = state.ssh_directory
    _replace(directory / "known_hosts", "\n".join(known) + "\n")
    _replace(config(state), "\n".join(_entry(state, node) for node in nodes))
    for path in (directory, *directory.iterdir()):
        os.chown(path, state.uid, state.gid, follow_symlinks=False)


def close(directory: Path) -> None:
    """End the shared connections whose sockets are in a lab's ssh directory.

    They would wait for an answer that never comes, and outlive the lab.
    """
    for socket in directory.glob("*"):
        if socket.is_socket():
            run(["ssh", "-F", "none", "-o", f"ControlPath={socket}", "-O", "exit", "lab"], check=False)


def _entry(state: State, node: Node) -> str:
    """Return a host's part of the configuration."""
    directory = state.ssh_directory
    settings = {
        "HostName": node.ipv4,
        "HostKeyAlias": alias(state, node),
        "User": "root",
        "IdentityFile": directory / "id_ed25519",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "PreferredAuthentications": "publickey",
        "UserKnownHostsFile": directory / "known_hosts",
        "GlobalKnownHostsFile": "none",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "ControlMaster": "auto",
        "ControlPath": directory / "%C",
        "ControlPersist": "10m",
        # A host that is switched off answers nothing: notice it.
        "ServerAliveInterval": "5",
        "ServerAliveCountMax": "2",
        "ConnectTimeout": "5",
    }
    lines = (f"    {name} {value}" for name, value in settings.items())
    return "\n".join([f"Host {alias(state, node)}", *lines, ""])


def _replace(path: Path, text: str) -> None:
    """Write a file in one step: an ssh that starts meanwhile reads the old one or the new one."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(text)
    fresh.chmod(0o600)
    fresh.replace(path)
