"""Ending what runs: removal lets a game finish, a kick does not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from relay.addresses import Network
from relay.gate import state, subject
from relay.gate.errors import UnknownSubjectError
from relay.gate.gate import Gate
from relay.gate.programs import ProgramError


def kick(gate: Gate, text: str, socket: Path | None = None) -> dict[str, Any]:
    """End the connections of a friend or an address; return what was ended (see relay.gate.cli).

    The relay ends them; where the program conntrack is, the host's memory of them goes too, so that nothing of them
    counts as established. Raises ConfigError, UnknownSubjectError.
    """
    wanted = gate.wanted()
    known = state.load(gate.places.state)
    whom = subject.find(text, wanted, known)
    if not whom.networks:
        raise UnknownSubjectError(f"{text} has no address: no name of {text} has been found yet")
    ended, problem = _by_relay(gate, whom.networks, socket)
    forgotten = _by_conntrack(gate, whom.networks, wanted.ports)
    return {
        "subject": text,
        "networks": [str(network) for network in whom.networks],
        "kicked": ended,
        "problem": problem,
        "conntrack": forgotten,
    }


def _by_relay(gate: Gate, networks: Sequence[Network], socket: Path | None) -> tuple[int | None, str]:
    """Return how many connections the relay ended, or None and why not."""
    ended = 0
    for start in range(0, len(networks), subject.AT_ONCE):
        addresses = [str(network) for network in networks[start : start + subject.AT_ONCE]]
        answer, problem = subject.ask_relay(gate, "kick", socket, addresses=addresses)
        if answer is None:
            return None, problem
        ended += int(answer.get("kicked", 0))
    return ended, ""


def _by_conntrack(gate: Gate, networks: Sequence[Network], ports: Sequence[int]) -> int | None:
    """Return how many entries went, None where there is no conntrack."""
    if not gate.programs.find("conntrack"):
        return None
    gone = 0
    for network in networks:
        family = "ipv4" if network.version == 4 else "ipv6"
        for protocol in ("tcp", "udp"):
            for port in ports:
                where = ["-f", family, "-p", protocol, "--dport", str(port), "-s", str(network)]
                gone += _deleted(gate, ["conntrack", "-D", *where])
    return gone


def _deleted(gate: Gate, argv: list[str]) -> int:
    try:
        return len(gate.programs.run(argv).splitlines())
    except ProgramError as error:
        # It fails when there was nothing to delete, and says so.
        match = re.search(r"(\d+) flow entries have been deleted", error.output)
        return int(match[1]) if match else 0
