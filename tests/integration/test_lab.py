"""What a lab that is up offers: machines of their own, reached by ssh, on a network that leads nowhere else."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.labs import PAIR, a_lab, a_name
from tests.support.namespace import PrivateNetwork
from tests.support.waiting import wait_for
from toolkit.console import ROOT
from toolkit.errors import UserError
from toolkit.lab import Lab, LabSpec, network

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.lab

LISTEN = """
import socket, sys
server = socket.create_server((sys.argv[1], 0), family=socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
server.settimeout(30)
print(server.getsockname()[1], flush=True)
print(server.accept()[1][0], flush=True)
"""
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10).close()"

CAP_SYS_TIME = 25


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with a_lab() as made:
        yield made


def in_host(lab: Lab, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(lab.inside("relay", argv), capture_output=True, text=True, timeout=60, check=check)


def by_ssh(lab: Lab, command: str, *options: str) -> subprocess.CompletedProcess[str]:
    argv = ["ssh", "-F", str(lab.ssh_config), *options, lab.ssh_alias("relay"), command]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def test_a_host_runs_a_whole_systemd_as_its_first_process(lab: Lab) -> None:
    assert in_host(lab, "cat", "/proc/1/comm").stdout == "systemd\n"
    assert in_host(lab, "systemctl", "is-system-running").stdout == "running\n"
    assert in_host(lab, "systemctl", "--failed", "--no-legend").stdout == ""
    assert in_host(lab, "hostname").stdout == "relay\n"


def test_ssh_reaches_a_host_as_root_and_asks_nothing(lab: Lab) -> None:
    done = by_ssh(lab, "id -u; cat /etc/hostname", "-o", "BatchMode=yes")
    assert (done.stdout, done.returncode) == ("0\nrelay\n", 0), done.stderr
    assert done.stderr == ""


def test_ssh_refuses_a_host_whose_key_is_not_the_one_written_down(lab: Lab, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    others = (tmp_path / "key.pub").read_text()
    (tmp_path / "known").write_text(f"{lab.ssh_alias('relay')} {others}")
    own_connection = ("-o", "ControlPath=none")
    done = by_ssh(lab, "true", *own_connection, "-o", f"UserKnownHostsFile={tmp_path}/known")
    assert done.returncode != 0
    assert "HOST IDENTIFICATION HAS CHANGED" in done.stderr
    assert by_ssh(lab, "true", *own_connection).returncode == 0


def test_the_files_for_ssh_are_the_owners_alone(lab: Lab) -> None:
    directory = lab.ssh_config.parent
    assert directory.stat().st_mode & 0o077 == 0
    assert (directory / "id_ed25519").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_a_host_reaches_a_client_at_its_own_address_and_is_seen_by_its_own(lab: Lab, family: str) -> None:
    friend, relay = getattr(lab.node("friend"), family), getattr(lab.node("relay"), family)
    listening = lab.command("friend", [sys.executable, "-I", "-c", LISTEN, friend])
    with subprocess.Popen(listening, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        in_host(lab, "python3", "-I", "-c", CONNECT, friend, port)
        assert server.stdout.readline() == f"{relay}\n"


def test_a_client_has_a_loopback_of_its_own(lab: Lab) -> None:
    listening = lab.command("friend", [sys.executable, "-I", "-c", LISTEN, "127.0.0.1"])
    with subprocess.Popen(listening, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", int(port)), timeout=10)
        connecting = [sys.executable, "-I", "-c", CONNECT, "127.0.0.1", port]
        subprocess.run(lab.command("friend", connecting), check=True, timeout=60)
        assert server.stdout.readline() == "127.0.0.1\n"


def test_a_host_knows_the_other_nodes_by_name(lab: Lab) -> None:
    named = in_host(lab, "getent", "ahosts", "friend").stdout
    assert lab.node("friend").ipv4 in named
    assert lab.node("friend").ipv6 in named


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_a_host_has_a_default_route_that_leads_nowhere_and_says_so_at_once(lab: Lab, address: str) -> None:
    assert "default via" in in_host(lab, "ip", "-6" if ":" in address else "-4", "route").stdout
    started = time.monotonic()
    done = in_host(lab, "python3", "-I", "-c", CONNECT, address, "80", check=False)
    assert re.search("unreachable|No route to host", done.stderr)
    # An address that swallows packets would take minutes.
    assert time.monotonic() - started < 60


@dataclass(frozen=True)
class Forwarder:
    """A lab whose controller forwards for others, as one with containers does, and a neighbour of the controller's."""

    lab: Lab
    controller: PrivateNetwork

    def up(self) -> None:
        """Bring the lab up again, from the controller's network as before."""
        self.run(*_up(self.lab.name))

    def run(self, *argv: str) -> str:
        """Run a program on the controller's network; return what it said."""
        done = subprocess.run(
            self.controller.command(argv), check=True, capture_output=True, text=True, timeout=60, cwd=ROOT
        )
        return done.stdout.strip()

    def goes_through(self, address: str) -> bool:
        """Whether a host that was told to go by the controller has an answer from its neighbour."""
        return in_host(self.lab, "ping", "-c", "1", "-W", "1", address, check=False).returncode == 0


def _up(name: str) -> list[str]:
    return [sys.executable, "-m", "toolkit.lab", "--porcelain", "up", "--spec", LabSpec(name, PAIR).to_json()]


@pytest.fixture(scope="module")
def forwarder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forwarder]:
    folder = tmp_path_factory.mktemp("forwarder")
    with a_name() as name, PrivateNetwork(folder) as controller, PrivateNetwork(folder) as outside:
        for argv in (
            ["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"],
            _up(name),
            ["ip", "link", "add", "way", "type", "veth", "peer", "name", "way", "netns", str(outside.pid)],
            ["ip", "link", "set", "way", "up"],
            ["ip", "address", "add", "198.51.100.1/30", "dev", "way"],
            ["ip", "address", "add", "2001:db8:51::1/64", "dev", "way", "nodad"],
        ):
            done = subprocess.run(controller.command(argv), capture_output=True, text=True, timeout=100, cwd=ROOT)
            assert done.returncode == 0, f"{argv}: {done.stdout} {done.stderr}"
        for line in (
            "link set way up",
            "address add 198.51.100.2/30 dev way",
            "address add 2001:db8:51::2/64 dev way nodad",
            "route add default via 198.51.100.1",
            "-6 route add default via 2001:db8:51::1",
        ):
            subprocess.run(outside.command(["ip", *line.split()]), check=True, timeout=60)
        yield Forwarder(Lab.load(name), controller)


