"""The gate of one host: what is wanted, by the files there, and making it so."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relay.gate import desired as wanted
from relay.gate import files, lockout, previous_backend, resolver
from relay.gate.backends.base import Backend, Done, FilterError, enforce
from relay.gate.backends.nftables import Nftables
from relay.gate.desired import Wanted
from relay.gate.files import GateFiles
from relay.gate.foreign import uplinks
from relay.gate.policy import plan
from relay.gate.policy import ruleset as wall
from relay.gate.policy.plan import Plan
from relay.gate.policy.ruleset import Ruleset, Standing
from relay.gate.programs import Programs
from relay.gate.state import State, save

if TYPE_CHECKING:
    from relay.gate.backends.iptables import Iptables

# The relay refuses one address's connections above its own limit and says why; the filter's cap holds when it cannot.
CAP_FACTOR = 2


@dataclass(slots=True)
class Result:
    """What `settle` came to: the plan, what the filter needed, what other firewalls do, complaints."""

    plan: Plan
    wall: Ruleset
    backend: str
    done: Done
    opened: list[dict[str, Any]] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    allowlist: bool = False
    ports_changed: bool = False


class Gate:
    """Files, programs, clock (seconds since 1970) and networks of one host."""

    def __init__(
        self,
        where: GateFiles,
        programs: Programs | None = None,
        clock: Callable[[], float] = time.time,
        near: plan.Near | None = None,
    ) -> None:
        self.places = where
        self.programs = programs or Programs()
        self.clock = clock
        self._near = near

    def wanted(self, text: str | None = None, source: Path | None = None) -> Wanted:
        """Read the files; text and source stand in for the host's friends.toml. Raises ConfigError."""
        return wanted.read(self.places, text, source)

    def in_force(self, known: State) -> tuple[Wanted, str]:
        """Return what the files ask for and a complaint; for a broken one, what was applied of it last stands in.

        Raises ConfigError when nothing was applied of it.
        """
        return wanted.in_force(self.places, known)

    def allowlist(self, wanted: Wanted) -> Path:
        """Return where the relay's own allowlist is."""
        return wanted.settings.gate.allowlist or self.places.allowlist

    def shared(self) -> Path:
        """Return what has the relay's group: the settings, or (a package's files are all root's) their directory."""
        settings = self.places.settings
        return settings if settings.exists() and settings.stat().st_gid != 0 else self.places.config_dir

    def backend(self, setting: str, state: State) -> Backend:
        """Return the packet filter to use: the setting's, or by evidence. Raises FilterError when there is none."""
        applied = state.applied
        if setting != "iptables" and self.programs.find("nft"):
            known = applied is not None and applied.backend == "nftables"
            if known or setting == "nftables" or self.programs.answer(["nft", "-j", "list", "tables"]):
                return self.named("nftables", state)
        if setting != "nftables" and self._iptables():
            return self.named("iptables", state)
        missing = {"auto": "neither nft nor iptables", "nftables": "no nft", "iptables": "no iptables"}[setting]
        raise FilterError(f"this host has {missing} that works. Install the package nftables, then try again")

    def named(self, name: str, state: State) -> Backend:
        """Return a packet filter by its name, with what is known of its limits. Raises FilterError: it is gone."""
        applied = state.applied if state.applied and state.applied.backend == name else None
        plain, lacks = (applied.plain, tuple(applied.lacks)) if applied else (False, ())
        found: Backend | None = None
        if name == "iptables":
            found = self._iptables(plain=plain, lacks=lacks)
        elif self.programs.find("nft"):
            found = Nftables(self.programs, plain=plain, lacks=lacks)
        if found is None:
            raise FilterError(
                f"{name} is not on this host any more. Where its rules still keep new friends out: install {name} "
                "again, or restart the host"
            )
        return found

    def former(self, state: State) -> Backend | None:
        """Return the packet filter used last, None where there is none or the host does not have it any more."""
        with contextlib.suppress(FilterError):
            return self.named(state.applied.backend, state) if state.applied else None
        return None

    def _iptables(self, *, plain: bool = False, lacks: tuple[str, ...] = ()) -> Iptables | None:
        """Return the host's iptables, None when it has none."""
        from relay.gate.backends.iptables import Iptables, variant  # most hosts have nft

        kind = variant(self.programs)
        return None if kind is None else Iptables(self.programs, kind, plain=plain, lacks=lacks)

    def plan(self, wanted: Wanted, state: State) -> Plan:
        """Return the plan for now, by the last good answers for DNS names."""
        # Anew each time: an agent lives longer than a VPN.
        near = self._near or uplinks.Near()
        return plan.make(wanted.friends, resolver.answers(state.names), self.clock(), near)

    def wall(self, wanted: Wanted, made: Plan, state: State) -> Ruleset:
        """Return the ruleset for a plan. Raises ConfigError when it would stand in the way in."""
        if state.applied is None or state.applied.ports != sorted(set(wanted.ports)):
            self._check_ports(wanted, state)
        most = CAP_FACTOR * wanted.settings.limits.connections_per_address
        return wall.build(made, wanted.ports, most, wanted.datagrams)

    def _check_ports(self, wanted: Wanted, state: State) -> None:
        ways = dict.fromkeys(lockout.ssh_ports(), "an ssh server listens on it")
        if self.programs.find(lockout.SSH_SOCKETS[0]):
            shown = self.programs.answer(lockout.SSH_SOCKETS)
            ways |= dict.fromkeys(lockout.socket_ports(shown), "systemd waits for ssh on it")
        if login := lockout.login(state.controller):
            ways[login[1]] = f"the login from {login[0]} came by it"
        lockout.refuse(wanted.ports, ways, self.places.settings)

    def try_again(self, wanted: Wanted, state: State) -> None:
        """Find out whether what was left out of the rules can be had by now. Raises ConfigError, FilterError."""
        if state.applied is None or not state.applied.lacks:
            return
        backend = self.backend(wanted.settings.gate.backend, state)
        if backend.name == state.applied.backend:
            still = backend.tried(self.wall(wanted, self.plan(wanted, state), state))
            state.applied = replace(state.applied, lacks=[*still])

    def settle(self, wanted: Wanted, state: State, *, survey: bool = False, others: bool = True) -> Result:
        """Make filter and allowlist what is wanted, and the state say so. Raises ConfigError, FilterError, OSError.

        survey: look at other firewalls even if our rules stand; that takes a second where firewalld runs. others: look
        at them at all (`look_around` does it later).
        """
        state.names = {name: known for name, known in state.names.items() if name in wanted.names}
        made = self.plan(wanted, state)
        desired = self.wall(wanted, made, state)
        before = state.applied
        backend = self.backend(wanted.settings.gate.backend, state)
        done, state.applied = enforce(backend, desired, before, self.clock)
        outcome = Result(made, desired, backend.name, done)
        if before and before.backend != backend.name:
            previous_backend.note(state, before)
        state.created = sorted({*state.created, *backend.made})
        if done.changed:
            # Before anything that takes time or can fail: what stands and is not known to be ours counts as no wall.
            self.remember(state)
        previous_backend.take_away(self, state, backend.name, now=done.changed or survey)
        outcome.allowlist = files.write(self.allowlist(wanted), made.allowlist(), self.shared())
        state.friends, state.settings = wanted.text, wanted.settings_text
        note_seen(state, done.standing, self.clock())
        outcome.ports_changed = before is None or before.ports != list(desired.ports)
        if others:
            self.look_around(outcome, state, survey=survey)
        return outcome

    def look_around(self, outcome: Result, state: State, *, survey: bool = False) -> None:
        """Look at other firewalls if our rules had to be loaded, or survey says so; open the ports there."""
        if not (survey or outcome.done.rules):
            return
        from relay.gate.coexist import open_ports  # not needed to add a friend

        try:
            open_ports.open_missing(self.programs, outcome, state, lambda: self.remember(state))
        except Exception as error:
            complaint = f"other firewalls could not be looked at ({type(error).__name__}: {error})"
            outcome.complaints.append(complaint)

    def remember(self, state: State) -> None:
        """Bring what is known to the disk. Raises OSError."""
        save(self.places.state, state)


def note_seen(known: State, standing: Standing | None, now: float) -> None:
    """Note whom the filter's counts show to have come in since the last look; now in seconds since 1970."""
    counts = {str(network): count for network, count in (standing.seen if standing else {}).items()}
    known.seen = {network: at for network, at in known.seen.items() if network in counts}
    for network, count in counts.items():
        if count > known.packets.get(network, 0):
            known.seen[network] = int(now)
    known.packets = counts
