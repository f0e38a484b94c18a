"""Why is this address refused? Every layer between a player and the relay, in order, each with its answer.

The layers: the owner's list, the time of the entry, the answers for DNS names, the packet filter, other firewalls,
the relay's own allowlist, the relay and its limits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from relay import allowlist
from relay.addresses import Network
from relay.gate import files, previous_backend, state, subject
from relay.gate.backends.base import FilterError
from relay.gate.coexist.survey import Coexistence
from relay.gate.desired import Wanted
from relay.gate.gate import Gate
from relay.gate.policy import expiry
from relay.gate.policy.friends import Friend
from relay.gate.policy.ruleset import Standing
from relay.gate.state import State
from relay.gate.subject import Subject
from relay.gate.way import Way


@dataclass(frozen=True, slots=True)
class Step:
    """One layer's answer: ok True lets in, False refuses, None decides nothing or, if unknown, cannot be judged."""

    layer: str
    ok: bool | None
    sentence: str
    unknown: bool = False


def check(gate: Gate, text: str, socket: Path | None = None) -> dict[str, Any]:
    """Ask every layer about a friend or an address; return the answers (see relay.gate.cli). Changes nothing.

    Raises UnknownSubjectError, ConfigError, OSError.
    """
    wanted = gate.wanted()
    known = state.load(gate.places.state)
    whom = subject.find(text, wanted, known)
    steps = list(_Chain(gate, wanted, known, whom, socket).steps())
    refused = [step for step in steps if step.ok is False]
    unknown = [step for step in steps if step.unknown]
    return {
        "subject": text,
        "friend": whom.friend.name if whom.friend else None,
        "verdict": "out" if refused else "unknown" if unknown else "in",
        "because": next((step.sentence for step in (*refused, *unknown)), ""),
        "steps": [asdict(step) for step in steps],
    }


