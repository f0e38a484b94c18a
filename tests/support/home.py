"""Somebody's home behind a router, and a relay outside, in network namespaces of their own: real NAT, no internet."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support import labs
from tests.support.child import Child
from tests.support.namespace import PrivateNetwork
from toolkit.console import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PORT = 55435
RELAY = "203.0.113.10"
OUTSIDE = "203.0.113.1"


@dataclass(frozen=True)
class Home:
    """The namespaces: where somebody sits, the router, and where the relay is."""

    folder: Path
    inside: PrivateNetwork
    router: PrivateNetwork
    outside: PrivateNetwork

    def doctor(self, relay: str = f"{RELAY}|{PORT}") -> tuple[int, dict[str, list[dict[str, Any]]]]:
        """Type invoke doctor at home; return its exit code and the findings by name."""
        argv = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), "doctor", "--json", f"--relay={relay}"]
        return findings(self.inside.command([*self._with_names(), *argv]), self.folder)

    def knows(self, name: str, *addresses: str) -> None:
        """Let a name stand for addresses at home from now on, by a file of hosts that is seen there alone."""
        hosts = self.folder / "hosts"
        before = hosts.read_text() if hosts.exists() else ""
        hosts.write_text(before + "".join(f"{address} {name}\n" for address in addresses))

    def has_ipv6(self) -> None:
        """Give whoever sits at home an IPv6 address and a way out by it, which ends at the router."""
        _ip(self.inside, "-6 address add fd00:77::2/64 dev eth0 nodad")
        _ip(self.inside, "-6 route add default dev eth0")

    def _with_names(self) -> list[str]:
        hosts = self.folder / "hosts"
        if not hosts.exists():
            return []
        mount = 'mount --bind "$0" /etc/hosts && exec "$@"'
        return ["unshare", "--mount", "--propagation=private", "sh", "-c", mount, str(hosts)]


def findings(argv: Sequence[str], folder: Path) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """Run a doctor that answers in JSON; return its exit code and the findings by name."""
    environment = {**os.environ, "XDG_CONFIG_HOME": str(folder)}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=110, env=environment)
    assert done.stdout, done.stderr
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in json.loads(done.stdout)["findings"]:
        found.setdefault(finding["name"], []).append(finding)
    return done.returncode, found


@contextmanager
def a_home(folder: Path, address: str = "192.168.77.2", gateway: str = "192.168.77.1") -> Iterator[Home]:
    """Make a home with a router that hides it (NAT), and a relay that lets everybody in beyond it."""
    labs.need_root()
    with ExitStack() as stack:
        home = Home(folder, *(stack.enter_context(PrivateNetwork(folder)) for _ in range(3)))
        _wire(home.inside, "eth0", address, home.router, "inside", gateway)
        _wire(home.router, "wan", OUTSIDE, home.outside, "eth0", RELAY)
        _ip(home.inside, f"route add default via {gateway}")
        _run(home.router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        _run(home.router, "nft", "add table ip home")
        _run(home.router, "nft", "add chain ip home out { type nat hook postrouting priority 100; }")
        _run(home.router, "nft", "add rule ip home out oifname wan masquerade")
        stack.enter_context(a_relay(home.outside, RELAY, folder))
        yield home


@contextmanager
def a_relay(network: PrivateNetwork, address: str, folder: Path, toml: str = "") -> Iterator[None]:
    """Run a relay in a namespace, at the usual port."""
    settings = folder / "relay.toml"
    settings.write_text(toml)
    where = ["--config", str(settings), "--bind", address, "--port", str(PORT)]
    argv = [sys.executable, "-m", "relay", "serve", *where]
    log = folder / "relay.log"
    with Child(network.command(argv), log=log, cwd=ROOT) as relay:
        _wait_for_line(log, "listening")
        yield
        relay.stop(terminate=True)


@contextmanager
def a_router_that_tells(network: PrivateNetwork, address: str, external: str, folder: Path) -> Iterator[None]:
    """Let a router speak UPnP: a stand-in, see fake_igd.py."""
    argv = [sys.executable, "-I", str(ROOT / "tests" / "support" / "fake_igd.py"), address, external]
    with Child(network.command(argv), log=folder / "igd.log") as router:
        assert router.line(within=20) == "up"
        yield


@contextmanager
def a_slow_way(
    folder: Path, delay: int, jitter: int = 0, lose: int = 0, largest: int = 0, toml: str = ""
) -> Iterator[Home]:
    """Make a home whose way to the relay takes delay ms each way, see slow_way.py; toml: the relay's settings."""
    labs.need_root()
    with ExitStack() as stack:
        inside, outside = (stack.enter_context(PrivateNetwork(folder)) for _ in range(2))
        pids = [str(_pid(network)) for network in (inside, outside)]
        numbers = [str(number) for number in (delay, jitter, lose, largest)]
        argv = [sys.executable, "-I", str(ROOT / "tests" / "support" / "slow_way.py"), *pids, OUTSIDE, RELAY, *numbers]
        way = stack.enter_context(Child(argv, log=folder / "way.log"))
        assert way.line(within=20) == "up"
        stack.enter_context(a_relay(outside, RELAY, folder, toml))
        yield Home(folder, inside, inside, outside)


def _wire(one: PrivateNetwork, name: str, address: str, other: PrivateNetwork, far: str, theirs: str) -> None:
    """Join two namespaces by a pair of interfaces with an address each, in a /24."""
    _ip(one, f"link add {name} type veth peer name {far} netns {_pid(other)}")
    for network, link, own in ((one, name, address), (other, far, theirs)):
        _ip(network, f"address add {own}/24 dev {link}")
        _ip(network, f"link set {link} up")


def _ip(network: PrivateNetwork, words: str) -> None:
    _run(network, "ip", *words.split())


def _run(network: PrivateNetwork, *argv: str) -> None:
    subprocess.run(network.command(argv), check=True, capture_output=True, timeout=20)


def _pid(network: PrivateNetwork) -> int:
    return network._keeper.pid


def _wait_for_line(log: Path, word: str) -> None:
    from tests.support.waiting import wait_for

    wait_for(lambda: log.exists() and word in log.read_text(), 30, f"{word} in {log}")
