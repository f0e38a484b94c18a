"""ufw and firewalld: is our port shut there, and opening it in their own terms, tagged as ours.

ufw gets a rule with our comment. firewalld gets a service of our name for good, and the bare port for now: it learns
of a new service only when it is reloaded, and a reload would lose what others have set for now alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from relay.gate.programs import Programs

TAG = "netplay-relay"
PROTOCOLS = ("tcp", "udp")
ROUTES = Path("/proc/net/route")
# firewalld keeps what it deletes.
OLD_SERVICE = Path(f"/etc/firewalld/services/{TAG}.xml.old")


class Ufw:
    """The host's ufw."""

    tool = "ufw"

    def __init__(self, programs: Programs) -> None:
        self._programs = programs

    def shut(self, ports: Sequence[int]) -> list[int] | None:
        """Return which ports it keeps shut; None when ufw is not there or not active."""
        status = self._programs.answer(["ufw", "status"]) if self._programs.find("ufw") else ""
        if not re.search(r"^Status: active$", status, re.MULTILINE):
            return None
        allowed = r"^{}(?:/tcp)?\s+(?:\(v6\)\s+)?ALLOW(?: IN)?\s+Anywhere\b"
        return [port for port in ports if not re.search(allowed.format(port), status, re.MULTILINE)]

    def command(self, port: int) -> list[str]:
        """Return what opens a port."""
        return ["ufw", "allow", str(port), "comment", TAG]

    def open(self, ports: Sequence[int]) -> None:
        """Open ports. Raises ProgramError."""
        for port in ports:
            self._programs.run(self.command(port))

    def close(self, keep: Sequence[int] = ()) -> list[int]:
        """Take away our rules but those for ports to keep; return their ports. Raises ProgramError."""
        added = self._programs.answer(["ufw", "show", "added"]) if self._programs.find("ufw") else ""
        ours = [int(port) for port in re.findall(rf"^ufw allow (\d+) comment '{TAG}'$", added, re.MULTILINE)]
        gone = [port for port in ours if port not in keep]
        for port in gone:
            self._programs.run(["ufw", "--force", "delete", "allow", str(port)])
        return gone


class Firewalld:
    """The host's firewalld."""

    tool = "firewalld"

    def __init__(self, programs: Programs) -> None:
        self._programs = programs

    def shut(self, ports: Sequence[int]) -> list[int] | None:
        """Return which ports it keeps shut; None when firewalld does not run."""
        if not self._programs.find("firewall-cmd") or self._ask("--state") != "running":
            return None
        zones = self.zones()
        return [port for port in ports if not all(self._is_open(zone, port) for zone in zones)]

    def zones(self) -> list[str]:
        """Return the zones that the internet comes in by: those of the default routes, else the default zone."""
        default = self._ask("--get-default-zone")
        zones = [self._ask(f"--get-zone-of-interface={name}") or default for name in _uplinks()]
        return list(dict.fromkeys(zone for zone in zones or [default] if zone))

    def command(self, port: int) -> list[str]:
        """Return what opens a port, for now."""
        return ["firewall-cmd", *(f"--add-port={port}/{protocol}" for protocol in PROTOCOLS)]

    def open(self, ports: Sequence[int]) -> None:
        """Open ports, for good and for now. Raises ProgramError."""
        if TAG not in self._ask("--permanent", "--get-services").split():
            self._change("--permanent", f"--new-service={TAG}")
        for port in ports:
            for protocol in PROTOCOLS:
                self._change("--permanent", f"--service={TAG}", f"--add-port={port}/{protocol}")
        for zone in self.zones():
            self._change("--permanent", f"--zone={zone}", f"--add-service={TAG}")
            for port in ports:
                self._change(f"--zone={zone}", *self.command(port)[1:])

    def close(self, keep: Sequence[int] = ()) -> list[int]:
        """Take away what is ours but ports to keep; return the ports. Raises ProgramError."""
        if not self._programs.find("firewall-cmd") or self._ask("--state") != "running":
            return []
        known = self._ask("--permanent", f"--service={TAG}", "--get-ports")
        ours = sorted({int(port) for port in re.findall(r"(\d+)/", known)})
        gone = [port for port in ours if port not in keep]
        for port in gone:
            for protocol in PROTOCOLS:
                self._change("--permanent", f"--service={TAG}", f"--remove-port={port}/{protocol}")
                self._close_now(f"{port}/{protocol}")
        if ours and not keep:
            self._forget()
        return gone

    def _forget(self) -> None:
        for zone in self._ask("--permanent", "--get-zones").split():
            if self._ask("--permanent", f"--zone={zone}", f"--query-service={TAG}") == "yes":
                self._change("--permanent", f"--zone={zone}", f"--remove-service={TAG}")
            if self._ask(f"--zone={zone}", f"--query-service={TAG}") == "yes":
                self._change(f"--zone={zone}", f"--remove-service={TAG}")
        self._change("--permanent", f"--delete-service={TAG}")
        OLD_SERVICE.unlink(missing_ok=True)

    def _close_now(self, port: str) -> None:
        """Close a port for now, where the owner has not opened it for good."""
        for zone in self._ask("--get-zones").split():
            here = self._ask(f"--zone={zone}", f"--query-port={port}") == "yes"
            if here and self._ask("--permanent", f"--zone={zone}", f"--query-port={port}") != "yes":
                self._change(f"--zone={zone}", f"--remove-port={port}")

    def _is_open(self, zone: str, port: int) -> bool:
        if self._ask(f"--zone={zone}", f"--query-port={port}/tcp") == "yes":
            return True
        served = f"{port}/tcp" in self._ask(f"--info-service={TAG}").split()
        return served and self._ask(f"--zone={zone}", f"--query-service={TAG}") == "yes"

    def _ask(self, *options: str) -> str:
        return self._programs.answer(["firewall-cmd", *options]).strip()

    def _change(self, *options: str) -> None:
        self._programs.run(["firewall-cmd", "--quiet", *options])


def _uplinks() -> list[str]:
    """Return the interfaces of the default routes, by the kernel's table of IPv4 routes."""
    try:
        lines = [line.split() for line in ROUTES.read_text().splitlines()[1:]]
    except OSError:
        return []
    return list(
        dict.fromkeys(fields[0] for fields in lines if len(fields) > 7 and fields[1] == fields[7] == "00000000")
    )


Front = Ufw | Firewalld


def fronts(programs: Programs) -> list[Front]:
    """Return the front ends the gate knows."""
    return [Ufw(programs), Firewalld(programs)]
