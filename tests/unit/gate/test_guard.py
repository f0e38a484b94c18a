"""Which ports are ways in to the host, however little the one who looks may see."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from relay.gate import lockout
from relay.gate.files import GateFiles
from relay.gate.gate import Gate
from relay.gate.state import State
from relay.tomlfile import ConfigError
from tests.support.gate_memory import ScriptedPrograms

ROOT = Path(__file__).parents[3]
# The agent's, as its services have it.
RIGHTS = ("setpriv", "--bounding-set", "-all,+net_admin,+net_raw,+chown", "--inh-caps", "-all", "--no-new-privs", "--")
LOOK = """
import pathlib, sys
from relay.gate import lockout as guard
print(*sorted(guard.ssh_ports(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))))
"""


def proc_of(pid: int, folder: Path) -> Path:
    """Return a /proc in which there is one process, as it really is."""
    proc = folder / "proc"
    proc.mkdir()
    for name in (str(pid), "net"):
        (proc / name).symlink_to(Path("/proc") / name)
    return proc


@pytest.mark.parametrize(
    ("arguments", "settings", "ports"),
    [
        ("-p {port}", "Port 2200\n", "{port}"),
        ("-oPort={port}", "", "{port}"),
        ("-p 127.0.0.1:{port}", "", "{port}"),
        ("-D", "#Port 22\nport 2200 # mine\nListenAddress [::]:2201\nListenAddress 10.0.0.1\n", "2200 2201"),
        ("-D", "", "22"),
    ],
)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")
def test_roots_ssh_server_is_found_without_the_right_to_look_into_processes(
    tmp_path: Path, arguments: str, settings: str, ports: str
) -> None:
    """As the agent runs, under the service's own bounding set; seen beside it by a process with all rights."""
    (tmp_path / "sshd").symlink_to(sys.executable)
    (tmp_path / "sshd_config.d").mkdir()
    (tmp_path / "sshd_config.d" / "mine.conf").write_text(settings)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        words = arguments.format(port=port).split()
        wait = [str(tmp_path / "sshd"), "-c", "import sys; print(flush=True); sys.stdin.read()", *words]
        listener.set_inheritable(True)
        with subprocess.Popen(wait, stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False) as server:
            assert server.stdout
            assert server.stdin
            server.stdout.readline()
            try:
                command = [sys.executable, "-c", LOOK, str(proc_of(server.pid, tmp_path)), str(tmp_path)]
                told = subprocess.run([*RIGHTS, *command], capture_output=True, text=True, check=True, cwd=ROOT)
                assert told.stdout.split() == ports.format(port=port).split()
                assert port in lockout.ssh_ports(tmp_path / "proc"), "with all rights its socket is seen"
            finally:
                server.stdin.close()


def test_an_ssh_server_that_is_somebody_elses_is_not_taken_at_its_word(tmp_path: Path) -> None:
    (tmp_path / "cmdline").write_bytes(b"sshd\0-p\0" + b"55435\0")
    os.chown(tmp_path, os.geteuid(), -1)
    wanted = {55435} if os.geteuid() == 0 else set()
    assert lockout._said(tmp_path, tmp_path) == wanted
    if os.geteuid() == 0:
        os.chown(tmp_path, 4321, -1)
        assert lockout._said(tmp_path, tmp_path) == set()


def test_the_ports_on_which_systemd_waits_for_ssh_are_found() -> None:
    active = "Listen=0.0.0.0:22 (Stream)\nListen=[::]:2022 (Stream)\nActiveState=active\n"
    off = "Listen=[::]:2200 (Stream)\nActiveState=inactive\n"
    assert lockout.socket_ports(f"{off}\n{active}") == {22, 2022}
    assert lockout.socket_ports("") == set()


def test_a_port_on_which_systemd_waits_for_ssh_is_never_filtered(tmp_path: Path) -> None:
    shown = "Listen=[::]:55435 (Stream)\nActiveState=active\n"
    gate = Gate(GateFiles(tmp_path), ScriptedPrograms({"systemctl show": shown}))
    with pytest.raises(ConfigError, match=r"port 55435 is the way in to this host .systemd waits for ssh on it"):
        gate._check_ports(gate.wanted(), State())
