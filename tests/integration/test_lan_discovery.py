"""LAN discovery as RetroArch asks: by broadcast on a real network between two machines, namespaces with a wire."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from relay import control_client
from tests.support import labs
from tests.support.child import Child, tail
from tests.support.namespace import PrivateNetwork
from tests.support.templates import render
from tests.support.waiting import wait_for
from toolkit.console import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.lab, pytest.mark.timeout(150)]

SOON = 30.0
EVERY = "0.0.0.0"  # noqa: S104 - what relay.toml says by default
# The host's first address is not the relay's: an answer must come from where the game is.
OTHER, RELAY, PORT = "192.168.77.9", "192.168.77.1", 55440
FRIEND, STRANGER, PUBLIC = "192.168.77.2", "192.168.77.3", "203.0.113.7"

# Hosts a game, and asks as RetroArch does whenever it is told to, from each address in turn: who got which answers.
# They are given in the order of the questions, so with the last one's all are there.
PLAYER = """
import json, socket, sys
relay, port, *sources = sys.argv[1:]
game = socket.create_connection((relay, int(port)), 20, (sources[-1], 0))
game.sendall(b"RATS" + bytes(12))
print(game.recv(16)[:4].decode(), flush=True)
asking = []
for source in sources:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.bind((source, 0))
    asking.append(sock)
for _ in sys.stdin:
    for sock in asking:
        sock.sendto(b"RANQ", ("255.255.255.255", 55435))
    answers = {}
    for source, sock in reversed([*zip(sources, asking)]):
        sock.settimeout(0 if answers else 10)
        try:
            data, (address, _) = sock.recvfrom(2048)
            answers[source] = [address, len(data), data[:4].decode(), int.from_bytes(data[8:12], "big")]
        except OSError:
            answers[source] = None
    print(json.dumps(answers), flush=True)
"""

# Opens what a socket unit names, as systemd does, and becomes the relay.
SERVICE_MANAGER = """
import os, socket, sys
unit, config = sys.argv[1:]
kinds = {"ListenStream": socket.SOCK_STREAM, "ListenDatagram": socket.SOCK_DGRAM}
wanted = [line.split("=") for line in open(unit).read().splitlines() if line.split("=")[0] in kinds]
for number, (key, place) in enumerate(wanted, start=3):
    address, port = place.split(":")
    sock = socket.socket(socket.AF_INET, kinds[key])
    sock.bind((address, int(port)))
    if kinds[key] == socket.SOCK_STREAM:
        sock.listen()
    fd = sock.detach()
    if fd != number:
        os.dup2(fd, number)
        os.close(fd)
    os.set_inheritable(number, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(wanted)))
os.execv(sys.executable, [sys.executable, "-m", "relay", "serve", "--config", config])
"""


@dataclass
class Lan:
    """The two machines, and where the relay's files are."""

    folder: Path
    relays: PrivateNetwork
    players: PrivateNetwork

    def settings(self, bind: str) -> Path:
        """Write a relay.toml whose allowlist knows the friend, by a private and by a public address."""
        allowlist, config = self.folder / "allowlist", self.folder / "relay.toml"
        allowlist.write_text(f"{FRIEND}\n{PUBLIC}\n")
        listen = f'[listen]\nport = {PORT}\nbind = ["{bind}"]\n'
        config.write_text(f'{listen}[lan]\nanswer = true\n[gate]\nallowlist = "{allowlist}"\n')
        return config

    def unit(self, bind: str) -> Path:
        """Write the unit with the relay's sockets."""
        unit = self.folder / "netplay-relay.socket"
        values = {"relay_addresses": [bind], "relay_ports": [PORT], "relay_lan_discovery": True}
        unit.write_text(render("systemd/netplay-relay.socket.j2", **values))
        return unit

    @contextmanager
    def relay(self, bind: str, activated: bool) -> Iterator[Path]:
        """Run a relay, with sockets of a service manager or its own; give the path it is asked at."""
        config = self.settings(bind)
        how = ["-m", "relay", "serve", "--config", str(config)]
        if activated:
            how = ["-c", SERVICE_MANAGER, str(self.unit(bind)), str(config)]
        environ = {**os.environ, "RUNTIME_DIRECTORY": str(self.folder)}
        log = self.folder / "relay.log"
        with Child(self.relays.command([sys.executable, *how]), log=log, env=environ, cwd=ROOT) as relay:
            wait_for(lambda: "listening on" in tail(log) or not relay.running(), SOON, "the relay to listen")
            assert relay.running(), tail(log)
            yield self.folder / "control.sock"
            assert "LAN discovery" not in tail(log), "nothing to complain of"
            relay.stop(terminate=True)

    @contextmanager
    def player(self) -> Iterator[Child]:
        """Run a player who hosts."""
        argv = [sys.executable, "-I", "-c", PLAYER, RELAY, str(PORT), STRANGER, PUBLIC, FRIEND]
        with Child(self.players.command(argv), log=self.folder / "player.log") as player:
            assert player.line(within=SOON) == "RATS"
            yield player


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Lan]:
    labs.need_root()
    with PrivateNetwork(tmp_path) as relays, PrivateNetwork(tmp_path) as players:
        ends = (str(relays.pid), str(players.pid))
        run(relays, f"link add wire netns {ends[0]} type veth peer name wire netns {ends[1]}")
        for network, addresses in ((relays, (OTHER, RELAY)), (players, (FRIEND, STRANGER, PUBLIC))):
            for address in addresses:
                run(network, f"address add {address}/24 dev wire")
            run(network, "link set wire up")
        # An answer to the public address would find its way.
        run(relays, "route add 203.0.113.0/24 dev wire")
        yield Lan(tmp_path, relays, players)


def run(network: PrivateNetwork, words: str) -> None:
    subprocess.run(network.command(["ip", *words.split()]), check=True, capture_output=True, timeout=20)


def answers(player: Child) -> dict[str, Any]:
    player.tell("ask")
    return dict(json.loads(player.line(within=SOON)))


@pytest.mark.parametrize("activated", [False, True], ids=["own sockets", "the service manager's"])
@pytest.mark.parametrize(("bind", "told"), [(RELAY, RELAY), (EVERY, OTHER)], ids=["one address", "every address"])
def test_a_broadcast_is_answered_to_private_friends_alone_before_and_after_an_upgrade(
    lan: Lan, bind: str, told: str, activated: bool
) -> None:
    expected = {STRANGER: None, PUBLIC: None, FRIEND: [told, 688, "RANS", PORT]}
    with lan.relay(bind, activated) as socket, lan.player() as player:
        assert answers(player) == expected
        for _ in range(2):
            assert "upgraded" in control_client.ask(socket, "upgrade")
            assert answers(player) == expected
