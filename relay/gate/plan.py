"""The plan: from friends, the answers for their DNS names and the time to who may connect until when.

Pure: nothing is read, looked up or changed here. Both packet filters and the relay's own allowlist are written from
one plan, so that they cannot disagree about who is meant.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from relay.gate import allowlist
from relay.gate.friends import Friend, Network

CARRIER_NAT = ipaddress.ip_network("100.64.0.0/10")
ADVICE = "An address is not a person: the host should set a password for the room in RetroArch."

Answers = Mapping[str, Sequence[Network]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One address or prefix that may connect: until when (seconds since 1970, None: for good), whose, by which name."""

    network: Network
    until: int | None
    friends: tuple[str, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Who may connect at one moment.

    entries: in the order of their addresses, each network once, none of them over. expired: friends whose time is
    over. unresolved: friends and those of their DNS names that have no answer. warnings: sentences for the owner.
    """

    entries: tuple[Entry, ...]
    expired: tuple[Friend, ...]
    unresolved: tuple[tuple[Friend, str], ...]
    warnings: tuple[str, ...]

    @property
    def next_expiry(self) -> int | None:
        """When the next entry ends and a new plan is due, in seconds since 1970; None when none ends."""
        return min((entry.until for entry in self.entries if entry.until is not None), default=None)

    def allowlist(self) -> str:
        """Return the text of the relay's own allowlist."""
        return allowlist.render((entry.network, entry.until, ", ".join(entry.friends)) for entry in self.entries)


def make(friends: Sequence[Friend], answers: Answers, now: float) -> Plan:
    """Return the plan for a moment (seconds since 1970). answers: what each DNS name stands for, as far as known."""
    current = [friend for friend in friends if friend.until is None or friend.until > now]
    found: dict[Network, Entry] = {}
    unresolved = []
    for friend in current:
        for network in friend.addresses:
            _add(found, Entry(network, friend.until, (friend.name,)))
        for name in friend.names:
            for network in answers.get(name, ()):
                _add(found, Entry(network, friend.until, (friend.name,), (name,)))
            if not answers.get(name):
                unresolved.append((friend, name))
    entries = tuple(sorted(found.values(), key=lambda entry: order(entry.network)))
    expired = tuple(friend for friend in friends if friend.until is not None and friend.until <= now)
    return Plan(entries, expired, tuple(unresolved), tuple(_warnings(entries)))


def order(network: Network) -> tuple[int, int, int]:
    """Return what networks are sorted by: a wider one comes before those inside it."""
    return network.version, int(network.network_address), network.prefixlen


def _add(found: dict[Network, Entry], new: Entry) -> None:
    """Add an entry; of two for the same network the longer one counts, and both friends are named."""
    old = found.get(new.network)
    if old is None:
        found[new.network] = new
        return
    until = None if old.until is None or new.until is None else max(old.until, new.until)
    friends = tuple(dict.fromkeys(old.friends + new.friends))
    found[new.network] = Entry(new.network, until, friends, tuple(dict.fromkeys(old.names + new.names)))


def _warnings(entries: Sequence[Entry]) -> list[str]:
    found: dict[tuple[str, ...], str] = {}
    wider: list[Entry] = []
    for entry in entries:
        if entry.network.version == 4 and entry.network.overlaps(CARRIER_NAT):
            found[entry.friends] = (
                f"{_whose(entry)} is behind carrier NAT ({CARRIER_NAT}): strangers share it with {_people(entry)}, and "
                "most relays never see it. Ask for the address a what-is-my-ip site shows."
            )
        if len(entry.friends) > 1:
            found["same", *entry.friends] = f"{_value(entry.network)} is the address of {_people(entry)}. {ADVICE}"
        wider = [other for other in wider if _inside(entry.network, other.network)]
        for other in wider:
            # Once for any two friends, however many addresses they have.
            if not set(entry.friends) & set(other.friends):
                found["inside", *entry.friends, *other.friends] = f"{_whose(entry)} lies in {_whose(other)}. {ADVICE}"
        wider.append(entry)
    return list(found.values())


def _inside(network: Network, other: Network) -> bool:
    return network.version == other.version and network.network_address in other


def _whose(entry: Entry) -> str:
    return f"{_value(entry.network)} ({_people(entry)})"


def _people(entry: Entry) -> str:
    return " and ".join(entry.friends)


def _value(network: Network) -> str:
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)
