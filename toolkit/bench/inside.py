"""What runs in the benchmark's own network: `python -m toolkit.bench.inside`, started by `outside`.

Standard input is a plan as JSON; standard output an event a line: {"begin": ...} once, {"record": ...} for each
measurement, {"error": ...} and no more when something went wrong. The network namespace has nothing but a loopback
device, so that no packet filter or connection tracking of the machine is measured along.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import resource
import socket
import struct
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relay import config as settings
from toolkit.bench import plan as plans
from toolkit.bench import records, tools
from toolkit.bench.contenders import BarePython, Contender, Haproxy, Loopback, OurRelay, Reference, RelayError, Site
from toolkit.bench.coreless import coreless
from toolkit.bench.generator import GeneratorError
from toolkit.bench.parts import bulk, load
from toolkit.bench.plan import BEFORE, FLOOR, HAPROXY, LOOPBACK, REFERENCE, Plan
from toolkit.bench.ramp import ramp
from toolkit.bench.stall import stall
from toolkit.deploy import zipapp
from toolkit.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.bench.records import Record

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1
# Where the first ramps begin; the next ones begin a stride or two below what the relay carried last.
RAMP_NEAR, RAMP_NEAR_REFERENCE = 600, 1200
RAMP_BELOW = 1.25
AUTOGROUP = Path("/proc/self/autogroup")
# What a stalled reader does varies little; its rounds are not worth more of a run's time.
STALL_ROUNDS = 3
CORELESS_ROUNDS = 3
MOST_URGENT = -20


class Bench:
    """One run: the contenders take turns in each round, in an order that changes from round to round."""

    def __init__(self, plan: Plan, site: Site) -> None:
        room = max(plan.sessions, plan.ramp_top)
        configs = plan.configs or ("",)
        self.ours = [OurRelay(name, site, path, room) for name, path in zip(plan.ours, configs, strict=True)]
        self.peers: list[Contender] = [*self.ours, Haproxy(HAPROXY, site)]
        self.before: list[Contender] = [_before(Path(plan.before), site, room)] if plan.before else []
        self.reference = Reference(REFERENCE, site)
        self.loopback = Loopback(LOOPBACK, site)
        self.floor: list[Contender] = [BarePython(FLOOR, site)] if plan.floor else []
        self._plan = plan
        self._site = site
        self._generator = site.folder / "generator"
        self._bounds = {
            relay.name: (settings.load(Path(path)) if path else settings.Config()).buffers.slow_client
            for relay, path in zip(self.ours, configs, strict=True)
        }
        self._near: defaultdict[str, float] = defaultdict(lambda: RAMP_NEAR, {REFERENCE: RAMP_NEAR_REFERENCE})

    def records(self) -> Iterator[Record]:
        """Measure, and yield each result as it comes. Raises RelayError, GeneratorError."""
        parts = {"load": self._load, "bulk": self._bulk, "ramp": self._ramp, "stall": self._stall}
        parts["coreless"] = self._coreless
        for turn in range(self._plan.runs):
            for part in self._plan.parts:
                yield from parts[part](turn)

    def _load(self, turn: int) -> Iterator[Record]:
        for contender in turned([self.loopback, self.reference, *self.floor, *self.before, *self.peers], turn):
            yield load(contender, self._plan, self._generator, turn)

    def _bulk(self, turn: int) -> Iterator[Record]:
        for contender in turned([self.loopback, self.reference, *self.before, *self.peers], turn):
            yield bulk(contender, self._plan, self._generator, turn)

    def _ramp(self, turn: int) -> Iterator[Record]:
        # It goes as far as the generator does. That is worth knowing, once.
        yardsticks: list[Contender] = [self.reference] if turn == 0 else []
        for contender in turned([*yardsticks, *self.peers], turn):
            record = ramp(contender, self._plan, self._generator, turn, self._near[contender.name])
            self._near[contender.name] = record.sessions / RAMP_BELOW
            yield record

    def _stall(self, turn: int) -> Iterator[Record]:
        if turn < STALL_ROUNDS:
            for contender in turned([self.reference, *self.peers], turn):
                bound = self._bounds.get(contender.name)
                yield stall(contender, self._plan, self._generator, turn, bound)

    def _coreless(self, turn: int) -> Iterator[Record]:
        if turn < CORELESS_ROUNDS:
            yield from coreless(self._site, self._plan, turn)


def _before(checkout: Path, site: Site, room: int) -> Contender:
    """Return the relay of another checkout, with its defaults."""
    folder = site.folder / BEFORE
    folder.mkdir()
    return OurRelay(BEFORE, dataclasses.replace(site, relay=str(zipapp.build(folder, checkout).path)), "", room)


def turned(contenders: list[Contender], turn: int) -> list[Contender]:
    """Return the contenders in the order of a round: each comes first, and last, equally often."""
    first = turn % len(contenders)
    return contenders[first:] + contenders[:first]


def bring_up(interface: str) -> None:
    """Set an interface's flag 'up'. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh14x", interface.encode(), 0)
        _, flags = struct.unpack("16sh14x", fcntl.ioctl(control, SIOCGIFFLAGS, request))
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", interface.encode(), flags | IFF_UP))


def prepare() -> bool:
    """Allow as many files as may be, and run before other programs where that is allowed; return whether it is.

    That keeps the machine's other programs out of the measurement, and changes nothing between the contenders: all of
    them, and the generator, inherit it. Where each session of processes is a group to the scheduler, only the group's
    own niceness counts against others (sched(7), The autogroup feature). Not the real-time class: who uses a whole
    core there is stopped for 50 ms in each second (sched(7), sched_rt_runtime_us), and at its end a relay does.
    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        os.setpriority(os.PRIO_PROCESS, 0, MOST_URGENT)
        # The one who is first in a process namespace leads no session yet; otherwise the group is the terminal's.
        with contextlib.suppress(PermissionError):
            os.setsid()
        with contextlib.suppress(FileNotFoundError):
            AUTOGROUP.write_text(str(MOST_URGENT), encoding="ascii")
    except PermissionError:
        return False
    return True


def run(plan: Plan) -> None:
    """Run a plan in this process's network. Raises UserError, RelayError, GeneratorError."""
    bring_up("lo")
    relay_core, generator_core = tools.cores()
    haproxy, python = tools.haproxy(), tools.python(plan.python)
    with tempfile.TemporaryDirectory(prefix="netplay-bench-") as name:
        folder = Path(name)
        tools.compile_programs(folder)
        release = zipapp.build(folder)
        urgent = prepare()
        os.sched_setaffinity(0, {generator_core})
        tell("begin", {"machine": tools.describe(haproxy, python), "urgent": urgent})
        site = Site(folder, haproxy, python, str(release.path), relay_core)
        for record in Bench(plan, site).records():
            tell("record", records.as_json(record))


def tell(event: str, data: dict[str, Any]) -> None:
    """Write an event."""
    sys.stdout.write(json.dumps({event: data}) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Read a plan from standard input, and run it; the exit code is 1 when it could not be finished."""
    try:
        run(plans.from_json(json.load(sys.stdin)))
    except UserError as error:
        tell("error", {"message": error.message, "fix": error.fix})
    except (RelayError, GeneratorError) as error:
        tell("error", {"message": str(error), "fix": ""})
    except KeyboardInterrupt:
        return 130
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
