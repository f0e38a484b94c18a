"""A way between two network namespaces on which every packet takes its time: what no veth has.

    python slow_way.py PID-A PID-B ADDRESS-A ADDRESS-B DELAY JITTER LOSE-EACH LARGEST

A program of its own (standard library and ip). Makes a point-to-point interface "slow" in the namespaces of both
processes. DELAY is milliseconds one way; every second packet takes JITTER more; of the packets that begin a connection
each LOSE-EACH-th is lost (0: none); so is every packet of more than LARGEST bytes (0: none), and nobody is told. Prints
"up" and carries packets until its input ends.
"""

import ctypes
import fcntl
import heapq
import os
import selectors
import struct
import subprocess
import sys
import time
from pathlib import Path

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
CLONE_NEWNET = 0x40000000
TCP, SYN = 6, 0x02


def interface(pid: str, mine: str, peer: str) -> int:
    """Make the interface in the namespace of a process; return what its packets are read from and written to."""
    with Path(f"/proc/{pid}/ns/net").open() as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", b"slow", IFF_TUN | IFF_NO_PI))
    for words in (f"address add {mine} peer {peer} dev slow", "link set slow up"):
        subprocess.run(["ip", *words.split()], check=True)
    return tun


def is_lost(packet: bytes, begun: list[int], each: int) -> bool:
    """Tell whether this packet begins a connection (IPv4, TCP, SYN alone) and is to be lost."""
    if not each or packet[0] >> 4 != 4 or packet[9] != TCP or packet[(packet[0] & 15) * 4 + 13] != SYN:
        return False
    begun[0] += 1
    return begun[0] % each == 0


def carry(one: int, other: int, delay: float, jitter: float, each: int, largest: int) -> None:
    """Carry packets between both until standard input ends; delay and jitter are seconds."""
    waiting: list[tuple[float, int, int, bytes]] = []
    count, begun = 0, [0]
    with selectors.DefaultSelector() as selector:
        for file in (one, other, 0):
            selector.register(file, selectors.EVENT_READ)
        while True:
            now = time.monotonic()
            while waiting and waiting[0][0] <= now:
                _, _, out, packet = heapq.heappop(waiting)
                os.write(out, packet)
            for key, _ in selector.select(max(0.0, waiting[0][0] - now) if waiting else None):
                if key.fd == 0:
                    return
                packet = os.read(key.fd, 65536)
                if not is_lost(packet, begun, each) and not 0 < largest < len(packet):
                    count += 1
                    due = time.monotonic() + delay + (jitter if count % 4 < 2 else 0)
                    heapq.heappush(waiting, (due, count, other if key.fd == one else one, packet))


if __name__ == "__main__":
    pid_a, pid_b, address_a, address_b, *numbers = sys.argv[1:]
    milliseconds, more, lose, most = (int(number) for number in numbers)
    ends = interface(pid_a, address_a, address_b), interface(pid_b, address_b, address_a)
    sys.stdout.write("up\n")
    sys.stdout.flush()
    carry(*ends, milliseconds / 1000, more / 1000, lose, most)
