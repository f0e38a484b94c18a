"""Asking a running relay over its unix socket: where that socket is, one request, one bounded answer (JSON).

relay/net/control_socket.py answers.
"""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

SECONDS = 10.0
# Where it is when neither settings nor a service manager say otherwise.
DEFAULT = Path("/run/netplay-relay/control.sock")
LONGEST_ANSWER = 16 * 1024 * 1024


def default_path(environ: dict[str, str] | os._Environ[str] = os.environ) -> Path | None:
    """Return where the socket goes by itself: the runtime directory the service manager made, if there is one."""
    directory = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return Path(directory) / "control.sock" if directory else None


def places(configured: Path | None, default: Path | None = None) -> list[Path]:
    """Return where a running relay may answer: at the socket that relay.toml names, else at the default one.

    A relay that has not taken up other settings yet still answers where the earlier ones said; the default place leads
    there.
    """
    return list(dict.fromkeys(path for path in (configured, default or default_path() or DEFAULT) if path))


def find(there: list[Path]) -> Path:
    """Return the first of some places where somebody answers; where nobody does, the first."""
    return next((path for path in there if _answers(path)), there[0])


def _answers(path: Path) -> bool:
    """Tell whether somebody listens; what may not be asked counts, so that the person is told."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(SECONDS)
        try:
            sock.connect(str(path))
        except PermissionError:
            return True
        except OSError:
            return False
    return True


def ask_first(paths: list[Path], request: str, seconds: float = 60.0, **details: Any) -> dict[str, Any]:
    """Ask the relay at the first of some places where there is one. Raises as ask; of no relay, what the first said."""
    missing: OSError | None = None
    for path in paths:
        try:
            return ask(path, request, seconds, **details)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            missing = missing or error
    raise missing or FileNotFoundError("no place to ask at")


def ask(path: Path, request: str, seconds: float = 60.0, **details: Any) -> dict[str, Any]:
    """Send a request to a running relay and return its answer, which must be whole within so many seconds.

    Raises OSError, ValueError for an unusable answer. Whoever asks is root, often, and what answers is an account of
    its own: nothing it says may keep the asking program waiting, or fill its memory.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(seconds)
        end = time.monotonic() + seconds
        sock.connect(str(path))
        sock.sendall(json.dumps({"do": request, **details}).encode() + b"\n")
        data = bytearray()
        while chunk := receive(sock, end):
            data += chunk
            if len(data) > LONGEST_ANSWER:
                raise ValueError(f"the relay's answer is longer than {LONGEST_ANSWER} bytes")
    return decoded(data)


def receive(sock: socket.socket, end: float) -> bytes:
    """Return the next bytes that come before an end (of the monotonic clock); b"" when no more will. Raises OSError."""
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    sock.settimeout(left)
    return sock.recv(65536)


def decoded(data: bytes | bytearray) -> dict[str, Any]:
    """Return an answer. Raises ValueError for what is none."""
    try:
        result = json.loads(data)
    except RecursionError:
        raise ValueError("the relay's answer is nested too deeply") from None
    if not isinstance(result, dict):
        raise ValueError("the relay's answer is not an object")
    return result
