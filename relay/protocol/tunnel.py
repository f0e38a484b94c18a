"""The tunnel protocol of RetroArch 1.10 and later, as bytes: no sockets, no clock, no event loop.

Three things live here: the encoders of the few messages a relay sends, `Opening`, which decides from the first bytes
of a connection what it is, and `Control`, which cuts a host's control stream into messages. All integers are
big-endian. The source of every rule is docs/protocol.md; its section is named where it matters.
"""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass
from enum import Enum

from relay.addresses import Address

DEFAULT_PORT = 55435
ID_SIZE = 12
HEADER_SIZE = 24
MAGIC_SIZE = 4
OLD_HEADER_SIZE = 16
OLD_START = bytes(2)
OLD_HASHES = range(0x0200, 0x2000)
MESSAGE_SIZE = MAGIC_SIZE + ID_SIZE
NO_ID = bytes(ID_SIZE)
HINT_SIZE = 4

SESSION = b"RATS"
LINK = b"RATL"
ADDRESS = b"RATA"
PING = b"RATP"
NETPLAY = b"RANP"
POKE = b"POKE"
FULL = b"FULL"
DENIED = b"DENY"

# A header of our own instead of the host's: the one way to tell a client why it is refused. Word 4 carries a protocol
# number because older clients look at it before they look at the first word (docs/protocol.md, Refusals).
REFUSAL_PROTOCOL = 5


class Reason(Enum):
    """Why a client is refused, and the first word of the header that makes RetroArch show it."""

    FULL = FULL
    DENIED = DENIED
    OLD_VERSION = NETPLAY
    NONE = b""


@dataclass(slots=True)
class HostHello:
    """RATS with a zero id: a host asks for a session. probe: it asks for its own address at once, and hosts nothing."""

    probe: bool = False


@dataclass(slots=True)
class JoinHello:
    """A client with its netplay header: session is 12 bytes, or None when it named none; head is what to forward."""

    session: bytes | None
    head: bytes


@dataclass(slots=True)
class OldHello:
    """A client of netplay protocol 4 (RetroArch 1.7.0 and older); head is what it has said so far."""

    head: bytes


@dataclass(slots=True)
class LinkHello:
    """RATL with a client's id: a host brings the other end for it; rest is what came behind."""

    client: bytes
    rest: bytes


@dataclass(slots=True)
class Unknown:
    """Bytes of something that is not RetroArch netplay; word names what it was."""

    word: str


Hello = HostHello | JoinHello | OldHello | LinkHello | Unknown


class Opening:
    """The first bytes of a connection, fed as they come; `feed` returns a Hello once they say what it is.

    Never looks at more than it needs: a silent or slow peer costs its own 40 bytes and nothing of anybody else.
    """

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = b""

    @property
    def seen(self) -> bytes:
        """The bytes so far."""
        return self._data

    @property
    def size(self) -> int:
        """How many bytes there were so far."""
        return len(self._data)

    def feed(self, data: bytes) -> Hello | None:
        """Take the next bytes; None means more are needed."""
        self._data += data
        seen = self._data
        if len(seen) < MAGIC_SIZE:
            known = OLD_START.startswith(seen[:2]) or any(magic.startswith(seen) for magic in _FIRST_WORDS)
            return None if known else Unknown("garbage")
        parser = _PARSERS.get(seen[:MAGIC_SIZE], _old)
        return parser(seen)


# What is asked by a host that hosts nothing: its own address, which no RetroArch asks for.
PROBE = ADDRESS + NO_ID
# Stands in for the opening of a connection that has said what it is, of which nothing need be kept.
SPENT = Opening()


def _session(seen: bytes) -> Hello | None:
    if len(seen) < MESSAGE_SIZE:
        return None
    session = seen[MAGIC_SIZE:MESSAGE_SIZE]
    if session == NO_ID:
        # Whatever else a host might send behind its request would answer an id it has not seen yet.
        more = seen[MESSAGE_SIZE:]
        if not PROBE.startswith(more):
            return Unknown("garbage")
        return None if more and more != PROBE else HostHello(probe=bool(more))
    return _join(session, seen[MESSAGE_SIZE:])


def _netplay(seen: bytes) -> Hello | None:
    return _join(None, seen)


def _join(session: bytes | None, head: bytes) -> Hello | None:
    # A link is asked of the host only for a client that has shown its header: a host never times out a client that is
    # silent in the handshake, and three of them fill its default slots (docs/protocol.md, Half-open clients).
    if not NETPLAY.startswith(head[:MAGIC_SIZE]):
        return Unknown("poke" if head[:MAGIC_SIZE] == POKE else "garbage")
    return JoinHello(session, head) if len(head) >= HEADER_SIZE else None


