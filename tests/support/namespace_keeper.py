"""Brings loopback up in the namespace that it is started in, says so, and stays until its input ends.

A program of its own (standard library alone): the namespace lives as long as a process in it.
"""

import fcntl
import socket
import struct
import sys

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1


def bring_up(interface: str) -> None:
    """Set the interface's flag 'up'. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh14x", interface.encode(), 0)
        _, flags = struct.unpack("16sh14x", fcntl.ioctl(control, SIOCGIFFLAGS, request))
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", interface.encode(), flags | IFF_UP))


if __name__ == "__main__":
    bring_up("lo")
    sys.stdout.write("up\n")
    sys.stdout.flush()
    sys.stdin.read()
