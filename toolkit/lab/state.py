"""Where a lab keeps what it knows: one directory for each lab, its lock, and the subnet it claimed."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from toolkit.errors import UserError
from toolkit.lab.spec import name_option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from toolkit.lab.spec import NodeKind, NodeSpec

RUN: Final = Path("/run/netplay-lab")
FIRST_NUMBER: Final = 10
_NODE_FIELDS: Final = ("name", "kind", "rootfs", "lower", "number")
SUBNETS: Final = range(1, 255)


def prefix6(index: int) -> str:
    """Return the first 48 bits of the IPv6 addresses of the lab with that subnet: its nodes share the link."""
    return f"fd4e:7052:6c{index:02x}"


@dataclass(frozen=True)
class Node:
    """A node of a lab that was made: what it is, and its addresses.

    `lower` is the root file system below a host's own layer, the same for the host's whole life ("" for a client).
    """

    name: str
    kind: NodeKind
    rootfs: str
    lower: str
    number: int
    index: int

    @property
    def ipv4(self) -> str:
        """The node's IPv4 address."""
        return f"10.213.{self.index}.{self.number}"

    @property
    def ipv6(self) -> str:
        """The node's IPv6 address (a unique local one), in a /64 of its own as every household has one."""
        return f"{prefix6(self.index)}:{self.number:x}::1"


@dataclass(frozen=True)
class State:
    """What is on disk about a lab. `uid` and `gid` own its ssh files; `ready` says that an up came to its end."""

    name: str
    index: int
    uid: int
    gid: int
    ready: bool
    nodes: tuple[Node, ...]

    @property
    def directory(self) -> Path:
        """Everything of the lab is below this directory."""
        return directory(self.name)

    @property
    def ssh_directory(self) -> Path:
        """Key, known hosts, configuration and control sockets: the owner's."""
        return self.directory / "ssh"

    def netns(self, name: str) -> Path:
        """Return the file that a node's network namespace is bound to."""
        return self.directory / "netns" / name

    def host_directory(self, name: str) -> Path:
        """Return where a host's writable layer, PID file and console log are."""
        return self.directory / "hosts" / name

    def node(self, name: str) -> Node:
        """Return the node of that name; UserError when there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        known = ", ".join(node.name for node in self.nodes)
        raise UserError(f"the lab {self.name} has no node {name!r}", fix=f"Its nodes are: {known}.")

    def save(self) -> None:
        """Write the state in one step: a reader sees the old one or the new one."""
        raw = {
            "index": self.index,
            "uid": self.uid,
            "gid": self.gid,
            "ready": self.ready,
            "nodes": [{field: getattr(node, field) for field in _NODE_FIELDS} for node in self.nodes],
        }
        target = self.directory / "state.json"
        fresh = target.with_suffix(".new")
        fresh.write_text(json.dumps(raw, indent=2) + "\n")
        fresh.chmod(0o644)
        fresh.replace(target)


def directory(name: str) -> Path:
    """Return the directory of the lab of that name, there or not."""
    return RUN / name


def read(name: str) -> State | None:
    """Return what is known about a lab, or None when there is no such lab.

    Raises UserError when it was made by another version of this toolkit.
    """
    try:
        raw: dict[str, Any] = json.loads((directory(name) / "state.json").read_text())
        index = int(raw["index"])
        nodes = tuple(Node(index=index, **node) for node in raw["nodes"])
        return State(name, index, int(raw["uid"]), int(raw["gid"]), bool(raw["ready"]), nodes)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"the lab {name} was made by another version of this toolkit",
            fix=f"Take it down, then up again: invoke lab.down{name_option(name)}",
        ) from None


def index_of(name: str) -> int | None:
    """Return the subnet a lab has claimed, whichever version made it; None when it has none."""
    try:
        return int(json.loads((directory(name) / "state.json").read_text())["index"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def labs() -> list[str]:
    """Return the names of the labs that have a directory, sorted."""
    return sorted(path.parent.name for path in RUN.glob("*/state.json"))


def claim(name: str, taken: set[int]) -> State:
    """Read the lab's state, or make a new one with a subnet that no lab and nobody else (`taken`) has.

    The caller holds the lab's lock. The state is on disk before anything is made under its subnet, so that whoever
    is killed half-way leaves enough behind for `down`.
    """
    known = read(name)
    if known is not None:
        return known
    with locked(RUN):
        used = taken | {index for index in map(index_of, labs()) if index is not None}
        free = next((index for index in SUBNETS if index not in used), None)
        if free is None:
            raise UserError(
                f"no subnet is left for the lab {name}: all of 10.213.1.0 to 10.213.254.0 are in use",
                fix="Take a lab down: invoke lab.down --name NAME",
            )
        state = State(name, free, *_owner(), ready=False, nodes=())
        state.save()
        return state


def with_node(state: State, spec: NodeSpec, lower: str) -> State:
    """Return the state with that node added under the next number (not saved)."""
    number = max((node.number for node in state.nodes), default=FIRST_NUMBER - 1) + 1
    return replace(state, nodes=(*state.nodes, Node(spec.name, spec.kind, spec.rootfs, lower, number, state.index)))


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock of a directory, which is made when missing; others wait, after a call of `waiting`.

    The directory may be removed by whoever held the lock before: then it is made and locked anew.
    """
    while True:
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if waiting:
                    waiting()
                fcntl.flock(handle, fcntl.LOCK_EX)
            if _is_still(path, handle):
                yield
                return
        finally:
            os.close(handle)


@contextlib.contextmanager
def readable() -> Iterator[None]:
    """Make files that everybody may read, whatever the caller's umask: hosts are made of them, and users read some."""
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)


def _is_still(path: Path, handle: int) -> bool:
    """Tell whether the path still names the directory that was opened."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _owner() -> tuple[int, int]:
    """Return uid and gid of the person behind this process, sudo or not."""
    return int(os.environ.get("SUDO_UID", os.getuid())), int(os.environ.get("SUDO_GID", os.getgid()))
