"""A TCP socket that hears nothing for a while: whatever comes to it is lost, as on a bad line."""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
from collections.abc import Iterator

from tests.support import needs

# socket(7); Python's socket module does not name them.
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
# One instruction of a classic packet filter (BPF_RET | BPF_K): keep 0 bytes of every packet.
KEEP_NOTHING = struct.pack("=HBBI", 0x06, 0, 0, 0)


@contextlib.contextmanager
def deaf(sock: socket.socket) -> Iterator[None]:
    """Let the kernel drop every packet to a connected socket, acknowledgements too; its peer sends them again."""
    program = ctypes.create_string_buffer(KEEP_NOTHING, len(KEEP_NOTHING))
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", 1, ctypes.addressof(program)))
    except PermissionError:
        needs.lack("the kernel lets this account attach no filter to a socket")
    try:
        yield
    finally:
        sock.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
