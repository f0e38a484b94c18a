"""What can be deployed to: a real host that ssh knows, or the relay host of the lab on this machine."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolkit import paths
from toolkit.console import step
from toolkit.errors import UserError
from toolkit.hosts.names import HostName, parse_host

if TYPE_CHECKING:
    from pathlib import Path

    from toolkit.lab import Lab, LabSpec

RELAY_NODE = "relay"


@dataclass(frozen=True, slots=True)
class DeployTarget:
    """A host, the ssh configuration that knows it (None: the person's own), and the lab it is in, if it is in one."""

    host: HostName
    ssh_config: Path | None = None
    lab: Lab | None = None

    @property
    def option(self) -> str:
        """What a person types after `invoke deploy` to mean this place."""
        if self.lab:
            return ""
        config = f" --ssh-config {shlex.quote(str(self.ssh_config))}" if self.ssh_config else ""
        return f" --host {self.host.alias}{config}"

    @property
    def lab_option(self) -> str:
        """What a person types after `invoke lab.ssh` and the like to mean the place's lab."""
        return "" if self.lab is None or self.lab.name == "lab" else f" --name {self.lab.name}"

    @property
    def nodes(self) -> dict[str, list[str]]:
        """The lab's own friends, by name, with their addresses: exactly these, all its nodes share one /64."""
        if self.lab is None:
            return {}
        friends = [self.lab.node(name) for name in ("player", "friend")]
        return {node.name: [node.ipv4, f"{node.ipv6}/128"] for node in friends}


def real(host: str, ssh_config: Path | None = None) -> DeployTarget:
    """Return a host as it was typed. Raises UserError for a name that is none, or a configuration that is not there."""
    if ssh_config is not None and paths.kind(ssh_config) != paths.FILE:
        raise UserError(f"there is no file {ssh_config}", fix="Check the path after --ssh-config.")
    return DeployTarget(parse_host(host), ssh_config)


def lab_host(name: str) -> HostName:
    """Return what the relay of a lab is called, up or not."""
    return HostName(f"{name}-{RELAY_NODE}", f"{name}-{RELAY_NODE}")


def lab(spec: LabSpec, *, check: bool = False) -> DeployTarget:
    """Return the relay of a lab, which is made first when it is not there. Raises UserError.

    With check nothing is made: the lab must be up already.
    """
    from toolkit.lab import Lab

    found = Lab.load(spec.name) if check else Lab.up(spec, lambda line: step("lab", line))
    return DeployTarget(lab_host(found.name), found.ssh_config, found)
