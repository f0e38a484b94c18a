"""Whom a command is about: a friend by name, or an address."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relay import control_client
from relay.addresses import Address, Network
from relay.gate import resolver
from relay.gate.desired import Wanted
from relay.gate.errors import UnknownSubjectError
from relay.gate.gate import Gate
from relay.gate.policy.friends import Friend
from relay.gate.state import State

# Characters of what the relay says of a failure.
MOST_SHOWN = 300
SOCKET = Path("/run/netplay-relay/control.sock")
# A request to the relay is one line of 4096 bytes.
AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Subject:
    """What was typed, the friend it names (None: it is an address), and the networks it stands for now."""

    text: str
    friend: Friend | None
    networks: tuple[Network, ...]


def find(text: str, wanted: Wanted, known: State) -> Subject:
    """Return whom a text means. Raises UnknownSubjectError."""
    for friend in wanted.friends:
        if friend.name == text:
            return Subject(text, friend, networks_of(friend, known))
    try:
        return Subject(text, None, (_network(_bare(text)),))
    except ValueError:
        close = [friend.name for friend in wanted.friends if friend.name.casefold() == text.strip().casefold()]
        hint = f"Did you mean {close[0]}?" if close else f"Friends are: {_listed(wanted)}."
        raise UnknownSubjectError(f"{text!r} is neither a friend's name nor an address. {hint}") from None


def _bare(text: str) -> str:
    """Return an address without what stands around it where it is copied from: blanks, [brackets], a zone."""
    return text.strip().partition("%")[0].removeprefix("[").removesuffix("]")


def _network(text: str) -> Network:
    """Return what an address or prefix stands for, as the filter has it. Raises ValueError."""
    found = ipaddress.ip_network(text)
    mapped = found.network_address.ipv4_mapped if isinstance(found, ipaddress.IPv6Network) else None
    return ipaddress.ip_network(mapped) if mapped and found.prefixlen == found.max_prefixlen else found


def _listed(wanted: Wanted) -> str:
    some = [friend.name for friend in wanted.friends[:20]]
    return ", ".join(some) + (", ..." if len(wanted.friends) > len(some) else "") if some else "nobody yet"


def networks_of(friend: Friend, known: State) -> tuple[Network, ...]:
    """Return every network a friend may come from, by address and by name."""
    found = resolver.answers(known.names)
    return (*friend.addresses, *(network for name in friend.names for network in found.get(name, ())))


def ask_relay(
    gate: Gate, request: str, socket: Path | None = None, **details: Any
) -> tuple[dict[str, Any] | None, str]:
    """Ask the running relay; return its answer, or None and a sentence that says why there is none."""
    paths = [socket] if socket else control_client.places(gate.wanted().settings.control.socket, SOCKET)
    path = paths[0]
    try:
        answer = control_client.ask_first(paths, request, 10.0, **details)
    except FileNotFoundError:
        return None, f"the relay does not run, or has no socket at {path}"
    except (OSError, ValueError) as error:
        return None, f"the relay at {path} does not answer: {_shown(getattr(error, 'strerror', None) or error)}"
    if "requests" in answer:
        return None, f"the relay that runs does not know {request!r}: it is older than this program"
    if "error" in answer:
        return None, f"the relay answers: {_shown(answer['error'])}"
    if not ANSWERS[request](answer):
        return None, f"what listens at {path} does not answer {request!r} as a relay does"
    return answer, ""


def _shown(text: object) -> str:
    """Return what another account says as a terminal may be given it."""
    return "".join(sign if sign.isprintable() else "?" for sign in str(text)[:MOST_SHOWN])


def _is_status(answer: dict[str, Any]) -> bool:
    sessions, tables = answer.get("sessions", []), answer.get("tables", [])
    if not (_are_objects(sessions) and _are_objects(tables)):
        return False
    ends = [session.get("host") for session in sessions]
    for each, name in [*((session, "clients") for session in sessions), *((table, "players") for table in tables)]:
        if not _are_objects(found := each.get(name)):
            return False
        ends += found
    known = "allowlist" not in answer or _is_allowlist(answer["allowlist"])
    return known and all(isinstance(end, dict) and isinstance(end.get("address"), str) for end in ends)


def _are_objects(found: object) -> bool:
    return isinstance(found, list) and all(isinstance(each, dict) for each in found)


def _is_count(answer: dict[str, Any]) -> bool:
    return type(answer.get("kicked")) is int


def _is_judgement(answer: dict[str, Any]) -> bool:
    return isinstance(answer.get("allows"), list) and _is_allowlist(answer.get("allowlist"))


def _is_allowlist(told: object) -> bool:
    """Tell whether it is an allowlist as the relay tells of its own (relay/net/server.py)."""
    if not isinstance(told, dict):
        return False
    texts = [told.get("path") or "", told.get("problem"), told.get("digest")]
    return type(told.get("entries")) is int and all(isinstance(each, str) and each.isprintable() for each in texts)


# What the answer to each request has to look like.
ANSWERS = {"status": _is_status, "kick": _is_count, "allows": _is_judgement}


def ask_allowed(
    gate: Gate, networks: Sequence[Network], socket: Path | None = None
) -> tuple[dict[Network, bool], dict[str, Any]] | tuple[None, str]:
    """Ask the running relay whom it lets in and which allowlist it has; None and a sentence when it cannot be asked.

    A network is asked about by its first address.
    """
    allowed: dict[Network, bool] = {}
    told: dict[str, Any] = {}
    for start in range(0, max(len(networks), 1), AT_ONCE):
        some = networks[start : start + AT_ONCE]
        addresses = [str(network.network_address) for network in some]
        answer, silence = ask_relay(gate, "allows", socket, addresses=addresses)
        if answer is None:
            return None, silence
        if len(answer["allows"]) != len(some):
            return None, "the relay does not answer for each address that it was asked about"
        allowed |= zip(some, map(bool, answer["allows"]), strict=True)
        told = answer["allowlist"]
    return allowed, told


def connections(status: dict[str, Any]) -> list[Address]:
    """Return the address of every connection that the relay's status names."""
    ends = [end for session in status.get("sessions", []) for end in (session["host"], *session["clients"])]
    ends += [player for table in status.get("tables", []) for player in table["players"]]
    found = []
    for end in ends:
        with contextlib.suppress(ValueError):
            found.append(ipaddress.ip_address(end["address"]))
    return found
