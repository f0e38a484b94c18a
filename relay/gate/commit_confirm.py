"""A push that comes back by itself: what stood is kept, a timer is armed, and only a confirmation keeps the new.

Whoever pushes confirms over a new connection: who cannot reach the host any more cannot confirm, and then what stood
before stands again. The timer is systemd's where there is one, else a process of its own session; either lives on when
the connection that armed it is gone. Should it be lost too (a reboot), the agent does its work.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import relay
from relay.gate import files, previous_backend, state, typed
from relay.gate.backends.base import FilterError, Snapshot
from relay.gate.gate import Gate
from relay.gate.programs import ProgramError
from relay.gate.state import Applied, Name, Opening, State
from relay.tomlfile import ConfigError

SYSTEMD = Path("/run/systemd/system")
# How long after its moment a rollback that did not happen is done by somebody else, in seconds.
GRACE = 5.0
LONGEST = 3600.0


@dataclass(slots=True)
class Pending:
    """What stood before a push, and until when (seconds since 1970) it waits for its confirmation.

    names: the answers for DNS names, which a push that leaves a name out forgets. listed: the list that was in force,
    which is not friends.toml's where that was broken.
    """

    token: str
    deadline: float
    backend: str
    snapshot: Snapshot
    friends: str | None
    allowlist: str | None
    applied: dict[str, Any] | None
    opened: list[dict[str, Any]] = field(metadata={"shape": list[Opening]})
    names: dict[str, dict[str, Any]] = field(default_factory=dict)
    listed: str | None = None

    def save(self, path: Path) -> None:
        """Write it down. Raises OSError."""
        files.write(path, json.dumps(asdict(self)) + "\n")


def load(path: Path) -> Pending | None:
    """Return the push that waits for its confirmation, None when none does."""
    try:
        pending = typed.read(Pending, json.loads(path.read_text(encoding="utf-8")))
        for entry in pending.names.values():
            state.check(typed.read(Name, entry))
        if pending.applied:
            typed.read(Applied, pending.applied)
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return pending


def prepare(gate: Gate, known: State, backend: str, allowlist: Path, seconds: float) -> Pending:
    """Keep what stands now. A push over one that was not confirmed keeps what stood before that. Raises FilterError."""
    token, deadline = os.urandom(8).hex(), gate.clock() + seconds
    if older := load(gate.places.pending):
        known.replaced = {"at": int(gate.clock()), "token": older.token, "by": known.controller.partition(" ")[0]}
        older.token, older.deadline = token, deadline
        return older
    return Pending(
        token,
        deadline,
        backend,
        gate.named(backend, known).snapshot(),
        files.read(gate.places.friends),
        files.read(allowlist),
        asdict(known.applied) if known.applied else None,
        list(known.opened),
        {name: asdict(entry) for name, entry in known.names.items()},
        known.friends,
    )


def arm(gate: Gate, pending: Pending, seconds: float) -> str:
    """Write the push down and start its timer; return what keeps it: "systemd" or "process". Raises OSError."""
    pending.save(gate.places.pending)
    command = [*own_command(), "gate", *_directories(gate), "rollback", "--timer", pending.token]
    if SYSTEMD.is_dir():
        timer = ["systemd-run", "--quiet", "--collect", f"--unit={unit(pending.token)}", f"--on-active={seconds:g}s"]
        with contextlib.suppress(ProgramError):
            gate.programs.run([*timer, "--timer-property=AccuracySec=500ms", "--", *command])
            return "systemd"
    _detach([*command, "--after", f"{seconds:g}"])
    return "process"


def unit(token: str) -> str:
    """Return the name of the timer of a push."""
    return f"netplay-relay-rollback-{token}"


def own_command() -> list[str]:
    """Return how this program is run: as the one file it came in, or from its folder."""
    place = Path(relay.__file__).parents[1]
    if place.is_file():
        return [sys.executable, "-I", str(place.resolve())]
    run = "import sys; sys.path.insert(0, sys.argv.pop(1)); from relay.__main__ import main; sys.exit(main())"
    return [sys.executable, "-I", "-c", run, str(place.resolve())]


def _directories(gate: Gate) -> list[str]:
    return ["--config-dir", str(gate.places.config_dir), "--state-dir", str(gate.places.state_dir)]


def _detach(command: list[str]) -> None:
    """Run a program in a session of its own, which no hang-up reaches and nobody waits for."""
    quiet = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)]
    os.posix_spawn(command[0], command, os.environ, file_actions=quiet, setsid=True)


def confirm(gate: Gate, token: str) -> bool:
    """Keep a push for good; return False when that push does not wait (any more). Raises BusyError."""
    with state.locked(gate.places.lock):
        pending = load(gate.places.pending)
        if pending is None or pending.token != token:
            return False
        files.write(gate.places.pending, None)
    # Nobody has to wait for that: a timer that comes late finds nothing to take back.
    if SYSTEMD.is_dir() and (program := gate.programs.find("systemctl")):
        _detach([program, "stop", f"{unit(token)}.timer"])
    return True


def disarm(gate: Gate, token: str) -> None:
    """Stop the timer of a push; the process of one that systemd does not keep sees by itself that it is not needed."""
    if SYSTEMD.is_dir():
        gate.programs.answer(["systemctl", "stop", f"{unit(token)}.timer"])


def wait(gate: Gate, token: str, seconds: float) -> bool:
    """Wait until a push has had its time; return False as soon as it does not wait any more."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        pending = load(gate.places.pending)
        if pending is None or pending.token != token:
            return False
        time.sleep(min(left, 1.0))
    return True


