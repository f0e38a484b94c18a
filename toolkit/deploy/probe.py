"""The proof that a relay works: plays host and client through it, from the address this process runs at.

    python -m toolkit.deploy.probe friend ADDRESS PORT      a friend gets in, and bytes go both ways
    python -m toolkit.deploy.probe stranger ADDRESS PORT    nobody else even connects

Prints one line of JSON (a Finding). It hosts a session of its own and joins it by its id, so a game that is going on
is left alone; the join without an id is tried too, and left out when others host at the same time, because then it
means nobody in particular (docs/protocol.md, Session-less join).
"""

from __future__ import annotations

import dataclasses
import json
import secrets
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from relay import addresses
from relay.protocol import tunnel
from toolkit.errors import BAD_INPUT, PROOF_FAILED

STRANGER_SECONDS = 3.0
FRIEND_SECONDS = 5.0
PAYLOAD = 65536
CHUNK = 4096
NARROW = ", while small messages arrive: a hop with a small MTU? invoke doctor --relay 'ADDRESS|PORT' tells"
# The header RetroArch's client opens with: its word, then platform, compression, salt, and the protocols it speaks.
HEADER = tunnel.NETPLAY + struct.pack(">5I", 0, 0, 0, 6, 6)
# That of one who would play without a host, which goes by protocol 5.
CORELESS_HEADER = tunnel.NETPLAY + struct.pack(">5I", 0, 0, 6, 5, 6)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe found: whether it is as it should be, a sentence, and for a friend how long a round trip took."""

    good: bool
    sentence: str
    session: str = ""
    round_trip_ms: float = 0.0
    without_id: str = ""

    def to_json(self) -> str:
        """Return the finding as one line."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Finding:
        """Read what to_json wrote. Raises ValueError or TypeError for anything else."""
        return cls(**json.loads(line))


class UnexpectedError(Exception):
    """The relay did something it should not; the message says what."""


class _NotHostedError(UnexpectedError):
    """The relay let us host nothing."""


def stranger(address: str, port: int) -> Finding:
    """Try to connect as somebody who is not on the list. Takes up to STRANGER_SECONDS."""
    try:
        with socket.create_connection((address, port), timeout=STRANGER_SECONDS):
            return Finding(False, f"a stranger got through to {address} port {port}")
    except TimeoutError:
        return Finding(True, f"no answer within {STRANGER_SECONDS:.0f} s")
    except OSError as error:
        return Finding(True, f"turned away: {error.strerror or error}")


def friend(address: str, port: int) -> Finding:
    """Host a session, join it with its id and without, and pass PAYLOAD bytes each way."""
    where = f"{address} port {port}"
    try:
        control = connect(address, port)
    except OSError as error:
        return Finding(False, f"no way in at {where}: {error.strerror or error}")
    with closing(control):
        try:
            return _play(control, address, port)
        except _NotHostedError as problem:
            return _without_a_host(address, port) or Finding(False, f"the relay at {where} {problem}")
        except UnexpectedError as problem:
            return Finding(False, f"the relay at {where} {problem}")
        except OSError as error:
            return Finding(False, f"the relay at {where} stopped answering: {error.strerror or error}")


def _play(control: socket.socket, address: str, port: int) -> Finding:
    # Who asks for its own address besides is a probe, which no player means who names no session.
    control.sendall(tunnel.session_message(tunnel.NO_ID) + tunnel.PROBE)
    try:
        answer = read(control, tunnel.MESSAGE_SIZE, "gave us no session: its own gate or its limits refused us")
    except UnexpectedError as problem:
        raise _NotHostedError(str(problem)) from problem
    session = answer[tunnel.MAGIC_SIZE :]
    if answer[: tunnel.MAGIC_SIZE] != tunnel.SESSION or session == tunnel.NO_ID:
        raise UnexpectedError("answers, but is not a netplay relay")
    size = len(tunnel.address_message(tunnel.NO_ID, addresses.canonical("::1")))
    if told(control, size, "did not tell us our address")[: tunnel.MESSAGE_SIZE] != tunnel.PROBE:
        raise UnexpectedError("told the address of somebody else")
    round_trip = _join(control, address, port, tunnel.session_message(session))
    without_id = _join_without_id(control, address, port)
    text = tunnel.session_text(session)
    return Finding(
        True, f"played through it both ways, {PAYLOAD // 1024} KiB each", text, round(round_trip * 1000, 2), without_id
    )


def _without_a_host(address: str, port: int) -> Finding | None:
    """Knock at a port that is for games without a host; None if nobody answers there either.

    No game notices: who knocks has said neither a name nor a core, and leaves again.
    """
    try:
        with closing(connect(address, port)) as client:
            begun = time.monotonic()
            client.sendall(CORELESS_HEADER)
            answer = read(client, len(CORELESS_HEADER), "")
            round_trip = time.monotonic() - begun
    except (UnexpectedError, OSError):
        return None
    salt, spoken = struct.unpack_from(">2I", answer, 12)
    if answer[: tunnel.MAGIC_SIZE] != tunnel.NETPLAY or salt or not spoken:
        return None
    return Finding(
        True, "games without a host answer there, and none can be hosted", "", round(round_trip * 1000, 2), "works"
    )


