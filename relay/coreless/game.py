"""The state of a core-less room: who is in it, whose input is known up to where, and what waits to be sent."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from relay.before_end import OWN_PADS
from relay.coreless.conversion import Conversion
from relay.coreless.framing import Framer, Header
from relay.coreless.settings import Action, Close, Convert, CorelessSettings, Note, Rest, Send
from relay.netplay import wire
from relay.netplay.info import Info
from relay.outcomes import Outcome
from relay.spool import Blob, Spool

# The first of the types of devices that are a core's own.
OWN_KINDS = 256


class Stage(IntEnum):
    """How far a client is: what it has to send next. Once it is SYNCED it watches or plays."""

    HEADER = 0
    NICK = 1
    INFO = 2
    ACCEPT = 3
    SYNCED = 4


@dataclass(eq=False, slots=True)
class Peer:
    """One client. number is its client number, 1 to 31; pads is a bit for each pad it plays on.

    next is the frame of its next INPUT, held what it has sent for frames that the clock has not reached: so the first
    of them is for frame next - len(held). tag is its number as INPUT carries it. leaving: it has stopped playing, the
    others have not been told yet. ahead: a frame to which it has jumped by itself. owes_since: when it was asked for a
    state that it has not given yet; loads: how many states it has sent in a row. needs_state: it may not play before it
    was sent a savestate. told: it was sent PAUSE and no RESUME. lead is the least by which its inputs were ahead of the
    clock, looked at until frame lead_until. progress: when it was how far, and whether the others waited
    for it, over the last seconds (relay/coreless/silent.py). parked: it waits for it to be known whether those who keep
    it out are still there, and has said this meanwhile. number is 0 for who waits for one. work: how much of its
    commands may be read at once, as of work_at. state_since: when the savestate was first seen that is the
    state_begun-th to arrive. brought: how much of that state had come, and when; brings: it comes at a pace worth
    waiting for (relay/coreless/silent.py). waits: how many bytes waited for it when it was looked at last; took_at:
    when these were seen to become fewer, of a savestate.
    """

    key: int
    number: int
    since: float
    framer: Framer
    stage: Stage = Stage.HEADER
    header: Header | None = None
    old_info: bool = False
    info: Info | None = None
    nick: bytes = b""
    playing: bool = False
    leaving: bool = False
    pads: int = 0
    next: int = 0
    held: deque[bytes] = field(default_factory=deque)
    input_size: int = 0
    tag: int = 0
    heard: float = 0.0
    wants_play: int | None = None
    needs_state: bool = False
    ahead: int | None = None
    owes_since: float | None = None
    loads: int = 0
    paused: bool = False
    told: bool = False
    lead: int = 0
    lead_until: int = 0
    progress: deque[tuple[float, int, bool]] = field(default_factory=deque)
    parked: list[tuple[int, bytes]] | None = None
    out: list[bytes | Blob] = field(default_factory=list)
    work: float = 0.0
    work_at: float = 0.0
    state_begun: int = 0
    state_since: float = 0.0
    brought: tuple[float, int, int] = (0.0, -1, 0)
    brings: bool = False
    waits: int = 0
    took_at: float = float("-inf")

    @property
    def modern(self) -> bool:
        """Whether it is RetroArch 1.10 or later, which never wakes from PAUSE."""
        return self.header is not None and self.header.highest != 0

    @property
    def loads_late(self) -> bool:
        """Whether it is RetroArch 1.21 or later, which says that its user loads a state before it has it."""
        return self.header is not None and self.header.highest >= wire.LOADS_LATE

    @property
    def compresses(self) -> bool:
        """Whether savestates from and to it are zlib streams."""
        return self.header is not None and bool(self.header.compression & 1)

    @property
    def shown(self) -> bool:
        """Whether the others count it as a player."""
        return self.playing or self.leaving


@dataclass(eq=False, slots=True)
class StateRequest:
    """The master's savestate: whether somebody needs it, whether and since when it is asked for.

    size is that of the room's states before compression, None while none was ever passed on; misfits counts states of
    another size in a row. at_frame is the master's frame when it was asked. again_at: when it is to be asked once more,
    whatever it answers before.
    """

    wanted: bool = False
    asked: bool = False
    asked_at: float = float("-inf")
    at_frame: int = 0
    size: int | None = None
    misfits: int = 0
    again_at: float | None = None


@dataclass(eq=False, slots=True)
class Game:
    """Everything a room knows. count is the clock: every input for the frames before it has gone out.

    peers are all clients by key, synced those who take part. protocol, release (a hash; of protocol 4 only) and info
    are the room's once somebody is synced. paused: somebody holds the game. work tells that `settle`
    (relay/coreless/roles.py) has something to do. quiet(key) tells for how long (seconds) nothing at all has come from
    a client's machine, waits(key) how many bytes it has not taken yet of what it was sent. conversions: states that are
    sent when they are in another form. spool is where large ones lie. events: when something happened last that may
    make a RetroArch hang up, by its word and by the key of the client that it concerns alone.
    """

    settings: CorelessSettings
    spool: Spool
    peers: dict[int, Peer] = field(default_factory=dict)
    synced: list[Peer] = field(default_factory=list)
    master: Peer | None = None
    count: int = 0
    protocol: int | None = None
    release: int = 0
    info: Info | None = None
    state: StateRequest = field(default_factory=StateRequest)
    paused: bool = False
    work: bool = False
    tick_at: float | None = None
    hold_at: float | None = None
    hold_since: float = 0.0
    check_at: float | None = None
    dirty: list[Peer] = field(default_factory=list)
    ends: list[Action] = field(default_factory=list)
    gone: list[Peer] = field(default_factory=list)
    quiet: Callable[[int], float] = lambda _: 0.0
    waits: Callable[[int], int] = lambda _: 0
    conversions: list[Conversion] = field(default_factory=list)
    events: dict[tuple[str, int | None], float] = field(default_factory=dict)

    # Who is there.

    def players(self) -> Iterator[Peer]:
        """Return who plays now, those who are leaving not among them."""
        return (peer for peer in self.synced if peer.playing)

    def free_number(self) -> int | None:
        """Return the lowest free client number."""
        taken = {peer.number for peer in self.peers.values()}
        most = wire.PADS if self.protocol == 4 else wire.MOST_CLIENTS
        return next((number for number in range(1, most + 1) if number not in taken), None)

    @property
    def gives_states(self) -> bool:
        """Whether the master's state can be everybody's: in protocol 4 it goes where the first client's input is."""
        return self.master is not None and (self.protocol != 4 or self.master.number == 1)

    @staticmethod
    def called(peer: Peer) -> str:
        """Return what the log calls a client: it has no names."""
        pad = next((pad + 1 for pad in range(wire.PADS) if peer.pads >> pad & 1), None)
        return f"player {pad}" if pad else "somebody who watches"

    # What is to be done.

    def send(self, peer: Peer, data: bytes | Blob) -> None:
        """Send data to one client, with whatever else it is sent now."""
        if not peer.out:
            self.dirty.append(peer)
        peer.out.append(data)

    def send_others(self, sender: Peer | None, data: bytes) -> None:
        """Send data to everybody who takes part but one."""
        for peer in self.synced:
            if peer is not sender:
                self.send(peer, data)

    def close(self, peer: Peer, outcome: Outcome, reason: str = "") -> None:
        """End one client's connection; `CorelessRoom` settles afterwards what that means to the others."""
        if self.peers.pop(peer.key, None) is not None:
            self.ends.append(Close(peer.key, outcome.value, reason))
            self.gone.append(peer)

    def happened(self, word: str, now: float, peer: Peer | None = None) -> None:
        """Date what has just happened: to one client, or to all."""
        self.events[word, peer.key if peer else None] = now

    def offered(self, peer: Peer, now: float) -> None:
        """Date that a client was given what its core takes only with the adapter for pads of the core's own kind."""
        if any(device >= OWN_KINDS for device in self.settings.devices[: self.settings.pads]):
            self.happened(OWN_PADS, now, peer)

    def note(self, event: str, text: str, peer: Peer | None = None) -> None:
        """Leave a line for the log."""
        self.ends.append(Note(event, text, peer.key if peer else None))

    def convert(self, conversion: Conversion) -> None:
        """Have a state converted, between other things."""
        self.conversions.append(conversion)
        self.ends.append(Convert(conversion))

    def rest(self, peer: Peer, seconds: float) -> None:
        """Have somebody not read for a while."""
        self.ends.append(Rest(peer.key, seconds))

    def take(self) -> list[Action]:
        """Return what is to be done: everything that is sent, then who is closed."""
        actions: list[Action] = []
        for peer in self.dirty:
            out = peer.out
            actions += (Send(peer.key, data) for data in ([out[0]] if len(out) == 1 else _joined(out)))
            out.clear()
        self.dirty.clear()
        if self.ends:
            actions += self.ends
            self.ends.clear()
        return actions


def _joined(out: list[bytes | Blob]) -> list[bytes | Blob]:
    """Return what somebody is sent, in order, with as few pieces as there can be: a blob stands for itself."""
    found: list[bytes | Blob] = []
    some: list[bytes] = []
    for data in out:
        if isinstance(data, Blob):
            if some:
                found.append(b"".join(some))
                some = []
            found.append(data)
        else:
            some.append(data)
    return [*found, b"".join(some)] if some else found
