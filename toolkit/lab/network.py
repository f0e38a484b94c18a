"""The lab's network: a bridge in a namespace of its own, a namespace for each node, one link to the controller.

The bridge is not in the controller's namespace because the controller's firewall would filter what crosses it
(bridge-nf-call-iptables). Its namespace is also every node's default gateway, and answers "unreachable" at once for
whatever is not the lab: a node has a default route, as a real host has, and no way out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from toolkit.lab.programs import run
from toolkit.lab.state import prefix6

if TYPE_CHECKING:
    from toolkit.lab.state import Node, State

_BRIDGE_NAMESPACE: Final = "_bridge"  # no node's name can start with an underscore
_BRIDGE: Final = "lab0"
_GATEWAY4: Final = 254
_GATEWAY6: Final = "ffff"
_FAMILIES: Final = ("-4", "-6")
_RULE: Final = 213
"""The priority of our rules: behind the one for this machine's own addresses (0), ahead of those that route."""


def controller_interface(index: int) -> str:
    """Return the name of the controller's end of the link to the lab with that subnet."""
    return f"nlab{index}"


def taken_subnets() -> set[int]:
    """Return the subnets (third numbers of 10.213.x.0/24) that the controller's interfaces use, whoever made them."""
    taken: set[int] = set()
    for interface in json.loads(run(["ip", "-json", "address", "show"]) or "[]"):
        name = str(interface.get("ifname", ""))
        if name.startswith("nlab") and name[4:].isdigit():
            taken.add(int(name[4:]))
        for address in interface.get("addr_info", []):
            parts = str(address.get("local", "")).split(".")
            if parts[:2] == ["10", "213"]:
                taken.add(int(parts[2]))
    return taken


def inside(namespace: Path) -> list[str]:
    """Return the start of a command line whose rest runs in the network namespace bound to that file."""
    return ["nsenter", f"--net={namespace}", "--"]


def is_namespace(path: Path) -> bool:
    """Tell whether a namespace is bound to the file."""
    return any(where == path for where in mounts_below(path.parent))


