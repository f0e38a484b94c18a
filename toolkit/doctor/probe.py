"""Asking a relay from here, as RetroArch would: is it there, does it speak netplay, how far away is it, who are we."""

from __future__ import annotations

import errno
import ipaddress
import secrets
import socket
import statistics
import struct
import time
from contextlib import closing
from dataclasses import dataclass, field

from relay.addresses import canonical
from relay.protocol import tunnel

# Seconds. RetroArch waits 10 s for a connection and 5 s for an answer; nobody waits so long for a doctor.
CONNECT, ANSWER = 5.0, 5.0
SAMPLES, PAUSE = 16, 0.2
# From here on a connection was not slow: its first packet was lost and sent again (after 1 s, RFC 6298).
SENT_AGAIN = 0.95
HEADER = tunnel.NETPLAY + struct.pack(">5I", 0, 1, 6, 5, 0x469)
WORDS = {
    errno.ECONNREFUSED: "refused",
    errno.ENETUNREACH: "no-way",
    errno.EADDRNOTAVAIL: "no-way",
    errno.EHOSTUNREACH: "unreachable",
    errno.EACCES: "forbidden",
}


@dataclass(frozen=True, slots=True)
class Reach:
    """An attempt to connect: seconds it took, or None and a word for why not.

    Words: "timeout", "refused", "unreachable" (a router on the way said so), "no-way" (this machine has no route by
    that family), or the system's own.
    """

    address: str
    seconds: float | None
    word: str = ""

    @property
    def version(self) -> int:
        """4 or 6."""
        return ipaddress.ip_address(self.address).version


@dataclass(frozen=True, slots=True)
class Talk:
    """What the relay said.

    kind: "relay", "denied", "full", "old-relay" (netplay-mitm-server), "closed", "silent" or "other". local: our
    address on that connection; seen: the one the relay saw us at (only a relay tells it).
    """

    kind: str
    local: str
    seen: str = ""
    said: bytes = b""


@dataclass(frozen=True, slots=True)
class Latency:
    """Round trips in seconds, in the order they were made; lost counts first packets that had to be sent again."""

    samples: list[float] = field(default_factory=list)
    lost: int = 0

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.samples)

    @property
    def jitter(self) -> float:
        """The mean difference between one and the next (RFC 3550's idea, without its smoothing)."""
        steps = [abs(after - before) for before, after in zip(self.samples, self.samples[1:], strict=False)]
        return statistics.fmean(steps) if steps else 0.0


def addresses(name: str, port: int) -> list[str]:
    """Return the addresses of a name, in the order in which a client tries them. Raises OSError."""
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))


def reach(address: str, port: int) -> Reach:
    """Try to connect once."""
    begun = time.monotonic()
    try:
        with socket.create_connection((address, port), timeout=CONNECT):
            return Reach(address, time.monotonic() - begun)
    except TimeoutError:
        return Reach(address, None, "timeout")
    except OSError as error:
        word = WORDS.get(error.errno or 0, error.strerror or str(error))
        # A router on the way says the same as a machine that has no route at all.
        return Reach(address, None, "unreachable" if word == "no-way" and local_address(address) else word)


def talk(address: str, port: int) -> Talk | None:
    """Ask for a session as a host does, and give it back; if there is none, ask as a client why. None: no way in.

    It takes two round trips, in which no player is sent to us: we are a probe.
    """
    try:
        with closing(socket.create_connection((address, port), timeout=CONNECT)) as sock:
            local = str(sock.getsockname()[0])
            sock.settimeout(ANSWER)
            # Its own address it asks for at once: that makes it a probe, whose session no player means.
            sock.sendall(tunnel.session_message(tunnel.NO_ID) + tunnel.PROBE)
            answer = _read(sock, tunnel.MESSAGE_SIZE)
            if answer[: tunnel.MAGIC_SIZE] == tunnel.SESSION and len(answer) == tunnel.MESSAGE_SIZE:
                if answer[tunnel.MAGIC_SIZE :] == tunnel.NO_ID:
                    return Talk("old-relay", local, said=answer)
                return Talk("relay", local, _seen(sock), answer)
        return _refusal(address, port, local, answer)
    except OSError:
        return None


def latency(address: str, port: int) -> Latency:
    """Connect again and again for a few seconds. What cannot be reached at all has no samples."""
    samples, lost = [], 0
    for number in range(SAMPLES):
        if number:
            time.sleep(PAUSE)
        found = reach(address, port)
        if found.seconds is None or found.seconds >= SENT_AGAIN:
            lost += 1
        else:
            samples.append(found.seconds)
    return Latency(samples, lost)


def local_address(address: str) -> str | None:
    """Return the address this machine would use towards another one; nothing is sent."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((address, 9))
            return str(sock.getsockname()[0]).partition("%")[0]
    except OSError:
        return None


def _seen(sock: socket.socket) -> str:
    """Return at which address the relay sees us, which a host may ask for (docs/protocol.md, RATA)."""
    answer = tunnel.PING
    while answer == tunnel.PING:  # a relay may ping its host just now
        answer = _read(sock, tunnel.MAGIC_SIZE)
    answer += _read(sock, 2 * tunnel.MESSAGE_SIZE - len(answer))
    if len(answer) < 2 * tunnel.MESSAGE_SIZE or not answer.startswith(tunnel.ADDRESS + tunnel.NO_ID):
        return ""
    return str(canonical(str(ipaddress.IPv6Address(answer[tunnel.MESSAGE_SIZE :]))))


def _refusal(address: str, port: int, local: str, answer: bytes) -> Talk:
    """Join a session that cannot exist: a client is told why it is refused, a host is not."""
    if answer:
        return Talk("other", local, said=answer)
    with closing(socket.create_connection((address, port), timeout=CONNECT)) as sock:
        sock.settimeout(ANSWER)
        sock.sendall(tunnel.session_message(secrets.token_bytes(tunnel.ID_SIZE)) + HEADER)
        begun = time.monotonic()
        said = _read(sock, len(HEADER))
        if not said and time.monotonic() - begun >= ANSWER:
            sock.sendall(b"\r\n\r\n")  # what waits for the end of a line, as web servers do, then says what it is
            said = _read(sock, len(HEADER))
    kinds = {tunnel.DENIED: "denied", tunnel.FULL: "full"}
    silent = "silent" if time.monotonic() - begun >= ANSWER else "closed"
    return Talk(kinds.get(said[: tunnel.MAGIC_SIZE], "other" if said else silent), local, said=said)


def _read(sock: socket.socket, size: int) -> bytes:
    """Read up to size bytes, fewer where the peer is silent or closes."""
    data = b""
    while len(data) < size:
        try:
            piece = sock.recv(size - len(data))
        except (TimeoutError, ConnectionError):
            break
        if not piece:
            break
        data += piece
    return data
