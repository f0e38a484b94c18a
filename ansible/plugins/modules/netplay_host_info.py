"""Ansible module: look at a host before a relay is put on it, and change nothing."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.netplay.relay.plugins.module_utils import (
    netplay_firewalls,
    netplay_openrc,
    netplay_orphans,
    netplay_ports,
    netplay_runit,
)

DOCUMENTATION = r"""
module: netplay_host_info
short_description: Look at a host before a relay is put on it
description:
  - Says who holds the relay's ports, whether they are forwarded elsewhere, whether the kernel can filter with nftables
    and which programs for that there are, and whether it has IPv6.
  - Reads only. Works on a host where nothing has been installed yet, and says the same in check mode.
options:
  ports:
    description: The TCP ports the relay will listen on.
    type: list
    elements: int
    required: true
  datagrams:
    description: More ports, where the relay will listen for UDP alone. Who has one of them for TCP is not named.
    type: list
    elements: int
    default: []
author: The netplay-relay developers
"""

EXAMPLES = r"""
- name: Look at the host
  netplay.relay.netplay_host_info:
    ports: [55435]
  register: found
"""

RETURN = r"""
held:
  description: Ports that are in use, each with port, protocol, ours (bool) and holder (a phrase for people).
  type: list
  elements: dict
  returned: always
forwarded:
  description: Ports whose packets a rule sends elsewhere, as Docker does for a published port.
  type: list
  elements: int
  returned: always
nft:
  description: Whether the program nft is installed.
  type: bool
  returned: always
iptables:
  description: Whether the program iptables is installed.
  type: bool
  returned: always
nftables:
  description: Whether the kernel answers nftables questions.
  type: bool
  returned: always
ipv6:
  description: Whether the kernel has IPv6.
  type: bool
  returned: always
"""

NETLINK_NETFILTER = 12
NFT_MSG_NEWGEN = (10 << 8) | 15
NFT_MSG_GETGEN = (10 << 8) | 16
NLM_F_REQUEST = 1


def has_nftables() -> bool:
    """Ask the kernel for the number of its ruleset: only one with nftables has an answer (it loads the module)."""
    # struct nlmsghdr (length, type, flags, sequence, port id), then struct nfgenmsg (family, version, resource).
    question = struct.pack("=IHHIIBBH", 20, NFT_MSG_GETGEN, NLM_F_REQUEST, 1, 0, 0, 0, 0)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as kernel:
            kernel.settimeout(5)
            kernel.sendto(question, (0, 0))
            answer = kernel.recv(4096)
    except OSError:
        return False
    return len(answer) >= 6 and struct.unpack_from("=H", answer, 4)[0] == NFT_MSG_NEWGEN


def main() -> None:
    """Answer one call."""
    module = AnsibleModule(
        argument_spec={
            "ports": {"type": "list", "elements": "int", "required": True},
            "datagrams": {"type": "list", "elements": "int", "default": []},
        },
        supports_check_mode=True,
    )

    def run(command: list[str]) -> str:
        status, output, _ = module.run_command(command, environ_update={"LC_ALL": "C"}, handle_exceptions=False)
        return str(output) if status == 0 else ""

    ports, datagrams = module.params["ports"], module.params["datagrams"]
    services = {**netplay_runit.pids(), **netplay_openrc.pids()}
    orphans = [] if Path("/run/systemd/system").is_dir() else [orphan.pid for orphan in netplay_orphans.find()]
    module.exit_json(
        changed=False,
        held=netplay_ports.survey(ports, run, services=services, datagrams=datagrams, orphans=orphans),
        nftables=has_nftables(),
        ipv6=Path("/proc/net/if_inet6").exists(),
        **netplay_firewalls.survey(ports, run),
    )


if __name__ == "__main__":
    main()
