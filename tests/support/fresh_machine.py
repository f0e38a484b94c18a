"""A Debian as its installer leaves it, with a way to the package registries: a lab host of which nothing was asked yet.

Its network is its own. slirp4netns carries what it asks of the registries out of its namespace, as a home router
would, so that a lab inside it meets no other lab. What this machine's pip and apt need to reach the registries (a
certificate, a proxy, a mirror) is handed on; nothing else is.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from tests.support import needs
from tests.support.child import tail
from tests.support.labs import a_lab
from toolkit.console import ROOT
from toolkit.lab import NodeSpec, sources
from toolkit.lab.programs import run

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME: Final = "fresh"
ACCOUNT: Final = "gamer"
_CERTIFICATES: Final = "/etc/registries.pem"
# What pip is told of the way to its index; find-links and the like are this machine's own folders.
_PIP: Final = ("cert", "index-url", "proxy", "trusted-host", "timeout")


class FreshMachine:
    """A Debian of that suite; a context manager that leaves nothing of it.

    Attributes: ``log`` holds all that was typed and what came of it.
    """

    def __init__(self, suite: str, folder: Path) -> None:
        """Say which Debian; ``folder`` is for the log."""
        self._suite, self.log = suite, folder / f"{suite}.log"

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._lab = stack.enter_context(a_lab(NodeSpec(NAME, "host", self._suite)))
            (self._node,) = self._lab.state.nodes
            stack.enter_context(_WayOut(self._lab.state.netns(NAME)))
            self._settle_in()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def clone(self, account: str) -> None:
        """Lay a clone of this checkout, with what is not committed yet, into the account's home."""
        with tempfile.TemporaryDirectory() as scratch:
            clone = Path(scratch) / "netplay-relay"
            git = ["git", "-c", "safe.directory=*"]
            run([*git, "clone", "--quiet", "--no-local", str(ROOT), str(clone)], timeout=120)
            changed = run([*git, "-C", str(ROOT), "ls-files", "-z", "-mo", "--exclude-standard"]).split("\0")
            for name in filter(None, changed):
                if (ROOT / name).is_file():
                    (clone / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(ROOT / name, clone / name)
            packed = subprocess.run(
                ["tar", "-C", scratch, "-c", clone.name], capture_output=True, check=True, timeout=120
            )
        self._root(f"tar -x -C ~{account} && chown -R {account}: ~{account}/netplay-relay", data=packed.stdout)

    def type(
        self, account: str, command: str, within: float, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Type a command in the checkout of an account, as after a login by ssh; wait ``within`` seconds for its end.

        Returns what it printed, both streams in one. Raises AssertionError with the end of the log when it takes
        longer.
        """
        words = [f"{name}={shlex.quote(value)}" for name, value in (environment or {}).items()]
        typed = f"cd netplay-relay && {' '.join([*words, command])}"
        with self.log.open("a") as log:
            log.write(f"\n{self._suite} {account}$ {command}\n")
        # A login shell has the account's own environment, and nothing of this test's.
        argv = [*self._ssh(), "runuser", "--login", account, "--command", shlex.quote(typed)]
        try:
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, check=False, timeout=within,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            self._write(error.stdout)
            raise AssertionError(f"{command!r} did not end within {within} s:\n{tail(self.log)}") from None
        self._write(done.stdout)
        return done

    def python(self) -> str:
        """Return the version of the machine's own Python."""
        return self._root("python3 --version").split()[1]

    def _write(self, text: str | bytes | None) -> None:
        with self.log.open("a") as log:
            log.write(text.decode(errors="replace") if isinstance(text, bytes) else text or "")

    def _settle_in(self) -> None:
        """Do what its owner did after the installation: an account with sudo, a mirror, a name server."""
        pip, certificates = _pip_settings()
        apt = "".join(f"{option}\n" for option in sources.apt_options())
        for path, text in (
            ("/etc/apt/sources.list.d/debian.sources", sources.for_suite(self._suite, sources.find())),
            ("/etc/apt/apt.conf.d/99registries", apt),
            ("/etc/pip.conf", pip),
            (_CERTIFICATES, certificates),
            ("/etc/resolv.conf", f"nameserver {_WayOut.NAME_SERVER}\n"),
            (f"/etc/sudoers.d/{ACCOUNT}", f"{ACCOUNT} ALL=(ALL) NOPASSWD: ALL\n"),
        ):
            self._root(f"cat >{path}", data=text.encode())
        self._root(
            "rm /etc/apt/sources.list.d/lab.list /etc/apt/apt.conf.d/90lab; "
            # The lab's own gateway answers that nothing is reachable.
            "ip route delete default dev eth0; ip -6 route delete default dev eth0; "
            f"useradd --create-home --shell /bin/bash {ACCOUNT}"
        )

    def _root(self, command: str, data: bytes = b"") -> str:
        done = subprocess.run([*self._ssh(), command], input=data, capture_output=True, check=False, timeout=120)
        assert done.returncode == 0, f"{command}: {done.stderr.decode(errors='replace')}"
        return done.stdout.decode()

    def _ssh(self) -> list[str]:
        return ["ssh", "-F", str(self._lab.ssh_config), self._lab.ssh_alias(NAME)]


class _WayOut:
    """slirp4netns beside a network namespace; it ends with the test."""

    NAME_SERVER: Final = "10.0.2.3"
    _BOUND: Final = 30.0

    def __init__(self, namespace: Path) -> None:
        self._namespace = namespace

    def __enter__(self) -> Self:
        program = needs.program("slirp4netns")
        reading, ready = os.pipe()
        try:
            self._process = subprocess.Popen(
                [program, "--configure", "--mtu=65520", "--disable-host-loopback", f"--ready-fd={ready}",
                 "--netns-type=path", str(self._namespace), "tap0"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=[ready],
            )  # fmt: skip
        finally:
            os.close(ready)
        with os.fdopen(reading, "rb") as pipe:
            if not pipe.read(1):  # its end: the program is gone
                self.__exit__()
                raise AssertionError("slirp4netns did not connect the machine")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(self._BOUND)


def _pip_settings() -> tuple[str, str]:
    """Return a pip.conf that reaches the index as this machine's pip does, and the certificates that it names."""
    shown = run([str(ROOT / ".venv/bin/python"), "-m", "pip", "config", "list"]).splitlines()
    values = dict[str, str]()
    for line in shown:
        name, _, value = line.partition("=")
        key = name.rpartition(".")[2]
        if key in _PIP:
            values[key] = value.strip("'\"")
    certificates = Path(values["cert"]).read_text() if "cert" in values else ""
    if certificates:
        values["cert"] = _CERTIFICATES
    return "[global]\n" + "".join(f"{key} = {value}\n" for key, value in values.items()), certificates
