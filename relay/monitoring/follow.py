"""`netplay-relay status --follow`: the state of the relay, and with --gate of the gate, as JSON lines without end.

Each line is an object with "relay" (what relay/monitoring/status.py gives, or null with "problem" in words) or "gate"
(what `gate status` gives, or null with "problem"). It goes on when the relay restarts, and ends when nobody reads it.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from relay import control_client

# Seconds: for an answer to begin, between two attempts to reach a relay that is not there, between two of the gate.
PATIENCE = 15.0
RETRY = 2.0
GATE_EVERY = 5.0


def lines(path: Path, every: float, gate: Callable[[], dict[str, Any]] | None = None) -> Iterator[dict[str, Any]]:
    """Yield what the relay at a control socket is, every so many seconds, for ever. Raises PermissionError.

    gate returns the state of the gate; it raises OSError or ValueError when it cannot.
    """
    asked = float("-inf")
    for line in _relay(path, every):
        yield line
        if gate and time.monotonic() - asked >= GATE_EVERY:
            yield _gate(gate)
            asked = time.monotonic()


def _gate(gate: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return {"gate": gate()}
    except (OSError, ValueError) as error:
        return {"gate": None, "problem": str(error)}


def _relay(path: Path, every: float) -> Iterator[dict[str, Any]]:
    while True:
        try:
            yield from _followed(path, every)
            problem = "the relay ended, or is being replaced by a newer one"
        except PermissionError:
            raise
        except FileNotFoundError:
            problem = f"the relay does not run: there is no socket at {path}"
        except (OSError, ValueError) as error:
            problem = f"no answer at {path}: {getattr(error, 'strerror', None) or error}"
        yield {"relay": None, "problem": problem}
        time.sleep(RETRY)


def _followed(path: Path, every: float) -> Iterator[dict[str, Any]]:
    """Yield states until the relay ends. Raises OSError, ValueError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(PATIENCE + every)
        sock.connect(str(path))
        sock.sendall(json.dumps({"do": "follow", "every": every}).encode() + b"\n")
        for answer in _answers(sock, PATIENCE + every):
            state = control_client.decoded(answer)
            if "requests" in state:
                break
            if error := state.get("error"):
                raise ValueError(error)
            yield {"relay": state}
        else:
            return
    yield from _asked(path, every)


def _answers(sock: socket.socket, seconds: float) -> Iterator[bytes]:
    """Yield lines, each of which must be whole within so many seconds. Raises OSError, ValueError."""
    data, end = bytearray(), time.monotonic() + seconds
    while chunk := control_client.receive(sock, end):
        data += chunk
        while (at := data.find(b"\n")) >= 0:
            line = bytes(data[:at])
            del data[: at + 1]
            yield line
            end = time.monotonic() + seconds
        if len(data) > control_client.LONGEST_ANSWER:
            raise ValueError(f"a line of the relay's is longer than {control_client.LONGEST_ANSWER} bytes")


def _asked(path: Path, every: float) -> Iterator[dict[str, Any]]:
    """Yield states of a relay that is older than this program and cannot be followed: it is asked again and again."""
    while True:
        yield {"relay": control_client.ask(path, "status", PATIENCE)}
        time.sleep(every)
