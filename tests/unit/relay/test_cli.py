"""netplay-relay as a program: what it prints, how it exits, how it stops."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from relay.cli import main
from tests.support import wire

ROOT = Path(__file__).parents[3]
BOUND = 60.0


@contextmanager
def serving(*arguments: str, **environ: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run the relay as a program on a free port of 127.0.0.1; it is ended at the end of the block."""
    command = [sys.executable, "-m", "relay", "serve", "--bind", "127.0.0.1", "--port", "0", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, env={**os.environ, **environ})
    assert process.stderr
    try:
        line = process.stderr.readline()
        match = re.search(r"listening on \[127.0.0.1\]:(\d+)", line)
        assert match, line + process.stderr.read()
        yield process, int(match.group(1))
    finally:
        process.kill()
        process.wait(BOUND)
        process.stderr.close()


def hosting(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), BOUND)
    sock.sendall(wire.HOST_HELLO)
    assert sock.recv(16)[:4] == b"RATS"
    return sock


def test_it_serves_and_stops_at_once_when_nobody_plays() -> None:
    with serving() as (process, port):
        hosting(port).close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(BOUND) == 0


def test_it_waits_for_a_game_when_it_is_stopped_and_a_second_signal_ends_it() -> None:
    with serving() as (process, port), hosting(port) as host:
        process.send_signal(signal.SIGTERM)
        assert process.stderr
        lines = ""
        while "stopping: games go on for at most 60" not in lines:
            lines += process.stderr.readline()
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(BOUND) == 0
        assert host.recv(1) == b""


def test_a_game_may_go_on_for_a_bounded_time_only(tmp_path: Path) -> None:
    config = tmp_path / "relay.toml"
    config.write_text("[timeouts]\ndrain = 0.1\n")
    with serving("--config", str(config)) as (process, port), hosting(port):
        process.send_signal(signal.SIGTERM)
        assert process.wait(BOUND) == 0


