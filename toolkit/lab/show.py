"""What the lab's commands print, and the shell they open."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from toolkit.console import as_typed
from toolkit.lab.spec import name_option

if TYPE_CHECKING:
    from toolkit.lab.core import Lab
    from toolkit.lab.status import LabStatus


def progress(line: str) -> None:
    """Print a line of progress on standard error."""
    sys.stderr.write(f"lab: {as_typed(line)}\n")
    sys.stderr.flush()


def porcelain(kind: str, value: object, **more: object) -> None:
    """Print one report as a line of JSON on standard output."""
    sys.stdout.write(json.dumps({kind: value, **more}) + "\n")
    sys.stdout.flush()


def as_json(status: LabStatus) -> None:
    """Print a lab's status as JSON."""
    sys.stdout.write(json.dumps(status.to_raw(), indent=2) + "\n")


def table(status: LabStatus) -> None:
    """Print a lab's nodes as a table."""
    from rich.console import Console
    from rich.table import Table

    # An address is not a text to decorate: without this, ":a:" in one becomes a picture.
    console = Console(emoji=False, markup=False, highlight=False)
    option = name_option(status.name)
    if not status.nodes:
        line = as_typed(f"There is no lab {status.name}. To make it: invoke lab.up{option}")
        console.print(line, soft_wrap=True)  # a command in it is copied whole
        return
    mend = as_typed(f"not whole, mend it with: invoke lab.up{option}")
    shown = Table(title=f"lab {status.name}: {'up' if status.up else mend}")
    for heading in ("node", "kind", "state", "IPv4", "IPv6"):
        shown.add_column(heading)
    for node in status.nodes:
        kind = f"{node.kind} ({node.rootfs})" if node.rootfs else node.kind
        shown.add_row(node.name, kind, node.state, node.ipv4, node.ipv6)
    console.print(shown)


def shell(lab: Lab, name: str) -> int:
    """Open a shell in a host, or one of this machine on a client's network; return its exit code."""
    if lab.node(name).kind == "host":
        argv = ["ssh", "-F", str(lab.ssh_config), lab.ssh_alias(name)]
    else:
        argv = lab.command(name, [os.environ.get("SHELL", "/bin/sh")])
    return subprocess.run(argv, check=False).returncode
