"""What a lab looks like right now, node by node."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from toolkit.lab import hosts, inits, network, state
from toolkit.lab.programs import run

if TYPE_CHECKING:
    from toolkit.lab.state import Node, State


@dataclass(frozen=True)
class NodeStatus:
    """One node. `state` is "ready" for a client, systemd's word for a host ("running", "degraded"...), or "dead"."""

    name: str
    kind: str
    rootfs: str
    state: str
    ipv4: str
    ipv6: str


@dataclass(frozen=True)
class LabStatus:
    """One lab. `up` says that its last up came to its end and every node is there."""

    name: str
    up: bool
    nodes: tuple[NodeStatus, ...]

    def to_raw(self) -> dict[str, Any]:
        """Return the status as plain dictionaries and lists."""
        return asdict(self)

    @classmethod
    def from_raw(cls, raw: dict[str, Any]) -> LabStatus:
        """Make a status of what `to_raw` returned."""
        return cls(raw["name"], raw["up"], tuple(NodeStatus(**node) for node in raw["nodes"]))


def look(name: str) -> LabStatus:
    """Return the status of a lab, there or not. Needs root."""
    known = state.read(name)
    if known is None:
        return LabStatus(name, up=False, nodes=())
    nodes = tuple(_node(known, node) for node in known.nodes)
    return LabStatus(name, up=known.ready and all(node.state != "dead" for node in nodes), nodes=nodes)


def _node(known: State, node: Node) -> NodeStatus:
    rootfs = node.rootfs if node.kind == "host" else ""
    return NodeStatus(node.name, node.kind, rootfs, _word(known, node), node.ipv4, node.ipv6)


def _word(known: State, node: Node) -> str:
    """Return a node's state in a word."""
    if not network.is_whole(known, node):
        return "dead"
    if node.kind == "client":
        return "ready"
    number = hosts.pid(known, node)
    if number is None:
        return "dead"
    argv = ["timeout", "5", *hosts.inside(number), *inits.of(node.rootfs).state]
    return run(argv, check=False).strip() or "hanging"
