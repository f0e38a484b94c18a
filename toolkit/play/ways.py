"""How far it is to the relay, and what that means for a game: frames played again, frames of input latency."""

from __future__ import annotations

import math
import socket
import time

from toolkit.errors import HOST_UNUSABLE, UserError

TRIES = 3
WITHIN = 5.0
FRAME = 1 / 60
# So many frames played again go unnoticed by most people on most machines; what is above it, latency frames take away.
UNNOTICED = 2
# RetroArch's own greatest value.
MOST = 15


def measure(address: str, port: int, *, hosting: bool, owner: str = "") -> float:
    """Return the round-trip time to the relay in seconds: the shortest of a few connections made and closed.

    hosting: by IPv4 alone, as RetroArch's hosts do. owner: what names the host for other tasks. Raises UserError.
    """
    places = _places(address, port, hosting)
    best = math.inf
    for attempt in range(TRIES):
        try:
            best = min(best, _connect(places))
        except OSError as error:
            if attempt == 0:
                raise _no_answer(address, port, error, owner) from None
    return best


def frames(one_way: float) -> int:
    """Return how many frames a press is late after so many seconds: so many are played again when it comes."""
    return math.ceil(max(0.0, one_way) / FRAME)


def latency_frames(one_way: float) -> int:
    """Return the input latency that leaves no more frames to play again than go unnoticed."""
    return min(MOST, max(0, frames(one_way) - UNNOTICED))


def advice(mine: float, other: float | None) -> str:
    """Return in words what the ways mean: mine and the other player's round trip to the relay, in seconds."""
    if other is None:
        return f"{mine * 1000:.0f} ms to the relay and back."
    one_way = (mine + other) / 2
    late = frames(one_way)
    said = (
        f"{mine * 1000:.0f} ms to the relay and back, {other * 1000:.0f} ms for the others: a press is there after "
        f"{one_way * 1000:.0f} ms, {late} frame{'s' if late != 1 else ''} late."
    )
    wanted = latency_frames(one_way)
    return said if not wanted else f"{said} The host player makes it smooth with --latency-frames {wanted}."


def _places(address: str, port: int, hosting: bool) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
    family = socket.AF_INET if hosting else socket.AF_UNSPEC
    try:
        found = socket.getaddrinfo(address, port, family, socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        if hosting and _has_ipv6(address):
            raise UserError(
                f"{address} has no IPv4 address, and RetroArch hosts by IPv4 only",
                fix="Let a friend join by it, and host by a name or an address of IPv4.",
                exit_code=HOST_UNUSABLE,
            ) from None
        raise UserError(
            f"nobody knows a machine called {address}",
            fix="Is it spelled right, and is this machine online?",
            exit_code=HOST_UNUSABLE,
        ) from None
    return [(each[0], each[4]) for each in found]  # type: ignore[misc]


def _has_ipv6(address: str) -> bool:
    try:
        return bool(socket.getaddrinfo(address, None, socket.AF_INET6))
    except (OSError, UnicodeError):
        return False


def _connect(places: list[tuple[socket.AddressFamily, tuple[str, int]]]) -> float:
    """Return how long the first place that answers took. Raises the last OSError when none does."""
    last: OSError = OSError("no address")
    for family, place in places:
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.settimeout(WITHIN)
            began = time.monotonic()
            try:
                sock.connect(place)
            except OSError as error:
                last = error
                continue
            return time.monotonic() - began
    raise last


def _no_answer(address: str, port: int, error: OSError, owner: str) -> UserError:
    how = (
        "refuses the connection" if isinstance(error, ConnectionRefusedError) else f"did not answer within {WITHIN:g} s"
    )
    mine = f"Is your address let in? invoke friends.list{owner}\nIs the relay up? invoke status{owner}"
    asked = (
        "Ask its owner whether the relay is up, and whether your address is let in (any what-is-my-ip site tells it)."
    )
    return UserError(f"{address} port {port} {how}", fix=mine if owner else asked, exit_code=HOST_UNUSABLE)
