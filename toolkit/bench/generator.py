"""Running the load generator over links that exist, with a look at the relay at both ends of the measured window."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolkit.bench import procfs
from toolkit.bench.procfs import NOTHING, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from toolkit.bench.links import Link

RATE = 60
"""Messages a second from each player: one a frame."""
DRAINING = 10.0
NANOSECONDS = 1e9


class GeneratorError(Exception):
    """The generator failed: the text is what it said."""


@dataclass(frozen=True, slots=True)
class Load:
    """What to play: links with a game on each, one with savestates as fast as they go, one whose client stopped.

    measured: of so many games one has its latency measured, and what arrives in the others is read a few times a second
    only. That costs the generator less, which so can load a relay that is nearly as fast as itself.
    warm and seconds are times before and in the measured window, stall_rate is savestates a second to the stalled
    client, seed fixes the phases of all players.
    """

    games: Sequence[Link] = ()
    measured: int = 1
    bulk: Link | None = None
    stalled: Link | None = None
    stall_rate: float = 25.0
    warm: float = 0.3
    seconds: float = 1.0
    seed: int = 1

    def lines(self) -> str:
        """Return it as the generator reads it."""
        lines = [
            f"{'lazy' if number % self.measured else 'link'} {link.host.fileno()} {link.client.fileno()}"
            for number, link in enumerate(self.games)
        ]
        if self.bulk:
            lines.append(f"bulk {self.bulk.host.fileno()} {self.bulk.client.fileno()}")
        if self.stalled:
            lines.append(f"stall {self.stalled.host.fileno()} {self.stalled.client.fileno()} {self.stall_rate:g}")
        return "".join(f"{line}\n" for line in lines)

    def fds(self) -> list[int]:
        """Return every descriptor the generator inherits."""
        links = [*self.games, *(link for link in (self.bulk, self.stalled) if link)]
        return [sock.fileno() for link in links for sock in (link.host, link.client)]


@dataclass(frozen=True, slots=True)
class Played:
    """What the generator saw (times in microseconds), and what the relay used in the window."""

    sent: int
    received: int
    blocked: int
    broken: int
    busy: float
    latency: dict[str, float]
    late: dict[str, float]
    bulk_bytes: int
    stall_bytes: int
    stall_ended_s: float | None
    relay: Usage
    seconds: float

    @property
    def whole(self) -> bool:
        """Whether everything that was sent arrived."""
        return self.sent == self.received and not self.blocked and not self.broken

    @property
    def relay_busy(self) -> float:
        """The part of the window the relay ran."""
        return self.relay.ran / NANOSECONDS / self.seconds

    @property
    def waited(self) -> float:
        """The part of the window the relay was ready to run and something else ran on its core."""
        return self.relay.waited / NANOSECONDS / self.seconds


def play(program: Path, load: Load, pid: int | None) -> Played:
    """Run the generator; pid is the relay's, None for no relay. Raises GeneratorError."""
    argv = [str(program), f"{load.warm:g}", f"{load.seconds:g}", str(RATE), str(load.seed)]
    with subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=load.fds(),
    ) as process:
        try:
            return _follow(process, load, pid)
        except BaseException:
            process.kill()
            raise


def _follow(process: subprocess.Popen[str], load: Load, pid: int | None) -> Played:
    stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
    if stdin is None or stdout is None or stderr is None:
        raise GeneratorError("no pipes")
    stdin.write(load.lines())
    stdin.close()
    marks = []
    for word in ("begin", "end"):
        if (said := stdout.readline().strip()) != word:
            raise GeneratorError(f"the generator said {said!r} instead of {word!r}: {stderr.read().strip()}")
        marks.append(procfs.usage(pid) if pid is not None else NOTHING)
    result = stdout.readline()
    if process.wait(DRAINING) or not result:
        raise GeneratorError(f"the generator failed: {stderr.read().strip()}")
    return parse(result, marks[1] - marks[0], load.seconds)


def parse(line: str, relay: Usage, seconds: float) -> Played:
    """Return the generator's result from its last line."""
    said: dict[str, Any] = json.loads(line)
    return Played(
        sent=said["sent"],
        received=said["received"],
        blocked=said["blocked"],
        broken=said["broken"],
        busy=said["busy"],
        latency=said["latency_us"],
        late=said["late_us"],
        bulk_bytes=said["bulk_bytes"],
        stall_bytes=said["stall_bytes"],
        stall_ended_s=said["stall_ended_s"],
        relay=relay,
        seconds=seconds,
    )