class _Chain:
    """The layers, asked one after the other about one subject."""

    def __init__(self, gate: Gate, wanted: Wanted, known: State, whom: Subject, socket: Path | None) -> None:
        self._gate = gate
        self._wanted = wanted
        self._known = known
        self._whom = whom
        self._socket = socket

    def steps(self) -> Iterator[Step]:
        """Yield the answer of every layer."""
        holders = [self._whom.friend] if self._whom.friend else self._holders()
        yield self._list(holders)
        yield from self._family()
        yield from (self._time(friend) for friend in holders)
        yield from (self._name(friend, name) for friend in holders for name in friend.names)
        yield from self._filter()
        yield from self._former_filter()
        yield from self._others()
        yield from self._allowlist()
        yield from self._relay()

    def _holders(self) -> list[Friend]:
        """Return the friends whose entry holds the address."""
        (address,) = self._whom.networks
        return [friend for friend in self._wanted.friends if self._lets_in(friend, address)]

    def _list(self, holders: list[Friend]) -> Step:
        where = self._gate.places.friends
        if not holders:
            return Step(
                "friends", False, f"{self._whom.text} is not an address of any friend in {where}.{self._near()}"
            )
        lines = " and ".join(f"{friend.name} ({where}:{friend.line})" for friend in holders)
        if self._whom.friend:
            return Step("friends", True, f"{lines} comes from {_all(self._whom.networks)}.")
        return Step("friends", True, f"{self._whom.text} is an address of {lines}.")

    def _family(self) -> Iterator[Step]:
        """Yield what it means that a friend comes by IPv6 alone: who looks up a name may well come by IPv4."""
        friend, networks = self._whom.friend, self._whom.networks
        if friend is None or not networks or any(network.version == 4 for network in networks):
            return
        yield Step(
            "family",
            None,
            f"{friend.name} is let in by IPv6 alone. RetroArch hosts through a relay by IPv4 only, and a client may "
            f"come by IPv4, too: both are refused. To add that address: "
            f"invoke friends.add {friend.name} --ip IPV4-ADDRESS",
        )

    def _near(self) -> str:
        """Return a hint when a friend has an address close by: it may have changed."""
        (address,) = self._whom.networks
        around = address.supernet(new_prefix=min(16 if address.version == 4 else 32, address.prefixlen))
        for friend in self._wanted.friends:
            for network in subject.networks_of(friend, self._known):
                if _holds(around, network):
                    return f" {friend.name} has {network}, in the same {around}: has that address changed?"
        return ""

    def _time(self, friend: Friend) -> Step:
        if friend.until is None:
            return Step("time", True, f"{friend.name}'s entry has no end.")
        left = friend.until - self._gate.clock()
        if left <= 0:
            over = f"{friend.name}'s entry ended on {expiry.shown(friend.until)}."
            others = self._others_of(friend)
            also = f" {' and '.join(others)}'s lets the same address in." if others else ""
            return Step("time", None if others else False, over + also)
        shown = f"{expiry.shown(friend.until)}, {expiry.remaining(left)} from now"
        return Step("time", True, f"{friend.name}'s entry ends on {shown}.")

    def _others_of(self, friend: Friend) -> list[str]:
        """Return who else lets in all of what is asked about, so that the end of a friend's entry decides nothing."""
        now = self._gate.clock()
        current = [one for one in self._wanted.friends if one != friend and (one.until is None or one.until > now)]
        by: list[str] = []
        for network in self._whom.networks:
            here = [one.name for one in current if self._lets_in(one, network)]
            if not here:
                return []
            by += here
        return list(dict.fromkeys(by))

    def _lets_in(self, friend: Friend, network: Network) -> bool:
        return any(_holds(held, network) for held in subject.networks_of(friend, self._known))

    def _name(self, friend: Friend, name: str) -> Step:
        entry = self._known.names.get(name)
        problem = f" The last look-up failed: {entry.error}." if entry and entry.error else ""
        if entry is None or not entry.addresses:
            # An address, or another name, may let him in all the same.
            other = bool(subject.networks_of(friend, self._known))
            return Step("name", None if other else False, f"{name} has no answer yet.{problem}")
        at = expiry.shown(int(entry.at))
        return Step("name", True, f"{name} was {', '.join(entry.addresses)} on {at}.{problem}")

    def _filter(self) -> Iterator[Step]:
        try:
            backend = self._gate.backend(self._wanted.settings.gate.backend, self._known)
            standing = backend.standing()
        except FilterError as error:
            yield Step("filter", None, f"The packet filter cannot be asked: {error}.")
            return
        if standing is None:
            yield Step("filter", None, f"Our rules are not in {backend.name}, so it refuses nobody: start the agent.")
            return
        for network in self._whom.networks:
            yield self._element(backend.name, standing, network)

    def _former_filter(self) -> Iterator[Step]:
        """Yield what the filter used before does, where its rules could not be taken away."""
        if (left := self._known.leftover) is None:
            return
        try:
            standing = previous_backend.backend(self._gate, left).standing()
        except FilterError:
            for said in previous_backend.sentences(self._known):
                yield Step("filter", None, f"{said[0].upper()}{said[1:]}.")
            return
        if standing is None:
            return
        for network in self._whom.networks:
            yield self._element(f"The rules of before still stand in {left.backend}, which", standing, network)

    def _element(self, name: str, standing: Standing, network: Network) -> Step:
        elements = [element for held in standing.sets.values() for element in held if _holds(element, network)]
        if not elements:
            refused = f"{standing.packets.get('refused', 0)} packets refused so far"
            return Step("filter", False, f"{name} refuses {network}: no entry holds it ({refused}).")
        shown = []
        for element in elements:
            left = next((times[element] for times in standing.sets.values() if element in times), None)
            time = "for good" if left is None else f"for {expiry.remaining(left)}"
            shown.append(f"{element} {time} ({standing.seen.get(element, 0)} new connections so far)")
        return Step("filter", True, f"{name} lets {network} in by {', '.join(shown)}.")

    def _others(self) -> Iterator[Step]:
        backend = self._known.applied.backend if self._known.applied else "nftables"
        way = Way(self._gate.programs, backend)
        for finding in Coexistence(self._gate.programs, backend).survey(self._wanted.ports):
            fix = f" To open it: {finding.command}" if finding.command else ""
            # What shuts a port for strangers may let a friend through: the rules say so, where they are seen.
            certain = bool(finding.forwarded) or not way.sees
            shut = bool(finding.shut or finding.forwarded)
            yield Step(finding.tool, (False if certain else None) if shut else True, finding.sentence + fix)
        for network in self._whom.networks:
            for port in self._wanted.ports:
                yield from self._barriers(way, network, port)

    def _barriers(self, way: Way, network: Network, port: int) -> Iterator[Step]:
        found = way.barriers(network, port)
        for barrier in found:
            fix = f" To open it: {barrier.command}" if barrier.command and barrier.ok is False else ""
            yield Step(barrier.tool, barrier.ok, barrier.sentence(network, port) + fix, barrier.ok is None)
        if not found and way.sees:
            yield Step("firewalls", True, f"No other rules on this host stop {network} on the way to port {port}.")

    def _allowlist(self) -> Iterator[Step]:
        path = self._wanted.settings.gate.allowlist
        answer = subject.ask_allowed(self._gate, self._whom.networks, self._socket)
        if answer[0] is not None:
            yield from self._running(path, *answer)
        elif path is None:
            yield Step("allowlist", None, f"{self._gate.places.settings} names no allowlist: the relay checks nobody.")
        else:
            yield from self._written(path)

    def _running(self, path: Path | None, allowed: Mapping[Network, bool], told: Mapping[str, Any]) -> Iterator[Step]:
        """Yield what the relay that runs has of the allowlist, which may be another than the file has now."""
        if told["path"] is None:
            asked = f"{self._gate.places.settings} names {path}, and" if path else "no allowlist is named:"
            yield Step("allowlist", None, f"{asked} the relay that runs checks nobody.")
            return
        if told["problem"]:
            still = " What it read before is still in force." if told["entries"] else ""
            yield Step(
                "allowlist", None if told["entries"] else False, f"The relay that runs: {told['problem']}.{still}"
            )
        if path is not None and str(path) != told["path"]:
            yield Step("allowlist", None, f"The relay that runs has {told['path']}, and relay.toml names {path}.")
        for network, good in allowed.items():
            held = "lets" if good else "does not let"
            cure = "" if good else ". Send the list again: invoke friends.push"
            yield Step("allowlist", good, f"The relay that runs {held} {network} in, by its own {told['path']}{cure}.")

    def _written(self, path: Path) -> Iterator[Step]:
        """Yield what the file lets a relay do that does not answer, or is too old to be asked."""
        try:
            prefixes = allowlist.parse(files.read(path) or "")
        except (OSError, ValueError) as error:
            yield Step("allowlist", False, f"The relay cannot use {path} and refuses everybody: {error}.")
            return
        if not files.is_shared(path, self._gate.shared()):
            yield Step("allowlist", None, f"The relay's account may not be able to read {path}: invoke friends.push")
        for network in self._whom.networks:
            until = prefixes.until(network.network_address)
            good = until is not None and (until == math.inf or until > self._gate.clock())
            yield Step("allowlist", good, f"The relay's own {path} {'holds' if good else 'does not hold'} {network}.")

    def _relay(self) -> Iterator[Step]:
        status, silence = subject.ask_relay(self._gate, "status", self._socket)
        if status is None:
            yield Step("relay", None, f"Not asked: {silence}.")
            return
        now, most = status["connections"]["now"], status["connections"]["most"]
        yield Step("relay", now < most, f"The relay has {now} of {most} connections.")
        limit = self._wanted.settings.limits.connections_per_address
        for network in self._whom.networks:
            here = sum(address in network for address in subject.connections(status))
            yield Step("relay", here < limit, f"{network} has {here} of the {limit} connections one address may have.")


def _holds(network: Network, inner: Network) -> bool:
    wide = network.version == inner.version and network.prefixlen <= inner.prefixlen
    return wide and inner.network_address in network


def _all(networks: tuple[Network, ...]) -> str:
    return ", ".join(str(network) for network in networks) or "no address yet"


def text(shown: dict[str, Any]) -> str:
    """Return the answers for people."""
    lines = [f"{mark(step):<4} {step['layer']:<10} {step['sentence']}" for step in shown["steps"]]
    return "\n".join([*lines, verdict(shown)])


def mark(step: dict[str, Any]) -> str:
    """Return the word for a layer's answer."""
    return "?" if step.get("unknown") else {True: "yes", False: "NO", None: "-"}[step["ok"]]


def verdict(shown: dict[str, Any]) -> str:
    """Return what all answers come to, in a sentence."""
    because = shown["because"]
    said = {"in": "gets in", "out": f"is refused: {because}", "unknown": f"may be kept out: {because}"}
    return f"{shown['subject']} {said[shown['verdict']]}"
