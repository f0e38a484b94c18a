"""The agent: keeps the rules loaded, for as long as the host runs.

It looks when the kernel says that somebody changed the rules, and every few seconds anyway; it asks for DNS names
again, plans again when an entry ends or a file changes, and puts back what is not as it should be. It changes nothing
that is not ours, and takes nothing down when it stops: only `gate remove` does.
"""

from __future__ import annotations

import contextlib
import logging
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from relay import service_manager
from relay.fileerrors import sentence
from relay.gate import commit_confirm, netlink_monitor, previous_backend, resolver, state
from relay.gate import desired as files
from relay.gate import files as places
from relay.gate.backends import lacking
from relay.gate.backends.base import FilterError
from relay.gate.coexist import frontends
from relay.gate.desired import Wanted
from relay.gate.gate import Gate, Result
from relay.gate.policy.ruleset import Ruleset
from relay.gate.resolver import Lookups
from relay.gate.state import BusyError, State
from relay.tomlfile import ConfigError

log = logging.getLogger("netplay-relay.gate")

# Seconds: between two looks without an announcement; between two looks whatever is announced; between two whole
# comparisons while nothing is announced; between two looks at other firewalls, when rules changed and when not.
TICK = 5.0
PAUSE = 0.2
WHOLE = 60.0
SURVEY_AFTER_CHANGE = 60.0
SURVEY = 600.0
# How long the service manager waits with the port for a ruleset that cannot be put up. Beyond it the relay's own list
# has to keep strangers out, and whoever deploys hears why instead of that a service did not start.
PATIENCE = 10.0
# What is logged of a problem that has ended: the doctor leaves it out then.
OVER = "over"


