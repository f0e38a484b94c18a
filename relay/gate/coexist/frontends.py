"""ufw and firewalld: is our port shut there, and opening it in their own terms, tagged as ours.

ufw gets a rule with our comment. firewalld gets a policy of our name for good, so that no zone of anybody is written
to, and the bare port in the zone for now: it learns of a new policy only when it is reloaded, and a reload would lose
what others have set for now alone.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path

from relay.gate.foreign import uplinks
from relay.gate.programs import Programs

TAG = "netplay-relay"
PROTOCOLS = ("tcp", "udp")
# Where front ends keep their rules: our service may write there only if it was there when the service started.
HOMES = (Path("/etc/ufw"),)
POLICY = Path(f"/etc/firewalld/policies/{TAG}.xml")


class Ufw:
    """The host's ufw."""

    tool = "ufw"

    def __init__(self, programs: Programs) -> None:
        self._programs = programs

    def shut(self, ports: Sequence[int], protocol: str = "tcp") -> list[int] | None:
        """Return which ports it keeps shut; None when ufw is not there or not active."""
        status = self._programs.answer(["ufw", "status"]) if self._programs.find("ufw") else ""
        if not re.search(r"^Status: active$", status, re.MULTILINE):
            return None
        allowed = r"^{}(?:/{})?\s+(?:\(v6\)\s+)?ALLOW(?: IN)?\s+Anywhere\b"
        return [port for port in ports if not re.search(allowed.format(port, protocol), status, re.MULTILINE)]

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

    def __init__(self, programs: Programs, policy: Path = POLICY) -> None:
        """Use firewall-cmd; policy: where firewalld keeps a policy of our name."""
        self._programs = programs
        self._policy = policy

    def shut(self, ports: Sequence[int], protocol: str = "tcp") -> list[int] | None:
        """Return which ports it keeps shut; None when firewalld does not run."""
        if not self._runs():
            return None
        first, *rest = self._ask(f"--info-policy={TAG}").splitlines() or [""]
        active = f"{TAG} (active)" in first
        served = {word for line in rest if active and line.strip().startswith("ports:") for word in line.split()[1:]}
        closed = [port for port in ports if f"{port}/{protocol}" not in served]
        zones = self.zones() if closed else []
        return [port for port in closed if not all(self._is_open(zone, port, protocol) for zone in zones)]

    def zones(self) -> list[str]:
        """Return the zones that the internet comes in by: those of the default routes, else the default zone."""
        default = self._ask("--get-default-zone")
        names = dict.fromkeys(name for version in uplinks.ROUTES for name in uplinks.uplinks(version))
        zones = [self._ask(f"--get-zone-of-interface={name}") or default for name in names]
        return list(dict.fromkeys(zone for zone in zones or [default] if zone))

    def command(self, port: int) -> list[str]:
        """Return what opens a port, for now."""
        return ["firewall-cmd", *_each("--add-port", [port])]

    def open(self, ports: Sequence[int]) -> None:
        """Open ports, for good and for now. Raises ProgramError."""
        if TAG not in self._ask("--permanent", "--get-policies").split():
            self._change("--permanent", f"--new-policy={TAG}")
        for change in (_each("--add-port", ports), ["--add-ingress-zone=ANY"], ["--add-egress-zone=HOST"]):
            self._change("--permanent", f"--policy={TAG}", *change)
        for zone in self.zones():
            self._change(f"--zone={zone}", *_each("--add-port", ports))

    def close(self, keep: Sequence[int] = ()) -> list[int]:
        """Take away what is ours but ports to keep; return the ports. Raises ProgramError, OSError."""
        if not self._runs():
            return [] if keep else self._close_stopped()
        known = self._ask("--permanent", f"--policy={TAG}", "--list-ports")
        gone = [port for port in _ports(known) if port not in keep]
        loaded = self._ask(f"--policy={TAG}", "--list-ports")
        if gone:
            self._change("--permanent", f"--policy={TAG}", *_each("--remove-port", gone))
            self._close_now(gone)
        if loaded_too := [port for port in _ports(loaded) if port in gone]:
            self._change(f"--policy={TAG}", *_each("--remove-port", loaded_too))
        if known and not keep:
            self._forget()
        return gone

    def _forget(self) -> None:
        """Take the policy away: for good, and what is loaded of it. firewalld keeps a copy of what it deletes."""
        self._change("--permanent", f"--delete-policy={TAG}")
        if f"{TAG} (active)" in self._ask(f"--info-policy={TAG}"):
            # It knows an empty policy of that name until it is loaded again; no rule comes of that.
            for place in ("--remove-ingress-zone=ANY", "--remove-egress-zone=HOST"):
                self._change(f"--policy={TAG}", place)
        with contextlib.suppress(OSError):  # the agent's service may not write there
            self._copy.unlink(missing_ok=True)

    def _close_stopped(self) -> list[int]:
        """Take the policy away from a firewalld that does not run: it would read it when it starts. Raises OSError."""
        try:
            text = self._policy.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        for path in (self._policy, self._copy):
            path.unlink(missing_ok=True)
        return _ports(" ".join(re.findall(r'<port port="(\d+)"', text)))

    @property
    def _copy(self) -> Path:
        return self._policy.with_name(f"{self._policy.name}.old")

    def _close_now(self, ports: Sequence[int]) -> None:
        """Close ports for now, where the owner has not opened them for good."""
        lasting = self._zone_ports("--permanent")
        for zone, open_now in self._zone_ports().items():
            ours = open_now - lasting.get(zone, set())
            if here := [port for port in ports if {f"{port}/{protocol}" for protocol in PROTOCOLS} <= ours]:
                self._change(f"--zone={zone}", *_each("--remove-port", here))

    def _zone_ports(self, *options: str) -> dict[str, set[str]]:
        """Return the ports that each zone has open, like 55435/tcp."""
        found: dict[str, set[str]] = {}
        zone = ""
        for line in self._ask(*options, "--list-all-zones").splitlines():
            zone = line.split()[0] if line[:1].strip() else zone
            key, _, value = line.strip().partition(":")
            if key == "ports":
                found[zone] = set(value.split())
        return found

    def _runs(self) -> bool:
        return bool(self._programs.find("firewall-cmd")) and self._ask("--state") == "running"

    def _is_open(self, zone: str, port: int, protocol: str) -> bool:
        return self._ask(f"--zone={zone}", f"--query-port={port}/{protocol}") == "yes"

    def _ask(self, *options: str) -> str:
        return self._programs.answer(["firewall-cmd", *options]).strip()

    def _change(self, *options: str) -> None:
        self._programs.run(["firewall-cmd", "--quiet", *options])


def _each(option: str, ports: Sequence[int]) -> list[str]:
    return [f"{option}={port}/{protocol}" for port in ports for protocol in PROTOCOLS]


def _ports(text: str) -> list[int]:
    """Return the ports in what firewalld says of them: 55435/tcp 55435/udp."""
    return sorted({int(port) for port in re.findall(r"\b(\d+)\b", text)})


Front = Ufw | Firewalld


def fronts(programs: Programs) -> list[Front]:
    """Return the front ends the gate knows."""
    return [Ufw(programs), Firewalld(programs)]
