"""The packages on the stand-in for Void: unpacked as xbps does, their services under the runit that is PID 1 there.

It is Debian's programs in Void's layout, not Void: xbps itself is not there, and takes no part.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from tests.support import xbps_harness, xbps_reader
from tests.support.templates import ROOT
from tests.support.waiting import wait_for
from tests.support.xbps_sources import MAINTAINER
from toolkit.xbps import repository, request

if TYPE_CHECKING:
    from pathlib import Path

    from toolkit.lab import Lab

PORT = 55435
READY = 20.0
# Void's triggers as far as the package calls them, in the stand-in's own programs.
TRIGGERS = {
    "system-accounts": (
        "for account in $system_accounts; do\n"
        'if [ "$2" = pre-remove ]; then [ "$5" = yes ] || usermod -L "$account"; continue; fi\n'
        'if id "$account" >/dev/null 2>&1; then continue; fi\n'
        'eval home=\\"\\$${account}_homedir\\"\n'
        'useradd --system --user-group --no-create-home --home-dir "$home" --shell /usr/sbin/nologin "$account"; done'
    ),
    "mkdirs": (
        "set -- $2 $make_dirs; moment=$1; shift; while [ $# -gt 0 ]; do\n"
        'if [ "$moment" = post-remove ]; then rmdir ".$1" 2>/dev/null; shift 4; continue; fi\n'
        'install -d -m "$2" -o "$3" -g "$4" ".$1"; shift 4; done'
    ),
    "pycompile": (
        "place=usr/lib/python$pycompile_version/site-packages/$pycompile_module\n"
        'if [ "$2" = pre-remove ]; then find "$place" -name __pycache__ -prune -exec rm -r {} +; exit; fi\n'
        'python3 -m compileall -q "$place"'
    ),
}


@dataclass(frozen=True)
class VoidlikeHost:
    """The host "relay" of a lab with the clients "friend" and "stranger"."""

    lab: Lab

    @classmethod
    def with_packages(cls, lab: Lab, folder: Path) -> Self:
        """Make the packages for the host's Python and put them onto it."""
        host = cls(lab)
        python = host.run("python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip()
        (folder / "source.tar.gz").write_bytes(xbps_harness.source_tarball())
        wanted = request.settle(request.Asked(distfile=str(folder / "source.tar.gz"), maintainer=MAINTAINER))
        written = repository.make(wanted, folder / "repo", "x86_64", python=python)
        for name, text in TRIGGERS.items():
            host.write(f"/usr/libexec/xbps-triggers/{name}", f"#!/bin/sh\n{text}\n", "755")
        for path in written:
            if path.suffix == ".xbps":
                host._unpack(path)
        return host

    def run(self, *argv: str, stdin: bytes = b"") -> str:
        """Run a program on the host and return what it printed."""
        done = subprocess.run(self.lab.inside("relay", argv), input=stdin, capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, (argv, done.stdout, done.stderr)
        return done.stdout.decode()

    def code(self, *argv: str) -> int:
        """Run a program on the host and return how it ended."""
        return subprocess.run(self.lab.inside("relay", argv), capture_output=True, check=False, timeout=60).returncode

    def write(self, path: str, text: str, mode: str = "644") -> None:
        """Write a file on the host."""
        self.run("install", "-D", "-m", mode, "/dev/stdin", path, stdin=text.encode())

    def rewrite(self, path: str, text: str) -> None:
        """Change what a file says, as an editor does: its owner and mode stay."""
        self.run("sh", "-c", 'cat >"$1"', "sh", path, stdin=text.encode())

    def enable(self, service: str) -> None:
        """Do what the administrator does to have a service run."""
        self.run("ln", "-sfn", f"/etc/sv/{service}", f"/var/service/{service}")

    def is_ready(self, service: str = "netplay-relay") -> bool:
        """Ask sv check with a second of patience; what is down is in order to it, and not ready here."""
        argv = self.lab.inside("relay", ["sv", "-w", "1", "check", service])
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
        return done.returncode == 0 and done.stdout.startswith("ok: run:")

    def wait_ready(self, service: str = "netplay-relay", within: float = READY) -> None:
        """Wait until the service's own check says yes."""
        wait_for(lambda: self.is_ready(service), within, f"{service} to be ready")

    def pid(self, service: str = "netplay-relay") -> int:
        """Return the number of the service's process on the host, 0 when there is none."""
        text = self.run("sh", "-c", 'cat "/run/runit/supervise.$1/pid"', "sh", service).strip()
        return int(text or 0)

    def kill(self, number: int, signal: str = "KILL") -> None:
        """Send a signal to a process on the host."""
        assert number > 1, "0 would be the caller's own process group"
        self.run("kill", f"-{signal}", str(number))

    def log(self, service: str = "netplay-relay") -> str:
        """Return what the service gave to vlogger."""
        return self.run("cat", f"/var/log/vlogger/{service}")

    def probe(self, node: str) -> dict[str, object]:
        """Play a host and a client through the relay from a client of the lab, or try to connect as a stranger."""
        address = self.lab.node("relay").ipv4
        role = "friend" if node == "friend" else "stranger"
        argv = self.lab.command(node, [sys.executable, "-m", "toolkit.deploy.probe", role, address, str(PORT)])
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60, cwd=ROOT)
        found: dict[str, object] = json.loads(done.stdout)
        return found

    def _unpack(self, package: Path) -> None:
        """Do what xbps does with a package: INSTALL pre, the files, INSTALL post."""
        read = xbps_reader.package(package)
        unpacked = subprocess.run(["zstd", "-dc", str(package)], capture_output=True, check=True, timeout=60).stdout
        for action in ("pre", "post"):
            if action == "post":
                left_out = ("--exclude=./props.plist", "--exclude=./files.plist", "--exclude=./INSTALL",
                            "--exclude=./REMOVE")  # fmt: skip
                self.run("tar", "-C", "/", "-xf", "-", *left_out, stdin=unpacked)
            if text := read.scripts.get("INSTALL"):
                argv = ("sh", "-s", action, read.props["pkgname"], read.props["version"], "no", "no", "x86_64")
                self.run("env", "-C", "/", *argv, stdin=text.encode())
