"""Every bound the relay keeps: how many, how long, how much. Each is a setting with a default for a small VPS.

The numbers follow from what RetroArch does: a client drops itself about 11 s after connecting when no handshake
arrives, so a link that is not made within 10 s never will be (docs/protocol.md, Time limits).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """How many of each thing may exist at once (counts)."""

    sessions: int = 32
    sessions_per_address: int = 8
    clients_per_session: int = 16
    connections: int = 1024
    half_open: int = 128
    half_open_strangers: int = 16
    connections_per_address: int = 48
    setups_per_second: int = 20


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long each wait lasts (seconds)."""

    first_bytes: float = 10.0
    header: float = 5.0
    link: float = 10.0
    farewell: float = 2.0
    ping: float = 5.0
    host_return: float = 60.0
    host_claim: float = 1.5
    drain: float = 60.0


@dataclass(frozen=True, slots=True)
class Buffers:
    """How much may wait in memory (bytes)."""

    slow_client: int = 8 * 1024 * 1024
    slow_clients: int = 64 * 1024 * 1024
    memory: int = 136 * 1024 * 1024
    waiting_client: int = 64 * 1024
    socket: int = 256 * 1024


# The largest segment (bytes) that both sides send. Kernels learn what a path takes from messages of its hops (ICMP).
# Where these are lost, nothing larger than the smallest hop ever arrives: not one savestate. This much fits through
# 1280 bytes, which every hop of IPv6 must take, and nearly every tunnel, line and mobile network does.
MAX_SEGMENT = 1220
SEGMENTS = (88, 32767)
"""What Linux takes for TCP_MAXSEG, but for 0."""