def _join(control: socket.socket, address: str, port: int, opening: bytes) -> float:
    """Join with that opening, link, pass bytes; return the round trip in seconds."""
    with closing(connect(address, port)) as client:
        client.sendall(opening + HEADER)
        with closing(link_for(control, address, port, client)) as link:
            if read(link, len(HEADER), "lost the client's first bytes") != HEADER:
                raise UnexpectedError("changed the client's first bytes on the way")
            return _exchange(client, link)


def _join_without_id(control: socket.socket, address: str, port: int) -> str:
    with closing(connect(address, port)) as client:
        client.sendall(HEADER)
        # Either the host is asked for a link, or the client is told why not: whichever comes first.
        if _first_word(control, client) in (tunnel.FULL, tunnel.NETPLAY):
            return "left out: others host here now, and without an id it would mean nobody in particular"
        with closing(link_for(control, address, port, client)) as link:
            read(link, len(HEADER), "lost the first bytes of a client without an id")
            _exchange(client, link)
    return "works"


def _first_word(control: socket.socket, client: socket.socket) -> bytes:
    deadline = time.monotonic() + FRIEND_SECONDS
    while time.monotonic() < deadline:
        for peer in (control, client):
            peer.settimeout(0.05)
            try:
                word = peer.recv(tunnel.MAGIC_SIZE, socket.MSG_PEEK)
            except TimeoutError:
                continue
            finally:
                peer.settimeout(FRIEND_SECONDS)
            if word == tunnel.PING:
                peer.recv(tunnel.MAGIC_SIZE)
                continue
            if not word:
                raise UnexpectedError("closed the connection of a client without a session id")
            return word
    raise UnexpectedError("did nothing with a client without a session id")


def link_for(
    control: socket.socket,
    address: str,
    port: int,
    client: socket.socket,
    dial: Callable[[], socket.socket] | None = None,
) -> socket.socket:
    """Do what a host does when the relay asks it for a link for the client; return the link, which dial connects."""
    asked = told(control, tunnel.MESSAGE_SIZE, "did not ask for a link")
    who = asked[tunnel.MAGIC_SIZE :]
    if asked[: tunnel.MAGIC_SIZE] != tunnel.LINK or who == tunnel.NO_ID:
        raise UnexpectedError("asked the host for something else than a link")
    control.sendall(tunnel.ADDRESS + who)
    size = len(tunnel.address_message(who, addresses.canonical("::1")))
    if told(control, size, "did not tell an address")[: tunnel.MESSAGE_SIZE] != tunnel.ADDRESS + who:
        raise UnexpectedError("told the address of another client than the one asked about")
    link = dial() if dial else connect(address, port)
    link.sendall(tunnel.link_message(who))
    client.settimeout(FRIEND_SECONDS)
    return link


def _exchange(client: socket.socket, link: socket.socket) -> float:
    """Pass random bytes both ways and compare them; return the shortest round trip in seconds."""
    best = FRIEND_SECONDS
    for number in range(PAYLOAD // CHUNK):
        hint = "" if number else NARROW
        there, back = secrets.token_bytes(CHUNK), secrets.token_bytes(CHUNK)
        begun = time.monotonic()
        client.sendall(there)
        same = read(link, CHUNK, f"lost bytes on their way to the host{hint}") == there
        link.sendall(back)
        same &= read(client, CHUNK, f"lost bytes on their way to the client{hint}") == back
        best = min(best, time.monotonic() - begun)
        if not same:
            raise UnexpectedError("changed bytes on their way")
    return best


def connect(address: str, port: int) -> socket.socket:
    """Connect as RetroArch does. Raises OSError."""
    connection = socket.create_connection((address, port), timeout=FRIEND_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def told(control: socket.socket, size: int, otherwise: str) -> bytes:
    """Read a message for a host, of that size; pings before it are left unanswered, for no game is hosted here."""
    while (word := read(control, tunnel.MAGIC_SIZE, otherwise)) == tunnel.PING:
        pass
    return word + read(control, size - tunnel.MAGIC_SIZE, otherwise)


def read(peer: socket.socket, size: int, otherwise: str) -> bytes:
    """Read exactly size bytes, or raise with the words for what the relay failed to do."""
    data = b""
    while len(data) < size:
        try:
            piece = peer.recv(size - len(data))
        except (TimeoutError, ConnectionError):
            piece = b""
        if not piece:
            raise UnexpectedError(otherwise)
        data += piece
    return data


def main(arguments: list[str]) -> int:
    """Run one probe and print its finding; 0 when all is as it should be."""
    probes = {"friend": friend, "stranger": stranger}
    if len(arguments) != 3 or arguments[0] not in probes or not arguments[2].isdigit():
        sys.stderr.write("usage: python -m toolkit.deploy.probe friend|stranger ADDRESS PORT\n")
        return BAD_INPUT
    finding = probes[arguments[0]](arguments[1], int(arguments[2]))
    sys.stdout.write(finding.to_json() + "\n")
    return 0 if finding.good else PROOF_FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
