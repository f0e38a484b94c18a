"""The embedded lab: hosts with a real systemd, and clients, on a network of their own on this machine."""

from toolkit.lab.core import Lab, take_down
from toolkit.lab.spec import DEFAULT_SPEC, LabSpec, NodeSpec
from toolkit.lab.state import Node
from toolkit.lab.status import LabStatus, NodeStatus

__all__ = ["DEFAULT_SPEC", "Lab", "LabSpec", "LabStatus", "Node", "NodeSpec", "NodeStatus", "take_down"]