def overdue(gate: Gate) -> str | None:
    """Return the token of a push whose timer should have ended it and did not."""
    pending = load(gate.places.pending)
    return pending.token if pending and gate.clock() > pending.deadline + GRACE else None


def roll_back(gate: Gate, token: str, why: str) -> bool:
    """Put back what stood before a push; return False when it does not wait (any more). The lock must be held.

    why goes into the marker that `gate status` shows; "": there is nothing to show. Raises FilterError when the filter
    takes nothing; files and the relay's own gate are put back all the same. Raises OSError when these cannot be
    written; then the filter is put back all the same, and the push still waits to be taken back.
    """
    pending = load(gate.places.pending)
    if pending is None or pending.token != token:
        return False
    known = state.load(gate.places.state)
    known.names, known.friends = _names(pending, known.names), pending.listed
    failed = _files_back(gate, known, pending)
    used, known.applied = (
        known.applied,
        typed.read(Applied, pending.applied) if pending.applied else None,
    )
    if why:
        known.rolled_back = {"at": int(gate.clock()), "token": token, "why": why}
    try:
        gate.named(pending.backend, known).restore(pending.snapshot)
        if used and used.backend != pending.backend:
            previous_backend.note(known, used)
            previous_backend.take_away(gate, known, pending.backend, now=True)
        _close_again(gate, known, pending)
    finally:
        state.save(gate.places.state, known)
        if failed is None:
            files.write(gate.places.pending, None)
    if failed is not None:
        raise failed
    # The snapshot's times have run on meanwhile; and where nothing stood, nobody may get in now.
    with contextlib.suppress(ConfigError, FilterError, OSError):
        gate.settle(gate.in_force(known)[0], known, others=False)
        state.save(gate.places.state, known)
    return True


def _files_back(gate: Gate, known: State, pending: Pending) -> OSError | None:
    """Put the files back; return why one of them could not be written."""
    failed: OSError | None = None
    for path, text, like in (
        (gate.places.friends, pending.friends, None),
        (_allowlist(gate, known), pending.allowlist, gate.shared()),
    ):
        try:
            files.write(path, text, like)
        except OSError as error:
            failed = error
    return failed


def _names(pending: Pending, known: Mapping[str, Name]) -> dict[str, Name]:
    """Return the answers of before the push, and those found since."""
    before = {name: typed.read(Name, entry) for name, entry in pending.names.items()}
    return before | {name: entry for name, entry in known.items() if entry.addresses or name not in before}


def _allowlist(gate: Gate, known: State) -> Path:
    try:
        return gate.allowlist(gate.in_force(known)[0])
    except ConfigError:
        return gate.places.allowlist


def _close_again(gate: Gate, known: State, pending: Pending) -> None:
    """Undo what the push opened in other firewalls."""
    if known.opened == pending.opened and not known.opening:
        return
    from relay.gate.coexist.survey import Coexistence  # seldom needed

    ports = [port for record in pending.opened for port in record["ports"]]
    try:
        Coexistence(gate.programs, pending.backend).close(keep=ports)
    except (ProgramError, OSError):
        return  # it stays known, and is tried again by whoever looks at other firewalls next
    known.opened, known.opening = list(pending.opened), []
