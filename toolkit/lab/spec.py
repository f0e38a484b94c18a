"""What a lab is made of: its name and its nodes, checked before anything is touched."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from toolkit.errors import UserError

NodeKind = Literal["host", "client"]

# Names end up in paths, host names and interface names; an ssh control socket's path holds the lab's name and must
# stay below the 108 bytes of a Unix socket's address.
_LAB_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,19}")
_NODE_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,29}")
MAX_NODES: Final = 200


@dataclass(frozen=True)
class NodeSpec:
    """One node.

    A "host" has its own root file system (`rootfs`: a Debian suite, or "voidlike"), its init as PID 1 and sshd. A
    "client" is a network namespace only: programs of the controller run in it.
    """

    name: str
    kind: NodeKind
    rootfs: str = "bookworm"

    def __post_init__(self) -> None:
        if not _NODE_NAME.fullmatch(self.name):
            raise UserError(
                f"{self.name!r} cannot be the name of a node",
                fix="Use at most 30 small letters, digits and dashes, a letter first.",
            )


@dataclass(frozen=True)
class LabSpec:
    """A lab: a name of its own on this machine, and its nodes."""

    name: str
    nodes: tuple[NodeSpec, ...]

    def __post_init__(self) -> None:
        check_lab_name(self.name)
        names = [node.name for node in self.nodes]
        for name in names:
            if names.count(name) > 1:
                raise UserError(f"the lab {self.name} names the node {name} twice", fix="Give each node its own name.")
        if len(names) > MAX_NODES:
            raise UserError(
                f"the lab {self.name} asks for {len(names)} nodes", fix=f"A lab holds at most {MAX_NODES} nodes."
            )

    def to_json(self) -> str:
        """Return the spec as one line, as `python -m toolkit.lab up --spec` takes it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> LabSpec:
        """Read what `to_json` wrote; UserError when it is something else."""
        try:
            raw: dict[str, Any] = json.loads(text)
            return cls(raw["name"], tuple(NodeSpec(**node) for node in raw["nodes"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"this is not a lab's spec: {error}",
                fix='It reads {"name": "lab", "nodes": [{"name": "relay", "kind": "host"}]}.',
            ) from None


def check_lab_name(name: str) -> None:
    """Raise UserError when `name` cannot be a lab's."""
    if not _LAB_NAME.fullmatch(name):
        raise UserError(
            f"{name!r} cannot be the name of a lab",
            fix="Use at most 20 small letters, digits and dashes, a letter first.",
        )


def name_option(name: str) -> str:
    """Return the option that names a lab in a command to type, nothing for the default one."""
    return "" if name == DEFAULT_SPEC.name else f" --name {name}"


DEFAULT_SPEC: Final = LabSpec(
    "lab",
    (
        NodeSpec("relay", "host"),
        NodeSpec("player", "client"),
        NodeSpec("friend", "client"),
        NodeSpec("stranger", "client"),
    ),
)
"""One relay host, the player who hosts the game, a friend, and somebody who is not let in."""
