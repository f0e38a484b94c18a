"""What the switchboard keeps and what it asks for: connections, sessions, and the actions the adapter carries out."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

from relay.addresses import Address
from relay.netplay.legacy_handshake import LegacyHandshake
from relay.outcomes import Outcome
from relay.protocol import tunnel

if TYPE_CHECKING:
    from relay.coreless import Conversion
    from relay.spool import Blob
    from relay.switchboard.coreless_sessions import CorelessSession


SOURCE_SIZE = 8


class State(Enum):
    """What a connection is."""

    OPENING = auto()
    CLAIMING = auto()
    HOSTING = auto()
    WAITING = auto()
    LINKED = auto()
    SEATED = auto()
    CLOSED = auto()


@dataclass(eq=False, slots=True, repr=False)
class Conn:
    """One connection: where it comes from, what it turned out to be, how it ended. Times in seconds.

    kind is what it said it is: "host", "client", "link", "unknown". peer is the other end of its link; while it claims
    a room, the host that has it. named: it is a client that named its session. probe: it is a host that hosts nothing
    and looks whether the relay works. told: when a host was sent something last; owes: since when its machine may not
    have acknowledged what it was sent (relay/liveness.py). introduction: its link is not forwarded yet, what it says is
    looked at first. table and key: its core-less room, and what it is
    called there; reason is why that room closed it, or what happened right before its end, if the outcome alone does
    not say it; lately: the latter as words (relay/before_end.py). received: its bytes, but for those of a link that is
    forwarded. hurried: it came too fast for anything but a link that its host was asked for. opening is there while the
    state is OPENING, control while it is HOSTING. source is what limits count: an IPv4 address, or the /64 of an IPv6
    one, for a household has all of that.
    """

    address: Address
    port: int
    room_port: int
    friend: bool
    since: float
    state: State = State.OPENING
    deadline: float = 0.0
    opening: tunnel.Opening = tunnel.SPENT
    control: tunnel.Control = tunnel.SILENT
    session: Session | None = None
    client_id: bytes = b""
    head: bytes = b""
    peer: Conn | None = None
    is_link: bool = False
    kind: str = "unknown"
    outcome: Outcome | None = None
    heard: float = 0.0
    pinged: float | None = None
    rtt: float | None = None
    told: float | None = None
    owes: float | None = None
    named: bool = False
    introduction: LegacyHandshake | None = None
    table: CorelessSession | None = None
    key: int = 0
    probe: bool = False
    reason: str = ""
    lately: tuple[str, ...] = ()
    received: int = 0
    hurried: bool = False
    source: bytes = field(init=False)

    def __post_init__(self) -> None:
        """Find out the source once: it is looked up again and again."""
        self.source = self.address.packed[:SOURCE_SIZE]

    def __repr__(self) -> str:
        """Return no ids and no address: what fails is logged with what it was about, and addresses may be blurred."""
        return f"<{self.kind}, port {self.port}, {self.state.name}>"


@dataclass(eq=False, slots=True, repr=False)
class Session:
    """A host and its clients. id is 12 bytes; joins counts the links ever made."""

    id: bytes
    host: Conn
    since: float
    waiting: dict[bytes, Conn] = field(default_factory=dict)
    linked: set[Conn] = field(default_factory=set)
    addresses: dict[bytes, Address] = field(default_factory=dict)
    joins: int = 0

    def __repr__(self) -> str:
        """Return no more of the id than the log may have."""
        return f"<session {self.hint}>"

    @property
    def text(self) -> str:
        """The 16 characters that friends type. Who knows them is let in: for the owner's eyes, never for the log."""
        return tunnel.session_text(self.id)

    @property
    def hint(self) -> str:
        """What the log calls it: enough to tell sessions apart, too little to join."""
        return tunnel.session_hint(self.text)


@dataclass(slots=True)
class Send:
    """Send data on conn. Only who is seated is sent blobs, which need not be whole yet."""

    conn: Conn
    data: bytes | Blob


@dataclass(slots=True)
class Close:
    """The connection has ended: send farewell (it may be empty), close, log conn.outcome."""

    conn: Conn
    farewell: bytes = b""


@dataclass(slots=True)
class Splice:
    """Forward bytes between client and link from now on, to_host and to_client first.

    before is what has gone over the link already: (to the host, bytes), in order.
    """

    client: Conn
    link: Conn
    to_host: bytes
    to_client: bytes
    before: tuple[tuple[bool, bytes], ...] = ()


@dataclass(slots=True)
class Seat:
    """The connection plays in a core-less room from now on: read it whenever there is something."""

    conn: Conn


@dataclass(slots=True)
class SessionOpened:
    """A host has a session."""

    session: Session


@dataclass(slots=True)
class SessionEnded:
    """A session is over; outcome is its host's."""

    session: Session
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class CorelessSessionOpened:
    """Somebody opened a core-less room."""

    table: CorelessSession


@dataclass(frozen=True, slots=True)
class CorelessSessionClosed:
    """The last player has left a core-less room."""

    table: CorelessSession


@dataclass(frozen=True, slots=True)
class Said:
    """A core-less room has something for the log: event is its name, text a sentence."""

    table: CorelessSession
    event: str
    text: str


@dataclass(frozen=True, slots=True)
class Rest:
    """Read nothing on conn, which is seated, for so many seconds."""

    conn: Conn
    seconds: float


@dataclass(frozen=True, slots=True)
class Convert:
    """Convert a savestate of a core-less room, in slices, then tell `Switchboard.converted`."""

    table: CorelessSession
    conversion: Conversion


Action = (
    Rest
    | Convert
    | Send
    | Close
    | Splice
    | Seat
    | SessionOpened
    | SessionEnded
    | CorelessSessionOpened
    | CorelessSessionClosed
    | Said
)
