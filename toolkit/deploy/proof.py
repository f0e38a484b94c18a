"""Where the proof runs: in the lab as friend and as stranger, for a real host from this machine."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolkit.console import ROOT, step
from toolkit.deploy.probe import Finding
from toolkit.errors import PROOF_FAILED, UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolkit.lab import Lab

# Every wait inside a probe is bounded by seconds; this is for a machine on its knees.
PROBE_SECONDS = 60
IN_FRONT = (
    "If nothing there keeps them out: does a firewall in front of the host (the provider's, a router's) let the port "
    "through?"
)


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe under way: who it is (for the sentence), from which address, and its process."""

    who: str
    source: str
    process: subprocess.Popen[str]


def prove_in_lab(lab: Lab, port: int) -> None:
    """Play as the lab's friend and be refused as its stranger, over IPv4 and IPv6. Raises UserError."""
    relay, friend, stranger = lab.node("relay"), lab.node("friend"), lab.node("stranger")
    strangers = [
        _start("stranger", stranger.ipv4, lab.command("stranger", _argv("stranger", relay.ipv4, port))),
        _start("stranger", stranger.ipv6, lab.command("stranger", _argv("stranger", relay.ipv6, port))),
    ]
    # One after the other: two sessions at once would leave nothing for a join without an id to mean.
    for source, address in ((friend.ipv4, relay.ipv4), (friend.ipv6, relay.ipv6)):
        _tell(_start("friend", source, lab.command("friend", _argv("friend", address, port))))
    for probe in strangers:
        _tell(probe)


def prove_from_here(address: str, port: int, source: str, listed: bool | None) -> None:
    """Prove what can be proven from this machine, which the host sees as source.

    listed tells whether friends.toml lets that address in; None: it is not known (a jump host lies between), then
    what is found is told, and is no failure. Raises UserError.
    """
    if listed is False:
        _tell(_start("stranger", source, _argv("stranger", address, port)))
        step("proof", f"this machine ({source}) is not in friends.toml and is kept out, as it should be;")
        step("", f"to play from here, add it: --friend me={source}")
        return
    finding = _finding(_start("friend", source, _argv("friend", address, port)))
    if listed or finding.good:
        _judge("friend", source or "this machine", finding)
        step("proof", "that strangers are kept out cannot be seen from here: this machine is a friend")
    else:
        step("proof", f"left out: {finding.sentence}, and which address the host sees this machine at is not known")


def _argv(role: str, address: str, port: int) -> list[str]:
    return [sys.executable, "-m", "toolkit.deploy.probe", role, address, str(port)]


def _start(who: str, source: str, argv: Sequence[str]) -> Probe:
    # From the checkout: -m finds the toolkit there.
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    return Probe(who, source, process)


def _tell(probe: Probe) -> None:
    _judge(probe.who, probe.source, _finding(probe))


def _finding(probe: Probe) -> Finding:
    try:
        output, errors = probe.process.communicate(timeout=PROBE_SECONDS)
        return Finding.from_json(output)
    except subprocess.TimeoutExpired:
        probe.process.kill()
        probe.process.communicate()
        return Finding(False, f"the probe did not end within {PROBE_SECONDS} s")
    except (ValueError, TypeError):
        last = errors.strip().splitlines()[-1:] or ["nothing"]
        return Finding(False, f"the probe broke off; its last words: {last[0]}")


def _why(source: str) -> str:
    """Return what to type to hear what every layer on the host says of an address."""
    known = source[:1].isdigit() or ":" in source
    return f"Ask the host why: invoke {f'friends.check {source}' if known else 'friends.list'}"


def _judge(who: str, source: str, finding: Finding) -> None:
    if not finding.good:
        raise UserError(
            f"the relay runs, but the proof failed for the {who} at {source}: {finding.sentence}",
            fix=f"{_why(source)}\n{IN_FRONT}" if who == "friend" else _why(source),
            exit_code=PROOF_FAILED,
        )
    if who == "stranger":
        step("proof", f"stranger {source}: kept out ({finding.sentence})")
        return
    step("proof", f"friend {source}: {finding.sentence}; a round trip takes {finding.round_trip_ms} ms")
    if finding.without_id != "works":
        step("", f"joining without an id was {finding.without_id}")
