"""A core-less room with simulated clients around it, in a time of its own: no sockets, no clocks, no waiting.

Bytes are cut and delayed as the test says, in order on each connection. Whatever the room does wrong to a client shows
as that client's ending, and `check` says it.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any

from relay.coreless import Action, Convert, CorelessRoom, CorelessSettings, Note, Rest, Send
from tests.support.netplay.client import Client
from tests.support.netplay.endings import How

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tests.support.netplay.kinds import Kind

STEP = 1 / 60
DEFAULTS = CorelessSettings()
# More deadlines than this within one step: the room asks to be called for ever.
MOST_TICKS = 50
FINE = (How.LEFT, How.HUNG_UP, How.CROSSED)


@dataclass
class Seat:
    """A client's place: what is on the way to it and from it, with the step at which it arrives. b"" is the end.

    ``late`` is the delay of each way in steps, ``rate`` how many of its frames pass in a step.
    """

    key: int
    client: Client
    late: int = 0
    rate: float = 1.0
    up: deque[tuple[int, bytes]] = field(default_factory=deque)
    down: deque[tuple[int, bytes]] = field(default_factory=deque)
    owed: float = 0.0
    gone: bool = False  # for the room
    outcome: str | None = None
    sent: int = 0
    synced_at: int | None = None
    ended_at: int | None = None
    spoken_for: bool = False  # something was said in its name, of which it knows nothing

    def met(self, other: Seat) -> bool:
        """Whether both took part in one game at the same time. A room that empties begins anew, at frame 0."""
        if self.synced_at is None or other.synced_at is None or self.spoken_for or other.spoken_for:
            return False
        ends = [seat.ended_at for seat in (self, other) if seat.ended_at is not None]
        return not ends or max(self.synced_at, other.synced_at) < min(ends)


class Table:
    """The room and its clients. Attributes: ``room``, ``now``, ``seats`` (all ever, in order), ``notes``."""

    def __init__(
        self, settings: CorelessSettings = DEFAULTS, cut: Callable[[bytes], Iterable[bytes]] | None = None
    ) -> None:
        self.room, self._settings = CorelessRoom(settings), settings
        self.now = 1000.0
        self.seats: list[Seat] = []
        self.notes: list[Note] = []
        self.order: Callable[[Sequence[Seat]], Sequence[Seat]] = lambda seats: seats
        self.jitter: Callable[[], int] = lambda: 0
        self._cut = cut or (lambda data: (data,))
        self._step = 0

    # Who is there.

    def join(self, kind: Kind, nick: str = "", *, late: int = 0, rate: float = 1.0, **options: Any) -> Client:
        """Connect a client; it presses buttons of its own, unless it is given some."""
        key = len(self.seats) + 1
        options.setdefault("buttons", lambda frame: (frame * (key + 3) >> 3) & 0xFF)
        seat = Seat(key, Client(kind, nick or f"client {key}", **options), late, rate)
        self.seats.append(seat)
        self.perform(self.room.connect(key, self.now))
        return seat.client

    def seat(self, client: Client) -> Seat:
        """Return a client's place."""
        return next(seat for seat in self.seats if seat.client is client)

    @property
    def present(self) -> list[Client]:
        """Those who are there, for themselves and for the room."""
        return [seat.client for seat in self.seats if seat.client.ending is None and not seat.gone]

    @property
    def synced(self) -> list[Client]:
        """Those who take part in the game."""
        return [client for client in self.present if client.game is not None]

    @property
    def players(self) -> list[Client]:
        """Those who play."""
        return [client for client in self.present if client.playing]

    def upgrade(self) -> None:
        """Hand the room to its successor, as plain data."""
        data = json.loads(json.dumps(self.room.save()))
        self.room = CorelessRoom.restored(data, self._settings)
        assert json.loads(json.dumps(self.room.save())) == data, "what is handed over is what was there"

    # Time.

    def run(self, steps: int = 1) -> None:
        """Let sixtieths of a second pass."""
        for _ in range(steps):
            self._step += 1
            self.now += STEP
            for seat in self.order(self.seats):
                self._frames(seat)
            for seat in self.order(self.seats):
                self._deliver(seat)
            self._ticks()

    def run_until(self, condition: Callable[[], object], steps: int = 600, what: str = "it") -> None:
        """Let time pass until a condition holds. Raises AssertionError after that many steps."""
        for _ in range(steps):
            if condition():
                return
            self.run()
        self.check()
        assert condition(), f"{what} did not happen in {steps} frames: {self.describe()}"

    def settle(self, steps: int = 240) -> None:
        """Let time pass until all who are synced are of one mind, and check that they are."""
        self.run(60)
        for _ in range(steps):
            self._hurry()
            if not self._apart():
                break
            self.run()
        self.check()
        assert not self._apart(), "they do not agree:\n" + "\n".join(self.describe())

    def _hurry(self) -> None:
        """Let those who are far behind be sped up by their players: RetroArch itself does it for some only."""
        newest = max((client.game.here for client in self.players if client.game), default=0)
        for seat in self.seats:
            if seat.client.game is not None:
                seat.rate = 1.5 if newest - seat.client.game.here > 40 else 1.0

    def _frames(self, seat: Seat) -> None:
        client = seat.client
        while seat.down and seat.down[0][0] <= self._step:
            data = seat.down.popleft()[1]
            if data:
                client.feed(data)
            elif client.running:
                # What came before the end is still read.
                client.frame(self.now)
                client.closed()
            else:
                seat.down.appendleft((self._step, b""))
                break
        seat.owed = min(seat.owed + seat.rate, 8.0)
        while seat.owed >= 1:
            seat.owed -= 1
            client.frame(self.now)
            data = client.output()
            if data and not (seat.up and not seat.up[-1][1]):
                self._post(seat.up, seat, data)
        if seat.synced_at is None and client.game is not None:
            seat.synced_at = self._step
        if seat.ended_at is None and client.ending is not None:
            seat.ended_at = self._step
        if client.ending is not None and not (seat.gone or (seat.up and not seat.up[-1][1])):
            self._post(seat.up, seat, b"")

    def _post(self, way: deque[tuple[int, bytes]], seat: Seat, data: bytes) -> None:
        """Send data on its way: it arrives late, and sometimes later, but never before what was sent before."""
        due = self._step + seat.late + self.jitter() + (way is seat.down)
        way.append((max(due, way[-1][0] if way else 0), data))

    def _deliver(self, seat: Seat) -> None:
        while seat.up and seat.up[0][0] <= self._step:
            data = seat.up.popleft()[1]
            if seat.gone:
                continue
            if not data:
                seat.gone = True
                self.perform(self.room.disconnect(seat.key, self.now))
                continue
            for piece in self._cut(data):
                if piece and not seat.gone:
                    self.perform(self.room.receive(seat.key, piece, self.now))

    def _ticks(self) -> None:
        for _ in range(MOST_TICKS):
            due = self.room.next_deadline()
            if due is None or due > self.now:
                return
            self.perform(self.room.tick(self.now))
        raise AssertionError(f"the room wants to be called again and again, at {due}, and it is {self.now}")

    def perform(self, actions: Iterable[Action]) -> None:
        """Do what the room says; conversions at once, and nobody rests."""
        converted = []
        for action in actions:
            if isinstance(action, Note):
                self.notes.append(action)
                continue
            if isinstance(action, Convert):
                while not action.conversion.step():
                    pass
                converted.append(action.conversion)
                continue
            if isinstance(action, Rest):
                continue
            seat = self.seats[action.key - 1]
            assert not seat.gone, f"{action} is for a connection that is no more"
            if isinstance(action, Send):
                assert action.data, "nothing is sent"
                seat.sent += len(action.data)
                self._post(seat.down, seat, bytes(action.data))
            else:
                seat.gone, seat.outcome = True, f"{action.outcome}: {action.reason}"
                self._post(seat.down, seat, b"")
        for each in converted:
            self.perform(self.room.converted(each, "", self.now))

    # What must be true.

    def check(self) -> None:
        """Assert that no client was wronged, and that all who can be compared saw and did the same."""
        for seat in self.seats:
            self.check_seat(seat)
        for left, right in combinations(self.seats, 2):
            if left.met(right):
                self._compare(left.client, right.client)

    def check_seat(self, seat: Seat) -> None:
        client, game = seat.client, seat.client.game
        if client.ending is not None and not seat.spoken_for:
            fine = client.ending.how in FINE
            assert fine, f"{client.nick} ({client.kind.release}): {client.ending.how.value}; {client.ending.why}"
        if game is None or seat.spoken_for:
            return
        assert not game.skipped, f"{client.nick} was sent commands {game.skipped} that it does not know"
        assert client.kind.wakes or not game.remote_paused, f"{client.nick} was told PAUSE and never wakes from it"

    def _compare(self, left: Client, right: Client) -> None:
        mine, theirs = left.timeline, right.timeline
        ours, others = _heard(left), _heard(right)
        for key in ours.keys() & others.keys():
            both = f"{left.nick} and {right.nick}"
            assert ours[key] == others[key], (
                f"{both} know other inputs of (frame, client) {key}: {ours[key]} and {others[key]}"
            )
        last = min(_known_of(left, right), _known_of(right, left))
        for place in mine.states.keys() & theirs.states.keys():
            assert place[1] > last or mine.states[place] == theirs.states[place], (
                f"{left.nick} and {right.nick} are in different states at {place[1]}, since {place[0]}"
            )

    def _apart(self) -> bool:
        epochs = {client.timeline.epoch for client in self.synced}
        settled = [client.timeline.settled for client in self.synced]
        if not self.players:
            return False  # nobody could give the others a state
        return len(epochs) > 1 or (bool(settled) and max(settled) - min(settled) > 130)

    def describe(self) -> list[str]:
        """Return a line for each client."""
        return [_line(seat) for seat in self.seats]


