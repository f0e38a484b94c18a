"""The way in to the host is never shut: the gate refuses to filter a port that ssh comes in by.

Rules of ours see the relay's ports alone. So the one way to lock the owner out is to give the relay the port of the
host's ssh; that is found out from the login itself and from who listens.

Whose a listening socket is, is told by /proc/PID/fd, which the agent may not read of root's ssh server: it runs without
CAP_SYS_PTRACE, and that right over every process is not worth having. There the server's own words count: its command
line, then its settings. Who owns a socket (/proc/net/tcp) says nothing: systemd makes the relay's as root, too.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from relay.tomlfile import ConfigError, locate

SSH_PROGRAMS = ("sshd", "dropbear")
SSH_PORT = 22
# Units whose sockets systemd itself listens on for an ssh server, and how to ask for them.
SSH_SOCKETS = ("systemctl", "show", "--property=ActiveState,Listen", "ssh.socket", "sshd.socket", "dropbear.socket")
_LISTENING = "0A"
_PORT_ARGUMENT = re.compile(r"\s(?:-p\s*(?:\S*:)?|-o\s*port[ =])(\d+)(?=\s|$)", re.IGNORECASE)
_PORT_SETTING = re.compile(
    r"^[ \t]*(?:port[ \t=]+|listenaddress[ \t]+(?:\[[^]\s]*\]|[^:\s]+):)(\d+)[ \t]*(?:#.*)?$",
    re.IGNORECASE | re.MULTILINE,
)


def login(text: str) -> tuple[str, int] | None:
    """Return where a login comes from and the port it came to, by the words of SSH_CONNECTION; None for none."""
    words = text.split()
    try:
        return str(ipaddress.ip_address(words[0].partition("%")[0])), int(words[3])
    except (IndexError, ValueError):
        return None


def ssh_ports(proc: Path = Path("/proc"), etc: Path = Path("/etc/ssh")) -> set[int]:
    """Return the TCP ports that ssh servers of this host listen on: as it is seen, or as they say it themselves."""
    inodes: dict[str, int] = {}
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (proc / "net" / name).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING:
                    inodes[fields[9]] = int(fields[1].rpartition(":")[2], 16)
    found: set[int] = set()
    for server in _servers(proc):
        try:
            found |= {inodes[inode] for inode in _sockets(server) if inode in inodes}
        except PermissionError:
            found |= _said(server, etc)
        except OSError:
            continue  # it has ended meanwhile
    return found


def socket_ports(shown: str) -> set[int]:
    """Return the TCP ports on which systemd waits for ssh, by what SSH_SOCKETS prints."""
    units = [unit for unit in shown.split("\n\n") if "ActiveState=active" in unit.splitlines()]
    return {int(port) for unit in units for port in re.findall(r"^Listen=.*?(\d+) \(Stream\)$", unit, re.MULTILINE)}


def _servers(proc: Path) -> Iterable[Path]:
    """Yield the directories of the ssh servers in /proc, and of the logins they serve."""
    for process in proc.glob("[0-9]*"):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if (process / "comm").read_text().strip() in SSH_PROGRAMS:
                yield process


def _sockets(process: Path) -> Iterable[str]:
    """Yield the inodes of the sockets that a process holds. Raises OSError where that may not be seen."""
    for link in (process / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            yield link.readlink().name.removeprefix("socket:[").removesuffix("]")


def _said(process: Path, etc: Path) -> set[int]:
    """Return the ports of root's ssh server by its command line, by its settings, or the usual one."""
    with contextlib.suppress(OSError):
        if process.stat().st_uid != 0:
            return set()  # anybody may call a program sshd
        line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        if named := _PORT_ARGUMENT.findall(line):
            return {int(port) for port in named}
    settings = ""
    for path in (etc / "sshd_config", *sorted((etc / "sshd_config.d").glob("*.conf"))):
        with contextlib.suppress(OSError):
            settings += path.read_text(encoding="utf-8", errors="replace") + "\n"
    return {int(port) for port in _PORT_SETTING.findall(settings)} or {SSH_PORT}


def refuse(ports: Iterable[int], ways: Mapping[int, str], settings: Path) -> None:
    """Raise ConfigError when one of the relay's ports is a way in; ways: port and how that is known."""
    for port in ports:
        if port in ways:
            line = None
            with contextlib.suppress(OSError):
                line = locate(settings.read_text(encoding="utf-8"), "listen", "port")
            message = f"port {port} is the way in to this host ({ways[port]}), and is never filtered."
            raise ConfigError(settings, line, message, "Give the relay another port.")