@dataclass(frozen=True)
class Way:
    """A way out of the lab by one family: what `ip` calls it, the controller in the lab, its neighbour, its switch."""

    family: str
    controller: str
    neighbour: str
    switch: str


WAYS = [
    pytest.param(Way("-4", "10.213.{index}.1", "198.51.100.2", "net.ipv4.ip_forward"), id="ipv4"),
    pytest.param(Way("-6", "fd4e:7052:6c{index:02x}::1", "2001:db8:51::2", "net.ipv6.conf.all.forwarding"), id="ipv6"),
]


@pytest.mark.parametrize("way", WAYS)
def test_a_host_gets_no_further_through_this_machine_even_when_it_asks_it_to(forwarder: Forwarder, way: Way) -> None:
    index, address = forwarder.lab.state.index, way.neighbour
    gateway = way.controller.format(index=index)
    in_host(forwarder.lab, "ip", way.family, "route", "replace", address, "via", gateway)
    assert not forwarder.goes_through(address)
    # Whoever starts containers while the lab is up switches forwarding on for all interfaces, the lab's as well.
    for on in (0, 1):
        forwarder.run("sysctl", "-qw", f"{way.switch}={on}")
    assert not forwarder.goes_through(address)
    # Without a way that works when it may, an answer that does not come would prove nothing.
    name = network.controller_interface(index)
    forwarder.run("ip", way.family, "rule", "delete", "iif", name)
    wait_for(lambda: forwarder.goes_through(address), 60, "an answer through a controller that forwards")
    forwarder.up()
    assert not forwarder.goes_through(address), "the next up mends it"


@pytest.mark.parametrize("way", WAYS)
def test_a_host_that_gets_no_further_reaches_this_machine_itself(forwarder: Forwarder, way: Way) -> None:
    gateway = way.controller.format(index=forwarder.lab.state.index)
    in_host(forwarder.lab, "ping", "-c", "1", "-W", "10", gateway)