def _heard(client: Client) -> dict[tuple[int, int], tuple[int, ...]]:
    """Return what a client knows of all inputs. Of its own only what the room can have taken."""
    game = client.game
    assert game is not None
    heard = client.timeline.heard
    return {key: words for key, words in heard.items() if key[1] != game.number or key[0] < game.over}


def _known_of(who: Client, by: Client) -> int:
    """Return up to which frame somebody who has gone can be compared: its last inputs may not have reached anybody."""
    if who.ending is None or who.game is None:
        return 2**32
    mine, number, start = who.timeline, who.game.number, who.timeline.epoch[1]
    own = (frame for frame, client in mine.heard if client == number and frame >= start)
    return min((frame for frame in own if (frame, number) not in by.timeline.heard), default=2**32)


def _line(seat: Seat) -> str:
    client, game = seat.client, seat.client.game
    if game is None:
        where = f"waits for {client.handshake.waits_for}"
    else:
        where = (
            f"{game.mode} as {game.number}, here {game.here} server {game.server} expects {game.expected} "
            f"settled {client.timeline.settled} since {client.timeline.epoch[:2]} stall {game.pace.stall}"
        )
    habits = "".join(f" {name}" for name in ("frozen", "paused") if getattr(client, name))
    habits += " was told PAUSE" if game and game.remote_paused else ""
    return f"{client.nick} ({client.kind.release}){habits}: {where}; {client.ending} {seat.outcome or ''}"
