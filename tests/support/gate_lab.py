"""A lab whose relay was deployed to, for tests of who gets in: its owner's files, its players, and what they can do."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from tests.support import labs
from tests.support.role_host import PORT, SETTINGS, RoleHost
from tests.support.templates import ROOT
from tests.support.waiting import wait_for
from toolkit.deploy.run import Request, deploy
from toolkit.friends import commands
from toolkit.hosts import inventory, target
from toolkit.lab import DEFAULT_SPEC, NodeSpec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from toolkit.hosts.target import DeployTarget
    from toolkit.lab import Lab

SOON = 20.0
# Hosts a session and prints when each word of the relay came: "RATS" is the way in, "RATP" that the game goes on.
HOST = """
import socket, sys, time
try:
    relay = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=2)
    relay.settimeout(60)
    relay.sendall(b"RATS" + bytes(12))
    while word := relay.recv(16)[:4]:
        print(time.monotonic(), word.decode("ascii", "replace"), flush=True)
        if len(sys.argv) > 3:
            sys.exit()
        if word == b"RATP":
            relay.sendall(word)
except OSError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""
CONNECT = """
import socket, sys
socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=2).close()
"""


@dataclass(frozen=True)
class GateLab:
    """The lab, where its relay is to the toolkit, and what stood on the host before anything was put there.

    said: what the deployment printed, where it was typed.
    """

    lab: Lab
    place: DeployTarget
    host: RoleHost
    before: dict[str, Any]
    owners_list: str
    said: str = ""

    @property
    def friends_file(self) -> Path:
        """The owner's friends.toml."""
        return inventory.files_of(self.place.host).friends

    def status(self) -> dict[str, Any]:
        """Return what the gate says of itself."""
        return commands.fetch(self.place)

    def plays(self, node: str) -> list[bool]:
        """Whether the relay answers somebody at a node who hosts: by IPv4, by IPv6."""
        return self._tries(node, HOST, "once")

    def connects(self, node: str) -> list[bool]:
        """Whether a connection is made at all: the relay may still say nothing on it."""
        return self._tries(node, CONNECT)

    def _tries(self, node: str, script: str, *more: str) -> list[bool]:
        relay = self.lab.node(self.host.node)
        argv = [sys.executable, "-I", "-c", script]
        tries = [self.lab.command(node, [*argv, address, str(PORT), *more]) for address in (relay.ipv4, relay.ipv6)]
        running = [
            subprocess.Popen(each, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for each in tries
        ]
        said = [each.communicate(timeout=30)[0] for each in running]
        return [
            each.returncode == 0 and (script is CONNECT or " RATS" in text)
            for each, text in zip(running, said, strict=True)
        ]

    @contextmanager
    def a_game(self, node: str) -> Iterator[Game]:
        """Yield a game that somebody at a node hosts."""
        argv = [sys.executable, "-I", "-c", HOST, self.lab.node(self.host.node).ipv4, str(PORT)]
        with subprocess.Popen(self.lab.command(node, argv), stdout=subprocess.PIPE, text=True) as process:
            try:
                game = Game(process)
                assert game.line().endswith(" RATS\n")
                yield game
            finally:
                process.kill()

    def addresses(self, node: str) -> tuple[str, str]:
        """Return a node's addresses as friends.toml names them: its own /128, all nodes of a lab are neighbours."""
        at = self.lab.node(node)
        return at.ipv4, f"{at.ipv6}/128"

    def is_there(self) -> bool:
        """Whether a relay is on the host."""
        seen = self.lab.inside(self.host.node, ["test", "-e", "/opt/netplay-relay/current"])
        return subprocess.run(seen, check=False, timeout=60).returncode == 0

    def there_again(self) -> Self:
        """Deploy again if everything was removed; return this."""
        if not self.is_there():
            deploy(self.place, Request())
        return self

    def begins_anew(self) -> None:
        """Let the list be again what it was after the deployment."""
        if self.friends_file.read_text() != self.owners_list:
            self.friends_file.write_text(self.owners_list)
        commands.push(self.place)

    def flush(self) -> None:
        """Take away every rule on the host, as somebody there would."""
        legacy = "for i in iptables ip6tables; do $i -F; $i -X; done"
        self.host.run("sh", "-ec", f"if command -v nft >/dev/null; then nft flush ruleset; else {legacy}; fi")

    def typed(self, *words: str) -> list[str]:
        """Return the command line of a task, for this host."""
        argv = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), *words, "--host", self.place.host.alias]
        return [*argv, "--ssh-config", str(self.place.ssh_config)]

    def invokes(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Type a task, for this host."""
        argv = self.typed(*words)
        return subprocess.run(
            argv, capture_output=True, text=True, check=False, timeout=600, stdin=subprocess.DEVNULL, cwd=ROOT
        )


@dataclass(frozen=True)
class Game:
    """A game under way."""

    process: subprocess.Popen[str]

    def line(self) -> str:
        """Return the next word of the relay and when it came; "" at the end."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def goes_on(self) -> bool:
        """Wait for a word that comes after this moment; False when the game ends first."""
        now = time.monotonic()
        while line := self.line():
            if float(line.split()[0]) > now:
                return True
        return False

    def ends(self) -> bool:
        """Whether the relay ends it soon."""
        return bool(wait_for(lambda: self.process.poll() is not None, SOON, "the end of the game"))


@contextmanager
def a_gate_lab(folder: Path, rootfs: str = "bookworm") -> Iterator[GateLab]:
    """Bring up a lab of one's own and deploy to it; the caller has set a configuration folder apart."""
    with labs.a_name() as name:
        nodes = tuple(replace(node, rootfs=rootfs) if node.kind == "host" else node for node in DEFAULT_SPEC.nodes)
        place = target.lab(replace(DEFAULT_SPEC, name=name, nodes=nodes))
        assert place.lab is not None
        host = RoleHost.of(place.lab, folder)
        before = host.snapshot()
        # The lab's addresses are private ones.
        inventory.write(
            inventory.files_of(place.host).relay, SETTINGS.replace("[gate]\n", "[gate]\nprivate_names = true\n")
        )
        deploy(place, Request())
        text = inventory.files_of(place.host).friends.read_text()
        yield GateLab(place.lab, place, host, before, text)


def prepared(lab: Lab, node: str, script: str, folder: Path) -> GateLab:
    """Make a host what a script says, look at it, deploy to it by hand: a host that ssh knows, with three friends."""
    done = subprocess.run(
        lab.inside(node, ["sh", "-ec", script]), capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    folder.mkdir()
    host = RoleHost.of(lab, folder, node)
    place = target.real(lab.ssh_alias(node), lab.ssh_config)
    before = host.snapshot()
    files = inventory.files_of(place.host)
    inventory.write(files.relay, SETTINGS.replace("[gate]\n", "[gate]\nprivate_names = true\n"))
    bare = GateLab(lab, place, host, before, "")
    friends = [f"--friend={name}={address}" for name in ("player", "friend") for address in bare.addresses(name)]
    said = bare.invokes("deploy", *friends)
    assert said.returncode == 0, said.stdout + said.stderr
    return replace(bare, owners_list=files.friends.read_text(), said=said.stdout)


@contextmanager
def a_fleet(folder: Path, scripts: dict[str, str]) -> Iterator[dict[str, GateLab]]:
    """Bring up a lab of one's own with hosts of these names, each made by a script, and deploy to all of them at once.

    The caller has set a configuration folder apart.
    """
    nodes = [NodeSpec(node, "host") for node in scripts]
    nodes += [node for node in DEFAULT_SPEC.nodes if node.kind == "client"]
    with labs.a_lab(*nodes) as lab, ThreadPoolExecutor() as threads:
        made = {node: threads.submit(prepared, lab, node, text, folder / node) for node, text in scripts.items()}
        yield {node: one.result() for node, one in made.items()}
