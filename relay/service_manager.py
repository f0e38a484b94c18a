"""What a service manager hands over and wants to hear: inherited sockets (LISTEN_FDS) and readiness (sd_notify).

Both protocols are a few lines and stable (sd_listen_fds(3), sd_notify(3)); without the variables nothing happens, so
the same program runs under systemd, runit or by hand.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import MutableMapping
from pathlib import Path

# What shows which service manager runs, and how it is asked about the relay.
MANAGERS = (
    ("run/systemd/system", "systemctl status netplay-relay"),
    ("run/openrc", "rc-service netplay-relay status"),
    ("run/runit", "sv status netplay-relay"),
    ("etc/runit/runsvdir", "sv status netplay-relay"),
)


def status_command(root: Path = Path("/")) -> str:
    """Return what to type to see whether the relay's service runs; "" where no service manager is known."""
    return next((command for path, command in MANAGERS if (root / path).exists()), "")


def notify(message: str, environ: MutableMapping[str, str] = os.environ) -> None:
    """Tell the service manager, as sd_notify does: "READY=1", "STATUS=...", "STOPPING=1"."""
    path = environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    # A manager that has gone away is no reason to stop a game.
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(message.encode(), address)
