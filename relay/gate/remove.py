"""Taking the gate away: all that is ours, and nothing else."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from relay.gate import commit_confirm, previous_backend, state
from relay.gate import files as places
from relay.gate.backends.base import FilterError
from relay.gate.backends.iptables import Iptables, variant
from relay.gate.coexist.survey import Coexistence
from relay.gate.errors import AgentRunsError
from relay.gate.gate import Gate
from relay.gate.state import State
from relay.tomlfile import ConfigError


def remove(gate: Gate, *, keep_config: bool = False) -> dict[str, Any]:
    """Take rules, openings and files away; return what was there (see relay.gate.cli). Twice is as good as once.

    keep_config: leave friends.toml. Raises AgentRunsError, BusyError, FilterError, ProgramError, OSError.
    """
    with _no_agent(gate), state.locked(gate.places.lock):
        known = state.load(gate.places.state)
        if pending := commit_confirm.load(gate.places.pending):
            commit_confirm.disarm(gate, pending.token)
        places.write(gate.places.pending, None)
        undone = Coexistence(gate.programs, "").close()
        removed = _rules(gate, known)
        previous_backend.take_away(gate, known, "", now=True)
        files = _files(gate, keep_config=keep_config)
        # While they are held: a lock that somebody else has by then stays.
        for path in (gate.places.lock, gate.places.agent):
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # not empty, or not there
        gate.places.state_dir.rmdir()
    return {
        "changed": bool(undone or removed or files),
        "rules": removed,
        "closed": undone,
        "files": files,
        "left": previous_backend.sentences(known),
    }


@contextlib.contextmanager
def _no_agent(gate: Gate) -> Iterator[None]:
    """Let no agent run meanwhile. Raises AgentRunsError."""
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(state.locked(gate.places.agent, patience=0.0))
        except state.BusyError:
            who = state.holder(gate.places.agent) or "?"
            raise AgentRunsError(
                f"the gate's agent runs (process {who}) and would put everything back. Stop its service"
            ) from None
        yield


def _rules(gate: Gate, known: State) -> list[str]:
    removed = []
    if gate.programs.find("nft"):
        table = gate.named("nftables", known)
        if table.snapshot() is not None:
            table.remove()
            removed.append(table.name)
    kind = variant(gate.programs)
    chains = Iptables(gate.programs, kind) if kind is not None else None
    if chains and _stand(chains, known):
        chains.remove(known.created)
        removed.append(chains.name)
    return removed


def _stand(chains: Iptables, known: State) -> bool:
    """Tell whether something of ours stands in iptables; where it was used and cannot be asked, it may."""
    used = _uses_iptables(known)
    try:
        return (used or chains.is_visible()) and chains.standing() is not None
    except FilterError:
        return used  # a host may have the programs, and a kernel that has nothing of what they are for


def _uses_iptables(known: State) -> bool:
    return known.applied is not None and known.applied.backend == "iptables"


def _files(gate: Gate, *, keep_config: bool) -> list[str]:
    try:
        own_allowlist = gate.allowlist(gate.wanted())
    except ConfigError:
        own_allowlist = gate.places.allowlist
    gone = [own_allowlist, gate.places.state, *([] if keep_config else [gate.places.friends])]
    for path in (own_allowlist, gate.places.state, gate.places.pending, gate.places.friends):
        gone += places.unfinished(path)
    return [str(path) for path in gone if places.write(path, None)]