def _old(seen: bytes) -> Hello | None:
    # Protocol 4 has no magic word: it opens with a hash of its release, which is small.
    if int.from_bytes(seen[:MAGIC_SIZE], "big") not in OLD_HASHES:
        return Unknown("garbage")
    return OldHello(seen) if len(seen) >= OLD_HEADER_SIZE else None


def _link(seen: bytes) -> Hello | None:
    if len(seen) < MESSAGE_SIZE:
        return None
    client = seen[MAGIC_SIZE:MESSAGE_SIZE]
    return LinkHello(client, seen[MESSAGE_SIZE:]) if client != NO_ID else Unknown("garbage")


def _poke(_seen: bytes) -> Hello:
    return Unknown("poke")


_PARSERS = {SESSION: _session, NETPLAY: _netplay, LINK: _link, POKE: _poke}
_FIRST_WORDS = tuple(_PARSERS)


@dataclass(slots=True)
class AddressQuery:
    """RATA: the host asks for the address of client (12 bytes; zero means its own)."""

    client: bytes


@dataclass(slots=True)
class Pong:
    """RATP: the host answers a ping."""


@dataclass(slots=True)
class Broken:
    """Bytes no host sends; the control stream cannot be trusted any more."""


ControlMessage = AddressQuery | Pong | Broken


class Control:
    """A host's control stream, cut into messages whatever the sizes it arrives in."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes = b"") -> None:
        self._data = data

    @property
    def rest(self) -> bytes:
        """The beginning of a message that has not arrived whole."""
        return self._data

    def feed(self, data: bytes) -> list[ControlMessage]:
        """Take the next bytes and return the whole messages in them; Broken is always the last."""
        self._data += data
        messages: list[ControlMessage] = []
        while message := self._next():
            messages.append(message)
            if isinstance(message, Broken):
                break
        return messages

    def _next(self) -> ControlMessage | None:
        magic = self._data[:MAGIC_SIZE]
        if not (PING.startswith(magic) or ADDRESS.startswith(magic)):
            self._data = b""
            return Broken()
        if magic == PING:
            self._data = self._data[MAGIC_SIZE:]
            return Pong()
        if len(self._data) < MESSAGE_SIZE:
            return None
        client, self._data = self._data[MAGIC_SIZE:MESSAGE_SIZE], self._data[MESSAGE_SIZE:]
        return AddressQuery(client)


# Stands in for the control stream of a connection that is no host.
SILENT = Control()


def session_message(session: bytes) -> bytes:
    """RATS + id (16 bytes): the relay's answer to a host."""
    return SESSION + session


def link_message(client: bytes) -> bytes:
    """RATL + client id (16 bytes): asks a host to open a link for that client."""
    return LINK + client


def address_message(client: bytes, address: Address) -> bytes:
    """RATA + client id + IPv6 address (32 bytes), IPv4 as ::ffff:a.b.c.d.

    The id asked for is always echoed: an answer with another id, or none, costs the host one of its 8 link slots until
    it ends netplay (docs/protocol.md, RATA).
    """
    packed = address.packed
    return ADDRESS + client + (packed if len(packed) == 16 else b"\0" * 10 + b"\xff\xff" + packed)


def refusal(reason: Reason) -> bytes:
    """Return a 24-byte netplay header that makes a client show reason; empty when there is nothing to show."""
    if reason is Reason.NONE:
        return b""
    word: bytes = reason.value
    protocol = 0 if reason is Reason.OLD_VERSION else REFUSAL_PROTOCOL
    return word + struct.pack(">5I", 0, 0, 0, protocol, 0)


def session_text(session: bytes) -> str:
    """Return the 16 characters a player types for a session id of 12 bytes."""
    return base64.b64encode(session).decode("ascii")


def session_hint(text: str) -> str:
    """Return the beginning of a session id, or of what should be one, for logs: nobody can join with it."""
    return text[:HINT_SIZE] + "…"


def session_id(text: str) -> bytes:
    """Return the 12 bytes behind 16 characters. Raises ValueError for anything else, and for the all-zero id."""
    try:
        session = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError(f"not a session id: {text!r}") from error
    if len(text) != 16 or len(session) != ID_SIZE or session == NO_ID:
        raise ValueError(f"not a session id: {text!r}")
    return session


def is_session_text(text: str) -> bool:
    """Tell whether text is a usable session id of 16 characters."""
    try:
        session_id(text)
    except ValueError:
        return False
    return True
