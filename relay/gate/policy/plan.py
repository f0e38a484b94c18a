"""The plan: from friends, the answers for their DNS names and the time to who may connect until when.

Pure: nothing is read, looked up or changed here. Both packet filters and the relay's own allowlist are written from
one plan, so that they cannot disagree about who is meant.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from relay import allowlist
from relay.addresses import Network
from relay.gate.policy.friends import Friend, households

CARRIER_NAT = ipaddress.ip_network("100.64.0.0/10")
# What is behind a router at home, and not on the internet (RFC 1918, RFC 4193, RFC 3879).
INSIDES = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10")))
# From so many addresses on (of IPv6: households) what a friend's entry lets in is said.
MANY = 1000
ADVICE = "An address is not a person: the host should set a password for the room in RetroArch."

Answers = Mapping[str, Sequence[Network]]
# Tells whether the relay's host is in a network that is not the internet's, or has a way to it.
Near = Callable[[Network], bool]


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


def nowhere(_: Network) -> bool:
    """Tell that a network is not near: what is not known counts so."""
    return False


def make(friends: Sequence[Friend], answers: Answers, now: float, near: Near = nowhere) -> Plan:
    """Return the plan for a moment.

    Args:
        friends: Everybody on the list.
        answers: What each DNS name stands for, as far as known.
        now: The moment, in seconds since 1970.
        near: Which private networks the relay's host is in.
    """
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
    return Plan(entries, expired, tuple(unresolved), (*_wide(current), *_warnings(entries, near)))


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


def _wide(friends: Sequence[Friend]) -> Iterator[str]:
    """Yield a sentence for each friend whose addresses are many more than a person's."""
    for friend in friends:
        count = {version: _count(friend, version) for version in (4, 6)}
        if max(count.values()) >= MANY:
            what = " and ".join(
                f"{number:,} {'IPv4 addresses' if version == 4 else 'IPv6 households'}"
                for version, number in count.items()
                if number
            )
            yield (
                f"{friend.name}'s entry lets in {what}, and most of them are strangers. A DNS name follows an address "
                f"that changes: docs/security.md, friends.toml"
            )


def _count(friend: Friend, version: int) -> int:
    return sum(households(network) for network in friend.addresses if network.version == version)


def _inside_something(network: Network, near: Near) -> str:
    """Return what is to be said of addresses that are not the internet's; "" for any other, and where they are near."""
    if network.version == 4 and network.overlaps(CARRIER_NAT):
        return "" if near(network) else "carrier"
    private = any(network.version == one.version and network.overlaps(one) for one in INSIDES)
    return "private" if private and not near(network) else ""


def _warnings(entries: Sequence[Entry], near: Near) -> list[str]:
    found: dict[tuple[str, ...], str] = {}
    wider: list[Entry] = []
    for entry in entries:
        kind = _inside_something(entry.network, near)
        if kind == "carrier":
            found[kind, *entry.friends] = (
                f"{_whose(entry)} is behind carrier NAT ({CARRIER_NAT}): strangers share it with {_people(entry)}, and "
                "most relays never see it. Ask for the address a what-is-my-ip site shows."
            )
        elif kind:
            found[kind, *entry.friends] = (
                f"{_whose(entry)} is an address inside a private network: unless the relay is in the same one, it "
                f"never sees {_people(entry)} come from there. Ask for the address a what-is-my-ip site shows."
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
