"""The bytes that RetroArch sends, built independently of relay.protocol so that a mistake there cannot hide here."""

from __future__ import annotations

import base64
import os
import struct

ZERO = b"\0" * 12


def header(word3: int = 6, word4: int = 5, word0: bytes = b"RANP", word5: int = 0x469) -> bytes:
    """Return a netplay header of 24 bytes; a modern client's by default."""
    return word0 + struct.pack(">5I", 0x00040008, 1, word3, word4, word5)


# A client's of RetroArch 1.9.0, which the relay introduces to its host.
OLD_HEADER = header(word3=0, word5=0x259)
HOST_HELLO = b"RATS" + ZERO
PING = b"RATP"


def join(session: bytes | str, head: bytes | None = None) -> bytes:
    """Return what a client sends first: the session it wants and its header."""
    raw = base64.b64decode(session) if isinstance(session, str) else session
    return b"RATS" + raw + (header() if head is None else head)


def link(client: bytes) -> bytes:
    """Return what a host sends on a new connection for a client."""
    return b"RATL" + client


def address_query(client: bytes) -> bytes:
    """Return a host's question for a client's address."""
    return b"RATA" + client


def random_id() -> bytes:
    """Return 12 random bytes."""
    return os.urandom(12)
