"""The embedded lab: hosts with a real systemd, and clients, on a network of their own on this machine.

What is named here is loaded when it is first asked for: most tasks ask for no more than the default lab's name.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolkit.lab.core import Lab, take_down
    from toolkit.lab.spec import DEFAULT_SPEC, LabSpec, NodeSpec
    from toolkit.lab.state import Node
    from toolkit.lab.status import LabStatus, NodeStatus

__all__ = ["DEFAULT_SPEC", "Lab", "LabSpec", "LabStatus", "Node", "NodeSpec", "NodeStatus", "take_down"]

_HOMES = {
    "DEFAULT_SPEC": "spec",
    "Lab": "core",
    "LabSpec": "spec",
    "LabStatus": "status",
    "Node": "state",
    "NodeSpec": "spec",
    "NodeStatus": "status",
    "take_down": "core",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found
