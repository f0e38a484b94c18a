"""Friends by DNS name: looking names up within a bound, and which answers are believed.

getaddrinfo tells no time to live, so every name is asked again within MOST_OFTEN, jittered; providers of dynamic names
answer with 60 s and more. The last good answer stays when a look-up fails: a provider's bad day locks nobody out.
"""

from __future__ import annotations

import contextlib
import ipaddress
import queue
import random
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from relay.addresses import Address, Network
from relay.gate.policy.plan import CARRIER_NAT
from relay.gate.state import Name

# Seconds between two look-ups of one name: at least, and up to so many more.
MOST_OFTEN = 60.0
JITTER = 15.0
# A person has a few addresses; what has more is somebody's cloud.
MOST_ADDRESSES = 16
THREADS = 8
HOSTS = Path("/etc/hosts")

Lookup = Callable[[str], Sequence[Address]]


def look_up(name: str, hosts: Path = HOSTS) -> list[Address]:
    """Return the addresses of a name, both families: by the host's own file, else by its resolver. Raises OSError.

    The resolver is asked for a name that ends at the root: without the last dot one that does not exist any more would
    be completed by the search list of resolv.conf(5), and a machine of a stranger in that zone be taken for the friend.
    The file knows no such dot, so it is read here.
    """
    if found := _written(name, hosts):
        return found
    answers = socket.getaddrinfo(f"{name}.", None, type=socket.SOCK_STREAM)
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in answers]


def _written(name: str, hosts: Path) -> list[Address]:
    """Return the addresses that a hosts(5) file has for a name."""
    found = []
    with contextlib.suppress(OSError):
        for line in hosts.read_text(encoding="utf-8", errors="replace").splitlines():
            address, *known = line.partition("#")[0].split() or [""]
            if name.casefold() in (one.casefold().removesuffix(".") for one in known):
                with contextlib.suppress(ValueError):
                    found.append(ipaddress.ip_address(address.partition("%")[0]))
    return found


def believed(answers: Iterable[Address], *, private: bool) -> tuple[list[Network], str]:
    """Return the networks that answers stand for (IPv6 as /64), and a complaint about those refused, "" when none was.

    Refused are addresses that cannot be a friend's: loopback, link-local, multicast, unspecified, reserved, and with
    private False those that are not the internet's (10.0.0.0/8, fc00::/7, carrier NAT...); more than MOST_ADDRESSES
    are refused all together.
    """
    unique = list(dict.fromkeys(_unmapped(answer) for answer in answers))
    if len(unique) > MOST_ADDRESSES:
        return [], f"it has {len(unique)} addresses, and a friend's machine does not have so many"
    good = [answer for answer in unique if _acceptable(answer, private=private)]
    bad = [str(answer) for answer in unique if answer not in good]
    complaint = f"{', '.join(bad)} is not an address that a friend can connect from" if bad else ""
    networks = [ipaddress.ip_network((answer, 64 if answer.version == 6 else 32), strict=False) for answer in good]
    return list(dict.fromkeys(networks)), complaint


def _unmapped(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _acceptable(address: Address, *, private: bool) -> bool:
    if address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    if address.is_global:
        return True
    carrier = address.version == 4 and address in CARRIER_NAT
    return private and (carrier or (address.is_private and not address.is_reserved))


def record(known: dict[str, Name], name: str, result: Sequence[Address] | str, now: float, *, private: bool) -> bool:
    """Note what a look-up brought: addresses, or a complaint. Return whether the answer in use has changed."""
    entry = known.setdefault(name, Name())
    networks, complaint = ([], result) if isinstance(result, str) else believed(result, private=private)
    entry.error, entry.error_at = complaint, now if complaint else 0.0
    if not networks:
        entry.error = entry.error or "it has no address"
        entry.error_at = now
        return False
    addresses = sorted(str(network) for network in networks)
    changed = addresses != entry.addresses
    entry.addresses, entry.at = addresses, now
    return changed


def answers(known: Mapping[str, Name]) -> dict[str, list[Network]]:
    """Return what each name stands for, by the last good answer."""
    return {name: [ipaddress.ip_network(text) for text in entry.addresses] for name, entry in known.items()}


def is_due(entry: Name | None, now: float) -> bool:
    """Tell whether a name may be asked again."""
    return entry is None or not 0 <= now - max(entry.at, entry.error_at) < MOST_OFTEN


class Lookups:
    """Look-ups in threads of their own: a resolver that hangs holds up nothing but its name."""

    def __init__(self, lookup: Lookup = look_up) -> None:
        self._lookup = lookup
        self._waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[str, Sequence[Address] | str]] = queue.SimpleQueue()
        self._asked: set[str] = set()
        self._threads = 0
        self._not_before: dict[str, float] = {}

    def ask(self, name: str, now: float) -> bool:
        """Start looking a name up, unless that is under way or was asked lately (now: monotonic seconds)."""
        if name in self._asked or now < self._not_before.get(name, float("-inf")):
            return False
        self._asked.add(name)
        self._not_before[name] = now + MOST_OFTEN + random.uniform(0, JITTER)  # noqa: S311 - spreads load, hides nothing
        self._waiting.put(name)
        if self._threads < min(THREADS, len(self._asked)):
            self._threads += 1
            threading.Thread(target=self._work, daemon=True, name="netplay-relay look-ups").start()
        return True

    def results(self) -> dict[str, Sequence[Address] | str]:
        """Return what has come in since the last call: addresses, or why there are none."""
        found: dict[str, Sequence[Address] | str] = {}
        while True:
            try:
                name, result = self._done.get_nowait()
            except queue.Empty:
                return found
            self._asked.discard(name)
            found[name] = result

    def ask_all(self, wanted: Iterable[str], seconds: float) -> dict[str, Sequence[Address] | str]:
        """Look names up and wait, at most so many seconds; a name that takes longer has a complaint."""
        end = time.monotonic() + seconds
        missing = {name for name in wanted if self.ask(name, time.monotonic()) or name in self._asked}
        found: dict[str, Sequence[Address] | str] = {}
        while missing and (left := end - time.monotonic()) > 0:
            try:
                name, result = self._done.get(timeout=left)
            except queue.Empty:
                break
            self._asked.discard(name)
            missing.discard(name)
            found[name] = result
        return {**dict.fromkeys(missing, f"no answer within {seconds:g} s"), **found}

    def _work(self) -> None:
        while True:
            name = self._waiting.get()
            try:
                result: Sequence[Address] | str = self._lookup(name)
            except (OSError, UnicodeError) as error:
                result = getattr(error, "strerror", None) or str(error)
            self._done.put((name, result))