def mounts_below(directory: Path) -> list[Path]:
    """Return what is mounted below a directory, in the order of mounting."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        where = Path(line.split(" ")[4])
        if directory in where.parents:
            found.append(where)
    return found


def make_bridge(state: State) -> None:
    """Make the bridge and the controller's link to it; what is whole is left alone."""
    namespace = state.netns(_BRIDGE_NAMESPACE)
    controller = controller_interface(state.index)
    _keep_in(state.index)
    if is_namespace(namespace) and _addresses([], controller) >= {f"10.213.{state.index}.1", _prefix6(state) + "1"}:
        return
    _unlink(controller)
    _new_namespace(namespace)
    enter = inside(namespace)
    run([*enter, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"])
    _ip(
        enter,
        f"link add {_BRIDGE} type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
        f"address add 10.213.{state.index}.{_GATEWAY4}/24 dev {_BRIDGE}",
        f"address add {_prefix6(state)}{_GATEWAY6}/48 dev {_BRIDGE} nodad",
        "link set lo up",
        f"link set {_BRIDGE} up",
        "route add unreachable default",
        "route add unreachable ::/0",
    )
    run(["ip", "link", "add", controller, "type", "veth", "peer", "name", "uplink", "netns", str(namespace)])
    # Should somebody take the rules away, IPv4 stays in by this; where forwarding is switched on later it is undone.
    for family in ("ipv4", "ipv6"):
        Path(f"/proc/sys/net/{family}/conf/{controller}/forwarding").write_text("0", encoding="utf-8")
    _ip(enter, f"link set uplink master {_BRIDGE} up")
    _ip(
        [],
        f"link set {controller} up",
        f"address add {_prefix6(state)}1/48 dev {controller} nodad",
        f"address add 10.213.{state.index}.1/24 dev {controller}",
    )


def make_node(state: State, node: Node) -> None:
    """Give the node a network namespace of its own with both addresses, replacing the one it had.

    A host that restarts comes back with a new one: firewall rules and addresses that nothing restores at boot are
    gone, as they would be on a real host.
    """
    namespace = state.netns(node.name)
    bridge = inside(state.netns(_BRIDGE_NAMESPACE))
    port = f"port{node.number}"
    run([*bridge, "ip", "link", "delete", port], check=False)
    _new_namespace(namespace)
    # The same hardware address at every boot: the neighbours' tables stay true.
    hardware = f"02:4e:52:{state.index:02x}:00:{node.number:02x}"
    _ip(
        bridge,
        f"link add {port} type veth peer name eth0 address {hardware} netns {namespace}",
        f"link set {port} master {_BRIDGE} up",
    )
    _ip(
        inside(namespace),
        "link set lo up",
        "link set eth0 up",
        f"address add {node.ipv6}/48 dev eth0 nodad",
        f"address add {node.ipv4}/24 dev eth0",
        f"route add default via 10.213.{state.index}.{_GATEWAY4}",
        f"route add ::/0 via {_prefix6(state)}{_GATEWAY6}",
    )


def is_whole(state: State, node: Node) -> bool:
    """Tell whether the node's namespace is there with its link up and both addresses."""
    namespace = state.netns(node.name)
    return is_namespace(namespace) and _addresses(inside(namespace), "eth0") >= {node.ipv4, node.ipv6}


def rules(index: int) -> list[tuple[str, int]]:
    """Return the controller's rules about what comes from a lab, as family (as `ip` takes it) and priority."""
    name = controller_interface(index)
    return [
        (family, int(rule["priority"]))
        for family in _FAMILIES
        for rule in json.loads(run(["ip", family, "-json", "rule", "show"]) or "[]")
        if rule.get("iif") == name
    ]


def unlink_controller(index: int) -> None:
    """Remove the controller's link to the lab, then the rules that kept the lab in, whichever of them are there."""
    name = controller_interface(index)
    _unlink(name)
    for family, priority in rules(index):
        run(["ip", family, "rule", "delete", "iif", name, "priority", str(priority)])


def _keep_in(index: int) -> None:
    """Have the controller, where it routes for others as with containers, not do so for the lab.

    A rule for each family and not the settings of the interface: Linux knows none for IPv6, and sets that for IPv4
    anew when forwarding is switched on for the whole machine. What is for the machine itself never comes to it.
    """
    missing = {(family, _RULE) for family in _FAMILIES} - set(rules(index))
    for family, priority in sorted(missing):
        # As one of the kernel's, for systemd-networkd removes what is not its own and not the kernel's when it starts.
        rule = f"priority {priority} iif {controller_interface(index)} prohibit protocol kernel"
        run(["ip", family, "rule", "add", *rule.split()])


def _unlink(name: str) -> None:
    """Remove the controller's end of a link, if it is there."""
    # It goes by itself, at a time of the kernel's choosing, once its other end's namespace is gone.
    there = Path("/sys/class/net", name)
    if there.exists():
        run(["ip", "link", "delete", name], check=False)
    if there.exists():
        run(["ip", "link", "delete", name])


def release(namespace: Path) -> None:
    """Let go of the namespace that is bound to the file, if there is one, and remove the file."""
    while is_namespace(namespace):
        run(["umount", "--lazy", str(namespace)])
    namespace.unlink(missing_ok=True)


def _new_namespace(path: Path) -> None:
    """Bind a new, empty network namespace to the file.

    No duplicate address detection in it: a lab's addresses are its own, and the wait would cost each boot a second.
    """
    release(path)
    path.parent.mkdir(exist_ok=True)
    path.touch()
    quiet = ["sysctl", "-qw", *(f"net.ipv6.conf.{which}.accept_dad=0" for which in ("all", "default"))]
    run(["unshare", f"--net={path}", "--", *quiet])


def _ip(enter: list[str], *commands: str) -> None:
    """Run several commands of `ip` in one go."""
    run([*enter, "ip", "-batch", "-"], stdin="\n".join(commands) + "\n")


def _addresses(enter: list[str], interface: str) -> set[str]:
    """Return the addresses of an interface that is up; none when it is down or missing."""
    try:
        shown: list[dict[str, Any]] = json.loads(
            run([*enter, "ip", "-json", "address", "show", "dev", interface, "up"], check=False) or "[]"
        )
    except json.JSONDecodeError:
        return set()
    return {
        str(address.get("local"))
        for link in shown
        if link.get("operstate") == "UP"
        for address in link.get("addr_info", [])
    }


def _prefix6(state: State) -> str:
    """Return the start of the lab's own IPv6 addresses (gateway, controller), ready for a last number."""
    return f"{prefix6(state.index)}::"
