"""The way in to the host is never shut: the gate refuses to filter a port that ssh comes in by.

Rules of ours see the relay's ports alone. So the one way to lock the owner out is to give the relay the port of the
host's ssh; that is found out from the login itself and from who listens.
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterable, Mapping
from pathlib import Path

from relay.config import ConfigError, locate

SSH_PROGRAMS = ("sshd", "dropbear")
_LISTENING = "0A"


def login(text: str) -> tuple[str, int] | None:
    """Return where a login comes from and the port it came to, by the words of SSH_CONNECTION; None for none."""
    words = text.split()
    try:
        return str(ipaddress.ip_address(words[0].partition("%")[0])), int(words[3])
    except (IndexError, ValueError):
        return None


def ssh_ports(proc: Path = Path("/proc")) -> set[int]:
    """Return the TCP ports that ssh servers of this host listen on, as far as this account may see."""
    inodes: dict[str, int] = {}
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (proc / "net" / name).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING:
                    inodes[fields[9]] = int(fields[1].rpartition(":")[2], 16)
    return {inodes[inode] for inode in _sockets(proc) if inode in inodes}


def _sockets(proc: Path) -> Iterable[str]:
    """Yield the inodes of the sockets that ssh servers hold. What ends meanwhile holds none."""
    for process in proc.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "comm").read_text().strip() in SSH_PROGRAMS:
                for link in (process / "fd").iterdir():
                    with contextlib.suppress(OSError):
                        yield link.readlink().name.removeprefix("socket:[").removesuffix("]")


def refuse(ports: Iterable[int], ways: Mapping[int, str], settings: Path) -> None:
    """Raise ConfigError when one of the relay's ports is a way in; ways: port and how that is known."""
    for port in ports:
        if port in ways:
            line = None
            with contextlib.suppress(OSError):
                line = locate(settings.read_text(encoding="utf-8"), "listen", "port")
            message = f"port {port} is the way in to this host ({ways[port]}), and is never filtered."
            raise ConfigError(settings, line, message, "Give the relay another port.")
