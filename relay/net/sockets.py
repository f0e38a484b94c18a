"""The options of the relay's sockets, set once on the listener: Linux hands them to every accepted connection."""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import ipaddress
import resource
import socket
import termios
from functools import lru_cache

from relay.addresses import Address, canonical
from relay.limits import MAX_SEGMENT

BACKLOG = 4096
OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
# A paused RetroArch is silent for hours but its kernel answers. Every 5 s it is asked for a sign of life, which soon
# shows who is silent (relay/net/tcpinfo.py), and then each second, for one question may be lost: whoever is silent for
# 7 s makes way for others. 120 s without an answer are the end. Keepalive rests while something is on its way, a ping
# for one; then it is the time without an acknowledgement that counts (milliseconds). A paused RetroArch's kernel
# acknowledges; but not once its buffer is full, however alive it is: see `linked`.
DEAD_PEER = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 115, "TCP_USER_TIMEOUT": 120_000}


class Listener(socket.socket):
    """A listening socket whose family and type are the kernel's numbers.

    `accept` gives both to every new socket; that one need not know them as the enums `socket.socket` makes each time.
    """

    family = socket.SocketType.family  # type: ignore[assignment]
    type = socket.SocketType.type  # type: ignore[assignment]


def listen(address: str, port: int, buffer: int) -> Listener:
    """Open a listening socket on a numeric address; port 0 takes any free one. Raises OSError.

    IPv6 sockets take IPv6 only, so that "0.0.0.0" and "::" can stand beside each other.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = Listener(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # A stalled link then holds about half a MB of kernel memory and not ten; less costs savestates their speed.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


@lru_cache(maxsize=32)  # a host comes again for each of its links, at once
def address_of(peer: str) -> Address:
    """Return the address of a peer as the kernel wrote it; an IPv4 client of a dual-stack listener as IPv4."""
    if ":" in peer:
        return canonical(peer)
    return ipaddress.IPv4Address(int.from_bytes(socket.inet_aton(peer), "big"))


def datagrams(address: str, port: int) -> socket.socket:
    """Open a UDP socket on a numeric IPv4 address, for LAN discovery. Raises OSError."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.bind((address, port))
    except OSError:
        sock.close()
        raise
    return sock


def prepare(listener: socket.socket, max_segment: int = MAX_SEGMENT) -> None:
    """Make a listener, our own or an inherited one, pass on what every connection needs.

    That is: no delay, keepalive, and no segment above max_segment bytes (0: what the kernels agree on).
    """
    listener.setblocking(False)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    with contextlib.suppress(OSError):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, max_segment)
    for name, value in DEAD_PEER.items():
        with contextlib.suppress(AttributeError, OSError):
            listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def linked(sock: socket.socket) -> None:
    """Let a connection that is played on from now on stand for as long as its peer's kernel answers at all.

    TCP_USER_TIMEOUT counts a closed window as no acknowledgement (tcp(7)), though the peer answers every probe: who
    only watches, and pauses, would be gone after two minutes or three.
    """
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 0)


def raise_file_limit() -> None:
    """Allow this process as many open files as it may have: the usual 1024 are fewer than the relay's own limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def inherit(fd: int) -> socket.socket:
    """Take over an open socket by its number; children of ours will not have it. Raises OSError."""
    sock = socket.socket(fileno=fd)
    sock.set_inheritable(False)
    sock.setblocking(False)
    return sock


def acked(sock: socket.socket) -> bool:
    """Tell whether the peer's kernel has acknowledged everything sent on a TCP socket: whether anybody is there at all.

    Whatever the program behind the peer does.
    """
    return not unacked(sock)


def unacked(sock: socket.socket) -> int:
    """Return how many bytes the peer's kernel has not acknowledged yet, 0 if it cannot be told (SIOCOUTQ, tcp(7))."""
    unsent = array.array("i", [0])
    try:
        fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, unsent)
    except OSError:
        return 0
    return unsent[0]