@pytest.mark.parametrize("setting", ["kernel/panic", "vm/swappiness", "fs/file-max"])
def test_a_host_cannot_change_the_settings_of_this_machine(lab: Lab, setting: str) -> None:
    in_host(lab, "cat", f"/proc/sys/{setting}")
    done = in_host(lab, "sh", "-c", f": > /proc/sys/{setting}", check=False)  # it would write nothing even so
    assert "Read-only file system" in done.stderr


def test_a_host_changes_the_network_settings_of_its_own_network_alone(lab: Lab) -> None:
    ours = Path("/proc/sys/net/ipv4/tcp_fin_timeout")
    before = ours.read_text()
    changed = str(int(before) + 7)
    in_host(lab, "sh", "-c", f"echo {changed} > /proc/sys/net/ipv4/tcp_fin_timeout")
    assert in_host(lab, "cat", "/proc/sys/net/ipv4/tcp_fin_timeout").stdout.strip() == changed
    assert ours.read_text() == before


KEPT_FROM_HOSTS = {"sys_module": 16, "sys_rawio": 17, "sys_time": 25, "mknod": 27, "mac_admin": 33, "syslog": 34}


@pytest.mark.parametrize("way", ["ssh", "inside"])
@pytest.mark.parametrize("capability", KEPT_FROM_HOSTS)
def test_a_host_lacks_the_rights_that_reach_the_machine(lab: Lab, way: str, capability: str) -> None:
    question = ("cat", "/proc/self/status")
    status = by_ssh(lab, " ".join(question)).stdout if way == "ssh" else in_host(lab, *question).stdout
    for kind in ("CapPrm", "CapEff", "CapBnd"):
        rights = int(status.partition(f"{kind}:")[2].split()[0], 16)
        assert rights & 1 << 10, "it may bind low ports"
        assert not rights & 1 << KEPT_FROM_HOSTS[capability]


def test_a_host_makes_no_device_and_does_not_read_the_kernels_log(lab: Lab) -> None:
    assert "Operation not permitted" in in_host(lab, "mknod", "/root/null", "c", "1", "3", check=False).stderr
    assert "Operation not permitted" in in_host(lab, "dmesg", check=False).stderr


def test_the_hardening_a_service_asks_for_applies_in_a_host(lab: Lab) -> None:
    properties = ["DynamicUser=yes", "ProtectSystem=strict", "PrivateNetwork=yes", "PrivateDevices=yes"]
    properties += ["SystemCallFilter=~uname", "SystemCallErrorNumber=EPERM"]
    start = ["systemd-run", "--quiet", "--wait", "--pipe", *(f"--property={each}" for each in properties)]
    script = "id -u; touch /etc/x; ip -brief link; uname"
    done = in_host(lab, *start, "sh", "-c", script, check=False)
    assert int(done.stdout.splitlines()[0]) > 1000
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == ["lo"]
    assert "Read-only file system" in done.stderr
    assert "cannot get system name" in done.stderr


def test_a_host_takes_its_firewall_from_its_own_nftables_which_start_disabled(lab: Lab) -> None:
    assert in_host(lab, "systemctl", "is-enabled", "nftables", check=False).stdout == "disabled\n"
    in_host(lab, "nft", "add", "table", "inet", "mine")
    assert "mine" in in_host(lab, "nft", "list", "tables").stdout


def test_a_host_can_remove_and_install_a_package_without_a_way_out(lab: Lab) -> None:
    quiet = "DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes"
    in_host(lab, "sh", "-c", f"{quiet} purge iptables && {quiet} update && {quiet} install iptables")
    assert in_host(lab, "dpkg-query", "--show", "--showformat=${Status}", "iptables").stdout == "install ok installed"


def test_a_command_is_never_read_by_a_shell_on_its_way_into_a_client(lab: Lab, tmp_path: Path) -> None:
    words = ["-x", "; touch victim", "$(touch victim)", "a b", "*"]
    argv = lab.command("friend", [sys.executable, "-c", "import sys, json; print(json.dumps(sys.argv[1:]))", *words])
    done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert json.loads(done.stdout) == words
    assert not (tmp_path / "victim").exists()


def test_a_node_that_is_not_there_is_a_sentence_with_the_names_that_are(lab: Lab) -> None:
    with pytest.raises(UserError, match="has no node 'nobody'") as caught:
        lab.node("nobody")
    assert "relay, friend" in caught.value.fix


def test_a_client_is_nothing_to_log_in_to(lab: Lab) -> None:
    with pytest.raises(UserError, match="friend is a client"):
        lab.ssh_alias("friend")
