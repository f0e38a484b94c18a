"""Taking away a table of nftables that holds nothing, by the kernel's own interface.

iptables on nft makes such tables, and a host that has it alone has no program that takes them away. The messages are
those of linux/netfilter/nfnetlink.h and nf_tables.h.
"""

from __future__ import annotations

import socket
import struct

NETLINK_NETFILTER = 12
NLMSG_ERROR = 2
REQUEST, ACK = 0x1, 0x4
# Not with what is in it: the kernel then answers EBUSY for a table that holds anything.
ONLY_EMPTY = 0x100
BATCH_BEGIN, BATCH_END, DELETE_TABLE = 0x10, 0x11, (10 << 8) | 2
NFTABLES = 10
NAME = 1
FAMILIES = {"ip": 2, "ip6": 10}
ANSWER_SECONDS = 5.0


def drop_empty(family: str, name: str) -> bool:
    """Delete a table if there is nothing in it; return whether it was deleted. family: "ip" or "ip6"."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER) as kernel:
            kernel.settimeout(ANSWER_SECONDS)
            kernel.sendto(request(FAMILIES[family], name), (0, 0))
            return code(kernel.recv(65536)) == 0
    except OSError:
        return False


def request(family: int, name: str) -> bytes:
    """Return a transaction that deletes one table, if it is empty."""
    text = name.encode() + b"\0"
    attribute = struct.pack("=HH", 4 + len(text), NAME) + text + b"\0" * (-len(text) % 4)
    return (
        _message(BATCH_BEGIN, REQUEST, 0, NFTABLES, b"")
        + _message(DELETE_TABLE, REQUEST | ACK | ONLY_EMPTY, family, 0, attribute)
        + _message(BATCH_END, REQUEST, 0, NFTABLES, b"")
    )


def _message(kind: int, flags: int, family: int, resource: int, payload: bytes) -> bytes:
    # struct nlmsghdr (length, type, flags, sequence, port id), then struct nfgenmsg (family, version, resource).
    head = struct.pack("=IHHII", 20 + len(payload), kind, flags, 1, 0)
    return head + struct.pack("=BB", family, 0) + struct.pack("!H", resource) + payload


def code(answer: bytes) -> int | None:
    """Return what an acknowledgement says: 0, or a negative errno; None when it is none."""
    if len(answer) < 20 or struct.unpack_from("=H", answer, 4)[0] != NLMSG_ERROR:
        return None
    return int(struct.unpack_from("=i", answer, 16)[0])