class Agent:
    """One run of it. clock: monotonic seconds, for what is due when."""

    def __init__(
        self,
        gate: Gate,
        lookups: Lookups | None = None,
        clock: Callable[[], float] = time.monotonic,
        tick: float = TICK,
    ) -> None:
        self._gate = gate
        self._lookups = lookups or Lookups()
        self._clock = clock
        self._tick = tick
        self._wall: Ruleset | None = None
        self._wanted: Wanted | None = None
        self._stamps: list[tuple[int, int, int] | None] = []
        self._next_expiry: int | None = None
        self._looked = self._surveyed = float("-inf")
        self._complaint = ""
        self._left = ""
        self._lacks: list[str] = []
        # What no round has dealt with yet: another process held the lock, or the filter refused.
        self._owed = False
        self._answered: dict[str, Any] = {}
        self._blind = False
        self._absent = [home for home in frontends.HOMES if not home.exists()]
        self._outdated = False
        self._ready = False
        self._begun = clock()

    def run(self) -> int:
        """Work until SIGTERM or SIGINT, or until only another start can help.

        Raises BusyError when another agent runs, OSError.
        """
        with state.locked(self._gate.places.agent, patience=1.0), _signals() as stop:
            self._tidy()
            sock = netlink_monitor.listen()
            with sock or contextlib.nullcontext():
                self._work(stop, sock)
            service_manager.notify("STOPPING=1")
            return 0

    def _tidy(self) -> None:
        """Remove what a power loss left of files that were being written; the lock shows that nobody writes now."""
        at = self._gate.places
        with contextlib.suppress(OSError, BusyError), state.locked(at.lock, patience=0.0):
            for path in (at.state, at.pending, at.friends, at.allowlist):
                for left in places.unfinished(path):
                    left.unlink(missing_ok=True)

    def _work(self, stop: socket.socket, sock: socket.socket | None) -> None:
        self._round(told=True)
        log.info("the gate's agent is at work%s", "" if sock else "; the kernel does not tell it of changes")
        told = False
        # Whoever changes rules in bursts costs one look in each pause.
        while not self._outdated and not select.select([stop], [], [], PAUSE if told else 0)[0]:
            readable, _, _ = select.select([stop, sock] if sock else [stop], [], [], self._wait())
            if stop in readable:
                break
            told = bool(sock and netlink_monitor.drain(sock))
            self._round(told=told or sock is None)

    def _round(self, *, told: bool) -> None:
        """Look; and once the rules are loaded, or cannot for PATIENCE, let the service manager open the port."""
        stands = self.look(told=told or not self._ready) is not None
        if not self._ready and (stands or self._clock() - self._begun >= PATIENCE):
            self._ready = True
            service_manager.notify("READY=1")

    def _wait(self) -> float:
        """Return for how long there is nothing to do, in seconds."""
        expiry = self._next_expiry
        return self._tick if expiry is None else min(max(expiry - self._gate.clock(), 0.05), self._tick)

    def look(self, *, told: bool) -> Result | None:
        """Do one round. told: rules of this host have changed. Return what was done, None when there was no need."""
        now = self._clock()
        self._owed = self._owed or told
        self._answered |= self._lookups.results()
        if not (self._owed or self._answered or self._is_due(now)):
            self._ask(now)
            return None
        surveyed = self._surveyed
        try:
            outcome = self._settle(self._answered, survey=self._survey_is_due(now, told=self._owed))
        except BusyError:
            self._surveyed = surveyed
            return None  # somebody applies; the next round looks at what came of it
        except (ConfigError, FilterError, OSError) as error:
            self._complain(sentence(error))
            return None
        self._looked, self._owed, self._answered = now, False, {}
        self._ask(now)
        return outcome

    def _ask(self, now: float) -> None:
        for name in self._wanted.names if self._wanted else ():
            self._lookups.ask(name, now)

    def _is_due(self, now: float) -> bool:
        """Tell whether there is reason to look although nobody announced anything."""
        expired = self._next_expiry is not None and self._gate.clock() >= self._next_expiry
        late = commit_confirm.overdue(self._gate) is not None
        changed = self._stamps != self._read_stamps()
        return self._blind or expired or late or changed or bool(self._complaint) or now - self._looked >= WHOLE

    def _read_stamps(self) -> list[tuple[int, int, int] | None]:
        return [_stamp(path) for path in (self._gate.places.settings, self._gate.places.friends)]

    def _survey_is_due(self, now: float, *, told: bool) -> bool:
        due = now - self._surveyed >= (SURVEY_AFTER_CHANGE if told else SURVEY)
        self._surveyed = now if due else self._surveyed
        return due

    def _settle(self, answered: dict[str, Any], *, survey: bool) -> Result:
        with state.locked(self._gate.places.lock, patience=2.0):
            if token := commit_confirm.overdue(self._gate):
                commit_confirm.roll_back(self._gate, token, "it was not confirmed in time")
            self._stamps = self._read_stamps()
            known = state.load(self._gate.places.state)
            wanted, known.problem = self._gate.in_force(known)
            for name, result in answered.items():
                private = wanted.settings.gate.private_names
                if resolver.record(known.names, name, result, self._gate.clock(), private=private):
                    log.info("%s is %s now", name, ", ".join(known.names[name].addresses))
            try:
                outcome = self._gate.settle(wanted, known, survey=survey)
            except ConfigError as error:  # the settings make sense, and their port is the way in to the host
                if known.settings is None:
                    raise
                known.problem = str(error)
                wanted = files.read(self._gate.places, wanted.text, settings_text=known.settings)
                outcome = self._gate.settle(wanted, known, survey=survey)
            self._note(outcome, known)
            state.save(self._gate.places.state, known)
        if known.problem and known.problem != self._complaint:
            log.error("%s What was applied last stays in force.", known.problem)
        if self._complaint and not known.problem:
            log.info("%s: %s", OVER, self._complaint)
        self._complaint = known.problem
        self._wanted, self._wall, self._next_expiry = wanted, outcome.wall, outcome.plan.next_expiry
        self._blind = outcome.backend == "iptables"  # not all of iptables is announced
        return outcome

    def _note(self, outcome: Result, known: State) -> None:
        """Log and count what was put back."""
        done = outcome.done
        if outcome.wall == self._wall and (done.rules or done.added or done.removed):
            known.healed = {"count": known.healed["count"] + 1, "at": int(self._gate.clock()), "what": str(done)}
            log.warning("somebody changed our rules (%s); they are as they should be again", done)
        for complaint in outcome.complaints:
            log.warning("%s", complaint)
        self._note_leftover(known)
        self._note_lacks(known)
        if outcome.complaints and (new := [str(home) for home in self._absent if home.exists()]):
            self._outdated = True
            log.warning("%s is newer than this service, which may not write there: it restarts", ", ".join(new))
        for record in outcome.opened:
            log.info("opened port %s in %s", ", ".join(map(str, record["ports"])), record["tool"])

    def _note_leftover(self, known: State) -> None:
        """Log once that rules of a former filter stand, and once that they are gone."""
        left = known.leftover.backend if known.leftover else ""
        if left != self._left:
            for sentence in previous_backend.sentences(known) or [
                f"what {self._left} held of netplay-relay is removed now"
            ]:
                log.warning("%s", sentence)
        self._left = left

    def _note_lacks(self, known: State) -> None:
        """Log once what was left out of the rules, and once that it can be had."""
        said = lacking.sentences(known.applied.backend, known.applied.lacks) if known.applied else []
        for one in said:
            if one not in self._lacks:
                log.warning("%s", one)
        for one in self._lacks:
            if one not in said:
                log.info("%s: %s", OVER, one)
        self._lacks = said

    def _complain(self, what: str) -> None:
        """Log a problem once, and leave it where `gate status` finds it."""
        if what == self._complaint:
            return
        self._complaint = what
        log.error("%s", what)
        with contextlib.suppress(OSError, BusyError), state.locked(self._gate.places.lock, patience=2.0):
            known = state.load(self._gate.places.state)
            known.problem = what
            state.save(self._gate.places.state, known)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


@contextlib.contextmanager
def _signals() -> Iterator[socket.socket]:
    """Give a socket that becomes readable when this process shall end."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setblocking(False)
        before = signal.set_wakeup_fd(theirs.fileno())
        handlers = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield ours
        finally:
            signal.set_wakeup_fd(before)
            for number, handler in handlers.items():
                signal.signal(number, handler)