def test_it_tells_the_service_manager_when_it_is_ready(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(BOUND)
        with serving(NOTIFY_SOCKET=str(tmp_path / "notify")) as (process, _port):
            assert manager.recv(100) == b"READY=1"
            process.send_signal(signal.SIGINT)
            assert manager.recv(100) == b"STOPPING=1"
            assert process.wait(BOUND) == 0


# LISTEN_PID must be the pid of the program itself, which only exists after the fork.
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.executable, [sys.executable, "-m", "relay", "serve", *sys.argv[2:]])
"""


@contextmanager
def activated(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run the relay with one socket that is handed to it, on 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [sys.executable, "-c", ACTIVATE, str(listener.fileno()), *arguments]
        handed = (listener.fileno(),)
        process = subprocess.Popen(command, cwd=ROOT, pass_fds=handed, stderr=subprocess.PIPE, text=True)
        try:
            yield process, listener.getsockname()[1]
        finally:
            process.kill()
            process.communicate()


def ended(process: subprocess.Popen[str]) -> str:
    """Stop a relay and return what it had said."""
    process.terminate()
    assert process.stderr
    # Not communicate(): what came together with the line that was waited for has been read ahead already.
    said = process.stderr.read()
    assert process.wait(BOUND) == 0, said
    return said


def test_it_serves_a_socket_that_the_service_manager_opened() -> None:
    with activated() as (process, port):
        hosting(port).close()
        assert "LAN discovery" not in ended(process)


@pytest.mark.parametrize("bind", ["0.0.0.0", "192.168.1.2"])  # noqa: S104 - nothing listens there
def test_what_the_settings_want_of_a_service_manager_that_opened_less_is_said(tmp_path: Path, bind: str) -> None:
    config = tmp_path / "relay.toml"
    room = '[[room]]\nid = "FridayNightRoom1"\nport = 55440\n'
    config.write_text(f'[listen]\nbind = ["{bind}"]\n[lan]\nanswer = true\n{room}')
    with activated("--config", str(config)) as (process, port):
        hosting(port).close()
        said = ended(process)
    for number in (55435, 55440):
        assert f"relay.toml names port {number}, but no socket was passed for it. Deploy again" in said
    assert "LAN discovery is on, but no UDP socket was passed for it. Deploy again" in said


def test_an_allowlist_that_is_missing_is_said_when_the_relay_starts_and_keeps_everybody_out(tmp_path: Path) -> None:
    config = tmp_path / "relay.toml"
    config.write_text(f'[gate]\nallowlist = "{tmp_path}/allowlist"\n')
    with activated("--config", str(config)) as (process, port):
        assert process.stderr
        first = process.stderr.readline()
        assert f"allowlist {tmp_path}/allowlist cannot be used, so nobody is let in: No such file" in first
        with socket.create_connection(("127.0.0.1", port), BOUND) as stranger, suppress(ConnectionError):
            stranger.sendall(wire.HOST_HELLO)
            assert stranger.recv(16) == b""


def test_a_control_socket_that_cannot_be_is_said_with_what_to_type(tmp_path: Path) -> None:
    config = tmp_path / "relay.toml"
    config.write_text(f'[control]\nsocket = "{tmp_path}/none/control.sock"\n')
    with activated("--config", str(config)) as (process, port):
        hosting(port).close()
        said = ended(process)
    assert (
        f"no control socket at {tmp_path}/none/control.sock, so no status: No such file or directory. Let this" in said
    )
    assert f"write to {tmp_path}/none, or name another path" in said
    assert f"; then: kill -HUP {process.pid}\n" in said


def test_lan_discovery_where_retroarch_would_not_list_the_relay_is_said(tmp_path: Path) -> None:
    config = tmp_path / "relay.toml"
    config.write_text("[lan]\nanswer = true\n")
    with serving("--config", str(config)) as (process, port):
        hosting(port).close()
        said = ended(process)
    assert "LAN discovery is on, but RetroArch lists only private IPv4 addresses. Name one" in said


def test_a_taken_port_is_a_sentence_with_the_next_command() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        command = [sys.executable, "-m", "relay", "serve", "--bind", "127.0.0.1", "--port", port]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=BOUND, check=False)
    assert result.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in result.stderr
    assert f"ss -ltnp 'sport = :{port}'" in result.stderr
    assert "Traceback" not in result.stderr


def test_check_config_says_that_a_file_is_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "relay.toml"
    file.write_text('[[room]]\nid = "FridayNightRoom1"\nport = 55440\n')
    assert main(["check-config", str(file)]) == 0
    assert "fine. Ports: 55435, 55440. Rooms: 1." in capsys.readouterr().out


def test_check_config_says_that_an_allowlist_is_missing_here_and_that_the_settings_are_fine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, allowlist = tmp_path / "relay.toml", tmp_path / "allowlist"
    file.write_text(f'[gate]\nallowlist = "{allowlist}"\n')
    assert main(["check-config", str(file)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert "fine. Ports: 55435." in first
    assert f"allowlist {allowlist} cannot be used, so nobody is let in: No such file or directory. Write it" in second
    allowlist.write_text("203.0.113.7\n")
    assert main(["check-config", str(file)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_check_config_reads_a_list_of_friends_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "friends.toml"
    file.write_text('[[friend]]\nname = "anna"\nip = "203.0.113.7"\n')
    assert main(["check-config", "--friends", str(file)]) == 0
    assert "fine. Friends: 1." in capsys.readouterr().out
    file.write_text('[[friend]]\nname = "anna"\nip = "203.0.113.700"\n')
    assert main(["check-config", "--friends", str(file)]) == 2
    assert f"{file}:3: anna: " in capsys.readouterr().err


def test_check_config_names_the_mistake_and_exits_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "relay.toml"
    file.write_text("[listen]\nprot = 1\n")
    assert main(["check-config", str(file)]) == 2
    assert capsys.readouterr().err == f"{file}:2: [listen] has no setting prot. Did you mean port?\n"


def test_serve_refuses_a_broken_file_before_it_listens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "relay.toml"
    file.write_text("[listen]\nport = 0\n")
    assert main(["serve", "--config", str(file)]) == 2
    assert "relay.toml:2: port must be a port" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["99999", "-1", "http"])
def test_a_port_that_is_none_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["serve", f"--port={port}"])
    assert caught.value.code == 2
    assert "a port is a number from 0 to 65535" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["relay.example", "fe80::1%lo", "::ffff:127.0.0.1"])
def test_what_is_no_address_to_listen_on_is_refused(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["serve", "--bind", address])
    assert caught.value.code == 2
    assert "an address to listen on is like 192.0.2.7" in capsys.readouterr().err


@pytest.mark.parametrize(("every", "other"), [("0.0.0.0", "127.0.0.1"), ("::", "::1")])  # noqa: S104 - never opened
def test_addresses_of_which_one_covers_another_are_said_so(every: str, other: str) -> None:
    command = [sys.executable, "-m", "relay", "serve", "--bind", other, "--bind", every, "--port", "0"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=BOUND, check=False)
    assert result.returncode == 2
    assert result.stderr == f"netplay-relay: {every} covers {other} already. Leave one of them out: --bind ADDR\n"


def test_an_address_that_is_named_twice_is_listened_on_once() -> None:
    with serving("--bind", "127.0.0.1") as (process, port):
        hosting(port).close()
        assert "listening on" not in ended(process), "after the first line"


def test_an_address_this_machine_does_not_have_is_said_so() -> None:
    command = [sys.executable, "-m", "relay", "serve", "--bind", "192.0.2.1", "--port", "0"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=BOUND, check=False)
    assert result.returncode == 1
    assert "This machine does not have that address; those it has: ip -brief address" in result.stderr


def test_whoever_reads_only_the_beginning_gets_no_traceback(tmp_path: Path) -> None:
    with serving(RUNTIME_DIRECTORY=str(tmp_path)):
        status = [sys.executable, "-m", "relay", "status", "--json", "--socket", str(tmp_path / "control.sock")]
        process = subprocess.Popen(status, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout
        process.stdout.close()
        assert process.stderr
        assert process.stderr.read() == ""
        assert process.wait(BOUND) == 0
        process.stderr.close()


def test_a_reload_finds_the_relay_before_and_after_its_settings_name_another_socket(tmp_path: Path) -> None:
    runtime, config = tmp_path / "runtime", tmp_path / "relay.toml"
    runtime.mkdir()
    config.write_text("")
    environ = {"RUNTIME_DIRECTORY": str(runtime)}
    reload = [sys.executable, "-m", "relay", "upgrade", "--config", str(config)]
    with serving("--config", str(config), **environ):
        config.write_text(f'[control]\nsocket = "{tmp_path}/other.sock"\n')
        for _ in range(2):
            done = subprocess.run(
                reload, cwd=ROOT, capture_output=True, text=True, timeout=60, env={**os.environ, **environ}, check=False
            )
            assert (done.returncode, done.stdout[:11]) == (0, "now running"), done.stderr
            assert (tmp_path / "other.sock").exists()


def test_the_file_limit_is_raised_to_what_is_allowed() -> None:
    script = f"import subprocess,sys; sys.exit(subprocess.run([sys.executable,'-c',{LIMITED!r}]).returncode)"
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=BOUND, check=False)
    assert result.returncode == 0


LIMITED = """
import resource
from relay.net import sockets
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
sockets.raise_file_limit()
assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == hard
"""
