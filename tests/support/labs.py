"""Labs for tests: a name nobody else has, what a lab occupies on the machine, and what is left of it afterwards."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.needs import lack
from toolkit.lab import Lab, LabSpec, NodeSpec, cgroups, network, state, take_down

if TYPE_CHECKING:
    from collections.abc import Iterator

PAIR = (NodeSpec("relay", "host"), NodeSpec("friend", "client"))
"""The smallest lab with both kinds of nodes."""


def need_root() -> None:
    """Skip a lab test where it cannot look behind the scenes; in CI that is a failure."""
    if os.geteuid() != 0:
        lack("the lab's tests look at namespaces and cgroups: run them as root")


@contextmanager
def a_name() -> Iterator[str]:
    """Yield the name of a lab of one's own; whatever was made under it is gone afterwards."""
    need_root()
    # Whoever runs the tests may choose how the names begin, to find what a run that was cut short left behind.
    name = f"{os.environ.get('NETPLAY_TEST_LABS', 't')}{secrets.token_hex(4)}"
    try:
        yield name
    finally:
        take_down(name)


@contextmanager
def a_lab(*nodes: NodeSpec) -> Iterator[Lab]:
    """Yield a lab of one's own that is up, by default with one host and one client."""
    with a_name() as name:
        yield Lab.up(LabSpec(name, nodes or PAIR))


@dataclass(frozen=True)
class Traces:
    """What a lab occupied while it was there: its subnet, and its processes by number and time of start."""

    name: str
    index: int | None
    processes: frozenset[tuple[int, str]]

    @classmethod
    def of(cls, name: str) -> Traces:
        """Look at a lab, whole or half made, and at this machine's programs on its network."""
        directory = state.directory(name)
        networks = {path.stat().st_ino for path in network.mounts_below(directory) if path.exists()}
        pids = cgroups.pids(cgroups.of_lab(name)) | {pid for pid in _all_pids() if _network_of(pid) in networks}
        return cls(name, state.index_of(name), frozenset((pid, started) for pid in pids if (started := _start_of(pid))))

    def left(self) -> list[str]:
        """Return, in words, what is still there of the lab; nothing when it is gone without a trace.

        Namespaces live as long as a process is in them or a mount holds them: both are looked for, the mounts in
        everybody's mount table. A host's own processes have the lab's directory in theirs.
        """
        directory = state.directory(self.name)
        found = [str(directory)] if directory.exists() else []
        found += [f"mount {line}" for line in _mounts_everywhere() if f"{directory}/" in line]
        found += [f"cgroup {group}" for group in (cgroups.of_lab(self.name),) if group.exists()]
        if self.index is not None and _interface_is_of(self.index, self.name):
            found.append(f"interface {network.controller_interface(self.index)}")
        found += [f"process {pid}" for pid, started in self.processes if _start_of(pid) == started]
        found += [f"process {pid}: {_command(pid)}" for pid in _all_pids() if self.name in _command(pid)]
        return found


def _interface_is_of(index: int, name: str) -> bool:
    """Tell whether the controller's interface of that subnet is there and not yet another lab's."""
    others = {state.index_of(other) for other in state.labs() if other != name}
    return Path("/sys/class/net", network.controller_interface(index)).exists() and index not in others


def _all_pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def _command(pid: int) -> str:
    """Return a process's command line; "" when it ended, even if nobody has taken note yet."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _start_of(pid: int) -> str:
    """Return when a process started, in the kernel's ticks; "" when it ended, even if nobody has taken note yet."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def _network_of(pid: int) -> int | None:
    try:
        return Path(f"/proc/{pid}/ns/net").stat().st_ino
    except OSError:  # it ended, or may not be looked at
        return None


def _mounts_everywhere() -> set[str]:
    """Return the lines of every mount table on the machine: a mount may live on in somebody else's namespace."""
    lines: set[str] = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended, or may not be looked at
            lines.update((process / "mountinfo").read_text().splitlines())
    return lines
