"""LAN discovery: the answer that puts a room on RetroArch's own list of games on the local network.

RetroArch asks with 4 bytes by broadcast, and 688 bytes answer: for whoever may forge a sender's address that is an
amplifier of 172. So an answer exists only for the addresses RetroArch would list, the private ones of IPv4, and only a
few a second. Sans-I/O; the rules are in docs/protocol.md, LAN discovery.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

from relay.addresses import Address

PORT = 55435
QUERY = b"RANQ"
ANSWER = b"RANS"
ANSWER_SIZE = 688
# What RetroArch shows where it is not told; a relay never learns the name of the content, only its CRC.
UNKNOWN = "N/A"
# The oldest RetroArch that can host by a relay, said where the host's own is not known: clients list nobody who says
# less than 1.9.1.
OLDEST = "1.10.0"
LISTED = tuple(ipaddress.IPv4Network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))

PASSWORD = 1 << 0
SPECTATE_PASSWORD = 1 << 1

# Magic, CRC, port, flags; nick, frontend, core, its version, RetroArch's; content, subsystem.
_ANSWER = struct.Struct(">4s3I32s32s32s32s32s256s256s")


@dataclass(frozen=True, slots=True)
class Room:
    """What an answer says of a room.

    name is shown as the host's nick. port is the TCP port to join at the address the answer comes from, without a
    session id, so it must mean this room. content_crc 0 stands for unknown. retroarch is the host's release.
    """

    name: str
    port: int
    core: str = UNKNOWN
    core_version: str = UNKNOWN
    content_crc: int = 0
    retroarch: str = OLDEST
    password: bool = False
    spectate_password: bool = False


def answer(query: bytes, source: Address, room: Room) -> bytes | None:
    """Return the datagram for whoever asked from source; None where none may be sent.

    None also for the 524-byte query of RetroArch 1.9.14 and older, whose answer is another.
    """
    if query != QUERY or not is_listed(source):
        return None
    flags = (PASSWORD if room.password else 0) | (SPECTATE_PASSWORD if room.spectate_password else 0)
    texts = [room.name, "netplay-relay", room.core, room.core_version, room.retroarch]
    fields = [_field(text, 32) for text in texts] + [_field(UNKNOWN, 256)] * 2
    return _ANSWER.pack(ANSWER, room.content_crc & 0xFFFFFFFF, room.port, flags, *fields)


def is_listed(source: Address) -> bool:
    """Tell whether RetroArch lists answers from, and so whether it may be asked from, such an address."""
    return isinstance(source, ipaddress.IPv4Address) and any(source in block for block in LISTED)


class Throttle:
    """How many answers each source gets: at most per_second, and never more than as many sources as it remembers.

    Whoever forges private addresses can use up the memory, and then new sources wait for a second; it can never have
    more than sources times per_second answers sent.
    """

    def __init__(self, per_second: float, sources: int = 256) -> None:
        self._rate = float(per_second)
        self._burst = max(1.0, self._rate)
        self._sources = sources
        self._buckets: dict[Address, tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def allows(self, source: Address, now: float) -> bool:
        """Tell whether source may have an answer at now (seconds of a clock that never goes back), and count it."""
        if source not in self._buckets and not self._has_place(now):
            return False
        tokens = self._tokens(source, now)
        self._buckets[source] = (tokens - 1 if tokens >= 1 else tokens, now)
        return tokens >= 1

    def _tokens(self, source: Address, now: float) -> float:
        tokens, since = self._buckets.get(source, (self._burst, now))
        return min(self._burst, tokens + (now - since) * self._rate)

    def _has_place(self, now: float) -> bool:
        if len(self._buckets) >= self._sources:
            # A source whose bucket is full again is like one that was never seen.
            self._buckets = {
                source: bucket for source, bucket in self._buckets.items() if self._tokens(source, now) < self._burst
            }
        return len(self._buckets) < self._sources


def _field(text: str, size: int) -> bytes:
    """Return a NUL-terminated field; a text that is too long loses whole characters."""
    raw = text.partition("\0")[0].encode("utf-8", "replace")[: size - 1]
    return raw.decode("utf-8", "ignore").encode("utf-8").ljust(size, b"\0")
