"""Who holds a port: read from /proc, so that nothing has to be installed on the host for the question."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

PROC = Path("/proc")
TCP_LISTEN = "0A"
# As systemd names them, and as runit does.
OURS = ("netplay-relay.service", "netplay-relay.socket", "netplay-relay")


class Listener(NamedTuple):
    """A socket that waits for strangers: its protocol ("tcp" or "udp"), port, inode and address."""

    protocol: str
    port: int
    inode: str
    address: str = ""

    @property
    def place(self) -> str:
        """Where it listens, like "tcp 0.0.0.0 55435"."""
        return f"{self.protocol} {self.address} {self.port}"


class Process(NamedTuple):
    """Who has the socket open: pid, the program's name, the service manager's unit ("" when there is none)."""

    pid: int
    name: str
    unit: str


def listeners(table: str, protocol: str) -> Iterator[Listener]:
    """Read one of /proc/net/{tcp,tcp6,udp,udp6}: TCP sockets that listen, UDP sockets that are connected to nobody."""
    for line in table.splitlines()[1:]:
        fields = line.split()
        local, remote, state, inode = fields[1], fields[2], fields[3], fields[9]
        waits = state == TCP_LISTEN if protocol == "tcp" else remote.endswith(":0000")
        if waits:
            address, _, port = local.rpartition(":")
            yield Listener(protocol, int(port, 16), inode, _address(address))


def _address(text: str) -> str:
    """Read an address of /proc/net: words of 32 bits in hexadecimal, each in the machine's own byte order."""
    words = [int(text[place : place + 8], 16) for place in range(0, len(text), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    return socket.inet_ntop(socket.AF_INET if len(words) == 1 else socket.AF_INET6, packed)


def every_listener(proc: Path) -> list[Listener]:
    """Return every listener, IPv4 and IPv6. A family the kernel does not have has no file."""
    found: dict[Listener, None] = {}
    for protocol in ("tcp", "udp"):
        for name in (protocol, protocol + "6"):
            path = proc / "net" / name
            table = path.read_text() if path.exists() else ""
            found.update(dict.fromkeys(listeners(table, protocol)))
    return list(found)


def open_listeners(ports: Iterable[int], proc: Path) -> list[Listener]:
    """Return every listener on one of the ports."""
    wanted = set(ports)
    return [listener for listener in every_listener(proc) if listener.port in wanted]


def listens(text: str) -> set[str]:
    """Return where socket units listen, from what `systemctl show --property=Listen` prints, as Listener.place has it.

    That is what systemd has read, an administrator's own additions among it.
    """
    found = re.findall(r"^Listen=\[?([0-9a-fA-F.:]+?)\]?:(\d+) \((Stream|Datagram)\)$", text, re.MULTILINE)
    return {f"{'tcp' if kind == 'Stream' else 'udp'} {address} {port}" for address, port, kind in found}


def held_by(pid: int, proc: Path = PROC) -> set[str] | None:
    """Return where a process listens, as Listener.place has it; None where that cannot be seen."""
    try:
        links = {_target(link) for link in (proc / str(pid) / "fd").iterdir()}
    except OSError:
        return None
    return {listener.place for listener in every_listener(proc) if f"socket:[{listener.inode}]" in links}


def misplaced(wanted: Iterable[str], pid: int, proc: Path = PROC) -> list[str]:
    """Return where our socket unit should listen and does not, or does and should not.

    pid: the relay, 0 where it does not run: then systemd alone has the sockets, and others beside ours. A UDP socket
    too many counts for nothing, the relay closes it by itself; nor does what cannot be seen.
    """
    wanted, held = set(wanted), held_by(pid or 1, proc)
    if held is None:
        return []
    surplus = {place for place in held - wanted if place.startswith("tcp ")} if pid else set()
    return sorted((wanted - held) | surplus)


def holders(inodes: set[str], proc: Path) -> dict[str, list[Process]]:
    """Return the processes that have each socket open. What ends while it is looked at holds none."""
    found: dict[str, list[Process]] = {inode: [] for inode in inodes}
    for directory in sorted(proc.glob("[0-9]*"), key=lambda path: int(path.name)):
        with contextlib.suppress(OSError):
            links = {_target(link) for link in (directory / "fd").iterdir()}
            held = [inode for inode in inodes if f"socket:[{inode}]" in links]
            if held:
                process = Process(int(directory.name), (directory / "comm").read_text().strip(), _unit(directory))
                for inode in held:
                    found[inode].append(process)
    return found


def _target(link: Path) -> str:
    """Return what a descriptor is, "" when it was closed meanwhile."""
    try:
        return link.readlink().name
    except OSError:
        return ""


def _unit(directory: Path) -> str:
    """Return the unit a process belongs to, from its control group."""
    match = re.search(r"/([^/\n]+\.(?:service|scope))(?:/[^\n]*)?$", (directory / "cgroup").read_text(), re.MULTILINE)
    return match.group(1) if match else ""


def socket_units(text: str) -> dict[int, str]:
    """Return port -> socket unit, from what `systemctl show --property=Id,Listen '*.socket'` prints."""
    found: dict[int, str] = {}
    for block in text.split("\n\n"):
        name = re.search(r"^Id=(.+)$", block, re.MULTILINE)
        for port in re.findall(r"^Listen=\S*?:(\d+) \((?:Stream|Datagram)\)$", block, re.MULTILINE):
            if name:
                found[int(port)] = name.group(1)
    return found


def survey(
    ports: list[int],
    run: Callable[[list[str]], str],
    proc: Path = Path("/proc"),
    services: Mapping[int, str] | None = None,
    datagrams: Iterable[int] = (),
    orphans: Iterable[int] = (),
) -> list[dict[str, object]]:
    """Return for each of the ports that is held: port, protocol, ours, and holder (a phrase for people).

    datagrams: more ports, of which UDP alone counts. `run` runs a program and returns what it printed, "" when it
    fails. services: process -> service, where the service manager keeps no control groups. orphans: processes of ours
    that the service manager has lost.
    """
    found = open_listeners(ports, proc)
    found += [listener for listener in open_listeners(datagrams, proc) if listener.protocol == "udp"]
    processes = holders({listener.inode for listener in found}, proc)
    by_pid_1 = any(process.pid == 1 for group in processes.values() for process in group)
    units = socket_units(run(["systemctl", "show", "--property=Id,Listen", "*.socket"])) if by_pid_1 else {}
    lost = set(orphans)
    result: dict[tuple[int, str], dict[str, object]] = {}
    for listener in found:
        group = [_named(process, units.get(listener.port, ""), services or {}) for process in processes[listener.inode]]
        held = {
            "port": listener.port,
            "protocol": listener.protocol,
            "ours": bool(group) and all(process.unit in OURS or process.pid in lost for process in group),
            "holder": _phrase(group),
        }
        known = result.setdefault((listener.port, listener.protocol), held)
        # One listener for IPv4 may be ours and the one for IPv6 another program's: that one is to be named.
        if known["ours"] and not held["ours"]:
            result[listener.port, listener.protocol] = held
    return list(result.values())


def _named(process: Process, socket_unit: str, services: Mapping[int, str]) -> Process:
    unit = socket_unit if process.pid == 1 else services.get(process.pid, "")
    return process._replace(unit=unit) if unit else process


def _phrase(processes: list[Process]) -> str:
    if not processes:
        return "something without a process (a kernel service, or another container)"
    last = processes[-1]
    return f"{last.name} (process {last.pid}{', ' + last.unit if last.unit else ''})"
