"""The relays that are measured, each started on the relay's core with the same limits, and stopped again."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import tomlkit

from toolkit.bench import links, plan, procfs

if TYPE_CHECKING:
    import socket

    from toolkit.bench.links import Link

STARTING = 15.0
ENDING = 5.0
# What a relay forwards to, and listens on, is its own network's: no port is taken but by the one before.
FIRST_PORT = 20_000


class RelayError(Exception):
    """A relay did not start, or ended by itself; the text holds the end of its log."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where things are: a folder for files, the programs, and the core for relays."""

    folder: Path
    haproxy: str
    python: str
    relay: str
    core: int


class Contender(ABC):
    """A relay by its name; `with contender:` runs it. pid is None for the one that is no relay at all."""

    def __init__(self, name: str, site: Site) -> None:
        self.name = name
        self.site = site
        self.pid: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._log = site.folder / f"{name.replace(' ', '-')}.log"
        self._port = FIRST_PORT

    @abstractmethod
    def link(self, number: int) -> Link:
        """Make the session of this number, counted from 0. Raises LinkError."""

    @abstractmethod
    def command(self, port: int) -> list[str]:
        """Return the argument list that makes it listen on a port of 127.0.0.1."""

    def __enter__(self) -> Self:
        """Start it, and return once it listens. Raises RelayError."""
        # A fresh port each time, so that nothing that is left of the last run can be in the way.
        self._port += 1
        own = os.sched_getaffinity(0)
        with self._log.open("wb") as log:
            os.sched_setaffinity(0, {self.site.core})  # inherited; there is no moment on the wrong core
            try:
                self._process = subprocess.Popen(
                    self.command(self._port), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.site.folder
                )
            finally:
                os.sched_setaffinity(0, own)
        self.pid = self._process.pid
        self._wait_until_listening()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.2)
            self._process.kill()  # ours would otherwise wait for its games to end
            self._process.wait(ENDING)

    def check(self) -> None:
        """Raise RelayError when it has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            raise self.complaint(f"it ended by itself with code {self._process.returncode}")

    def complaint(self, what: str) -> RelayError:
        """Return an error that says what happened to this relay, with the end of its log."""
        tail = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:] if self._log.exists() else []
        return RelayError(f"{self.name}: {what}" + "".join(f"\n{line}" for line in tail))

    def _wait_until_listening(self) -> None:
        end = time.monotonic() + STARTING
        while self._port not in procfs.listening_ports(Path("/proc/net/tcp").read_text(encoding="ascii")):
            self.check()
            if time.monotonic() > end:
                raise self.complaint(f"it does not listen after {STARTING:g} s")
            time.sleep(0.02)


class OurRelay(Contender):
    """netplay-relay as it is deployed: one file, the system's Python. config is a relay.toml, or empty for defaults."""

    def __init__(self, name: str, site: Site, config: str, sessions: int) -> None:
        super().__init__(name, site)
        text = Path(config).read_text(encoding="utf-8") if config else ""
        self._config = site.folder / f"{name.replace(' ', '-')}.toml"
        self._config.write_text(with_room_for(text, sessions), encoding="utf-8")

    def command(self, port: int) -> list[str]:
        """Return how it is served on a port."""
        program = [self.site.python, "-I", self.site.relay, "serve"]
        return [*program, "--config", str(self._config), "--bind", links.HOST, "--port", str(port)]

    def link(self, number: int) -> Link:
        """Make a session through the tunnel."""
        return links.through_tunnel(self._port, number)


class BarePython(Contender):
    """The least a relay in Python can do: it speaks the tunnel, and has no feature at all."""

    def command(self, port: int) -> list[str]:
        """Return how it is started."""
        return [self.site.python, "-I", str(Path(__file__).with_name("floor.py")), str(port)]

    def link(self, number: int) -> Link:
        """Make a session through the tunnel."""
        return links.through_tunnel(self._port, number)


class PlainRelay(Contender):
    """A relay that forwards TCP to one place."""

    def __init__(self, name: str, site: Site) -> None:
        super().__init__(name, site)
        self._backend: socket.socket = links.listener()

    @property
    def backend_port(self) -> int:
        """Where it forwards to."""
        return int(self._backend.getsockname()[1])

    def link(self, number: int) -> Link:
        """Make a link through it."""
        return links.through_plain(self._port, number, self._backend)


class Haproxy(PlainRelay):
    """HAProxy in TCP mode, one thread, no log: the least it can be asked to do."""

    def command(self, port: int) -> list[str]:
        """Write its configuration and return how it is started."""
        path = self.site.folder / "haproxy.cfg"
        path.write_text(haproxy_config(port, self.backend_port), encoding="ascii")
        return [self.site.haproxy, "-db", "-f", str(path)]


class Reference(PlainRelay):
    """The C relay of one epoll loop."""

    def command(self, port: int) -> list[str]:
        """Return how it is started."""
        return [str(self.site.folder / "reference"), str(port), str(self.backend_port)]


class Loopback(PlainRelay):
    """No relay: the players talk to each other directly."""

    def command(self, _port: int) -> list[str]:
        """Return nothing: there is nothing to run."""
        return []

    def __enter__(self) -> Self:
        """Start nothing."""
        self._port = self.backend_port
        return self


def haproxy_config(port: int, backend_port: int) -> str:
    """Return a configuration that forwards a port of 127.0.0.1 to another."""
    return (
        "global\n  nbthread 1\n  maxconn 9000\n"
        "defaults\n  mode tcp\n  maxconn 9000\n"
        "  timeout connect 10s\n  timeout client 1h\n  timeout server 1h\n"
        f"listen netplay\n  bind {links.HOST}:{port} backlog 4096\n  server players {links.HOST}:{backend_port}\n"
    )


def with_room_for(text: str, sessions: int) -> str:
    """Return a relay.toml with its limits raised to hold that many sessions."""
    document = tomlkit.parse(text)
    limits = document.setdefault("limits", tomlkit.table())
    wanted = {
        "sessions": sessions,
        "connections": plan.FDS_PER_SESSION * sessions + plan.SPARE_FDS,
    }
    for name, value in wanted.items():
        limits[name] = max(value, limits.get(name, 0))
    return tomlkit.dumps(document)
