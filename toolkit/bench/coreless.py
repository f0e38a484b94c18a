"""What a core-less session costs: CPU for each frame of each player, and how late a frame is over.

The players are this program's own: they join as RetroArch does, send their input sixty times a second, spread over
the frame, and read what they are sent. The first of a room gives its savestate to whoever comes later.
"""

from __future__ import annotations

import selectors
import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from relay.coreless import DEVICES
from relay.netplay import wire
from toolkit.bench import links, procfs, records
from toolkit.bench.contenders import OurRelay, RelayError
from toolkit.bench.judge import KEPT_WAITING
from toolkit.bench.plan import RELAY

if TYPE_CHECKING:
    from toolkit.bench.contenders import Site
    from toolkit.bench.plan import Plan

SIZES: Final = (2, 4)
"""Players in a room."""
PLAYERS: Final = 32
"""Players in all."""
FIRST_ROOM_PORT = 30_000
FRAME = 1 / 60
# Where each next player's input falls in the frame: evenly spread, and no two rooms alike.
SPREAD = 0.618
WARM = 0.3
INFO = wire.command(wire.INFO, bytes(4) + b"Nestopia".ljust(32, b"\0") + b"1.52".ljust(32, b"\0"))
GREETING = links.HEADER + wire.nick(b"bench") + INFO + INFO + wire.command(wire.PLAY, bytes(4))
STATE = b"\0" * 1000
GROUP = 3


class Player:
    """One client.

    next is the frame of its next input, None while it does not play yet; over is the last frame that is over, and late
    how long each took from this player's input to its end (microseconds).
    """

    def __init__(self, port: int, number: int) -> None:
        self.next: int | None = None
        self.over = -1
        self.late: list[float] = []
        self.sent_at: dict[int, float] = {}
        self._number = 0
        self._rest = b""
        self.sock = socket.create_connection(
            (links.HOST, port), links.PATIENCE, source_address=(links.address(GROUP, number), 0)
        )
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.sendall(GREETING)
        self._skip(len(links.HEADER))

    def play(self) -> None:
        """Send the input of the next frame."""
        if self.next is None:
            return
        words = wire.words_of(DEVICES[0])
        self.sent_at[self.next] = time.monotonic()
        body = wire.two.pack(self.next, self._number) + bytes(4 * words)
        self.next += 1
        self.sock.sendall(wire.command(wire.INPUT, body))

    def read(self) -> None:
        """Take what has come. Raises RelayError when the relay has hung up."""
        data = self.sock.recv(65536)
        if not data:
            raise RelayError("the relay closed a player's connection")
        now = time.monotonic()
        data, at = self._rest + data, 0
        while len(data) - at >= wire.HEAD:
            number, size = wire.two.unpack_from(data, at)
            if len(data) - at < wire.HEAD + size:
                break
            self._take(number, data[at + wire.HEAD : at + wire.HEAD + size], now)
            at += wire.HEAD + size
        self._rest = data[at:]

    def _take(self, number: int, body: bytes, now: float) -> None:
        if number == wire.NOINPUT:
            self.over = wire.one.unpack(body)[0]
            if (sent := self.sent_at.pop(self.over, None)) is not None:
                self.late.append((now - sent) * 1e6)
        elif number == wire.MODE:
            frame, bits, _pads = wire.three.unpack_from(body)
            if bits & wire.YOU:
                self.next, self._number = frame, bits & 0xFFFF
        elif number == wire.REQUEST_SAVESTATE and self.next is not None:
            self.sock.sendall(wire.load_savestate(self.next, len(STATE), STATE))

    def _skip(self, size: int) -> None:
        while size:
            size -= len(self.sock.recv(size))


def coreless(site: Site, plan: Plan, turn: int) -> list[records.Coreless]:
    """Measure rooms of each size once. Raises RelayError."""
    return [_measure(_relay(site, size), plan, turn, size) for size in SIZES]


def _relay(site: Site, size: int) -> OurRelay:
    path = site.folder / f"rooms-of-{size}.toml"
    rooms = [f'[[room]]\nid = "BenchmarkRo{port}"\nport = {port}\n' for port in _ports(size)]
    path.write_text('[coreless]\nmode = "coreless"\n' + "".join(rooms), encoding="ascii")
    # A name of its own: the other parts' relay keeps its files.
    return OurRelay(f"coreless {size}", site, str(path), PLAYERS)


def _ports(size: int) -> range:
    return range(FIRST_ROOM_PORT, FIRST_ROOM_PORT + PLAYERS // size)


def _measure(relay: OurRelay, plan: Plan, turn: int, size: int) -> records.Coreless:
    for _ in range(plan.retries + 1):
        with relay, ExitStack() as ends, selectors.DefaultSelector() as selector:
            players = []
            for number in range(PLAYERS):
                players.append(Player(_ports(size)[number // size], number))
                ends.callback(players[-1].sock.close)
                selector.register(players[-1].sock, selectors.EVENT_READ, players[-1])
            record = _play(relay, players, selector, plan.seconds, turn, size)
        if not record.why:
            break
    return record


def _play(
    relay: OurRelay, players: list[Player], selector: selectors.BaseSelector, seconds: float, turn: int, size: int
) -> records.Coreless:
    _run(players, selector, WARM)
    end = time.monotonic() + links.PATIENCE
    while any(player.next is None for player in players):
        _run(players, selector, WARM)
        if time.monotonic() > end:
            raise relay.complaint("not everybody got to play")
    for player in players:
        player.late.clear()
    pid = relay.pid or 0
    before, begun, frames = procfs.usage(pid), time.monotonic(), sum(player.over for player in players)
    _run(players, selector, seconds)
    used, window = procfs.usage(pid) - before, time.monotonic() - begun
    done = sum(player.over for player in players) - frames
    # For all others it is the time to the next input of who keeps time.
    late = sorted(late for player in players[::size] for late in player.late) or [0.0]
    waited = used.waited / 1e9 / window
    lost = done < PLAYERS * seconds / FRAME * 0.9
    return records.Coreless(
        contender=RELAY,
        round=turn,
        players=size,
        frames=done,
        cpu_us=used.ran / 1000 / max(done, 1),
        p50_us=late[len(late) // 2],
        p99_us=late[len(late) * 99 // 100],
        relay_busy=used.ran / 1e9 / window,
        waited=waited,
        why="frames are missing" if lost else "other programs kept the relay waiting" if waited > KEPT_WAITING else "",
    )


def _run(players: list[Player], selector: selectors.BaseSelector, seconds: float) -> None:
    """Let everybody play for a while: each at its own moment of the frame."""
    start = time.monotonic()
    moments = [(number * SPREAD % 1 * FRAME, number) for number in range(len(players))]
    order = [(phase, players[number]) for phase, number in sorted(moments)]
    for frame in range(round(seconds / FRAME)):
        for phase, player in order:
            due = start + frame * FRAME + phase
            while True:
                wait = due - time.monotonic()
                for key, _ in selector.select(max(wait, 0)):
                    key.data.read()
                if wait <= 0:
                    break
            player.play()
