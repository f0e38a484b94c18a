"""Being told when somebody changes the host's nftables, by the kernel's own announcements (nfnetlink(7))."""

from __future__ import annotations

import contextlib
import socket

NETLINK_NETFILTER = 12
SOL_NETLINK = 270
ADD_MEMBERSHIP = 1
GROUP_NFTABLES = 7


def listen() -> socket.socket | None:
    """Return a socket that becomes readable when a ruleset changes; None where the kernel or its rights forbid it."""
    with contextlib.suppress(OSError, AttributeError):
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
        try:
            sock.bind((0, 0))
            sock.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, GROUP_NFTABLES)
            sock.setblocking(False)
        except OSError:
            sock.close()
            raise
        return sock
    return None


def drain(sock: socket.socket) -> bool:
    """Read away what has been announced; return whether there was anything. Too much to keep counts too (ENOBUFS)."""
    told = False
    while True:
        try:
            sock.recv(65536)
        except BlockingIOError:
            return told
        except OSError:
            return True
        told = True
