"""What the kernel knows about a TCP connection: round trip, jitter, what had to be sent again. Linux's TCP_INFO.

It costs one system call, sends nothing, and works where the players' game cannot be asked. The structure only ever
grew, so an older kernel's is a shorter one: what it does not reach is None.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

# More than any kernel's structure so far (280 bytes in Linux 6.18).
MOST = 512

STATES = {
    1: "established",
    2: "syn-sent",
    3: "syn-received",
    4: "fin-wait-1",
    5: "fin-wait-2",
    6: "time-wait",
    7: "closed",
    8: "close-wait",
    9: "last-ack",
    10: "listen",
    11: "closing",
    12: "new",
}

_STATE = struct.Struct("=B")
_RTT = struct.Struct("=2I")
_COUNT = struct.Struct("=I")
_BYTES = struct.Struct("=Q")
RTT_AT = 68
RETRANSMITS_AT = 100
ACKED_AT = 120
RECEIVED_AT = 128
UNACKED_AT = 24
HEARD_AT = 52
# Seconds without a sign of life, with something to confirm, from which on a machine is shown as silent. Where nothing
# is on its way keepalive asks for one every few seconds (relay/net/sockets.py), and that has to be over, too.
SILENT = 2.0
IDLE = 8.0


@dataclass(frozen=True, slots=True)
class TcpInfo:
    """One connection, as the kernel sees it now.

    state is a word of STATES; rtt (smoothed) and jitter (its mean deviation) are seconds, 0 while nothing has been
    measured; retransmits counts segments sent again since the connection began; acked and received are the bytes the
    peer has confirmed and has sent. unacked counts segments that the peer has not confirmed yet; heard is for how long
    (seconds) nothing at all came from it, not even an acknowledgement.
    """

    state: str
    rtt: float
    jitter: float
    retransmits: int | None = None
    acked: int | None = None
    received: int | None = None
    unacked: int = 0
    heard: float = 0.0

    @property
    def silence(self) -> float | None:
        """For how long (seconds) the peer's machine is silent; None where nothing says that it is."""
        waits = self.unacked or self.heard >= IDLE
        return self.heard if waits and self.heard >= SILENT else None


def of(sock: socket.socket) -> TcpInfo | None:
    """Return what the kernel knows about a socket; None for one that is closed, or not TCP."""
    try:
        return decode(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, MOST))
    except OSError:
        return None


def way(sock: socket.socket) -> dict[str, float | int | None] | None:
    """Return what status shows of the way to a peer: seconds and a count. silence: how long it gave no sign of life."""
    info = of(sock)
    if info is None:
        return None
    silence = None if info.silence is None else round(info.silence, 1)
    return {"rtt": info.rtt, "jitter": info.jitter, "retransmits": info.retransmits, "silence": silence}


def decode(data: bytes) -> TcpInfo | None:
    """Return what a struct tcp_info says; None where it is too short to hold a round trip."""
    rtt = _at(_RTT, data, RTT_AT)
    state = _at(_STATE, data, 0)
    if rtt is None or state is None:
        return None
    return TcpInfo(
        state=STATES.get(state[0], f"unknown ({state[0]})"),
        rtt=rtt[0] / 1e6,
        jitter=rtt[1] / 1e6,
        retransmits=_first(_at(_COUNT, data, RETRANSMITS_AT)),
        acked=_first(_at(_BYTES, data, ACKED_AT)),
        received=_first(_at(_BYTES, data, RECEIVED_AT)),
        unacked=(_at(_COUNT, data, UNACKED_AT) or (0,))[0],
        heard=min(_at(_RTT, data, HEARD_AT) or (0,)) / 1000,
    )


def _at(form: struct.Struct, data: bytes, place: int) -> tuple[int, ...] | None:
    return form.unpack_from(data, place) if len(data) >= place + form.size else None


def _first(values: tuple[int, ...] | None) -> int | None:
    return values[0] if values else None
