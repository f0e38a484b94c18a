"""What the service manager hands over and hears."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from relay.net.listeners import inherited_sockets
from relay.service_manager import notify, status_command


def test_sockets_are_taken_over_and_no_child_hears_of_them() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd = os.dup(listener.fileno())
        environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "netplay", "HOME": "/"}
        (inherited,) = inherited_sockets(environ, first_fd=fd)
        with inherited:
            assert inherited.getsockname() == listener.getsockname()
            assert not inherited.getblocking()
            assert not inherited.get_inheritable()
        assert environ == {"HOME": "/"}


@pytest.mark.parametrize(
    "environ", [{}, {"LISTEN_PID": "1", "LISTEN_FDS": "1"}, {"LISTEN_PID": "x", "LISTEN_FDS": "y"}]
)
def test_sockets_of_others_are_left_alone(environ: dict[str, str]) -> None:
    assert inherited_sockets(environ) == []


def test_readiness_is_told(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(5)
        notify("READY=1", {"NOTIFY_SOCKET": path})
        assert manager.recv(100) == b"READY=1"


def test_an_abstract_address_is_understood() -> None:
    name = f"netplay-relay-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name)
        manager.settimeout(5)
        notify("READY=1", {"NOTIFY_SOCKET": "@" + name})
        assert manager.recv(100) == b"READY=1"


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": "/nonexistent/notify"}])
def test_without_a_manager_nothing_happens(environ: dict[str, str]) -> None:
    notify("READY=1", environ)


@pytest.mark.parametrize(
    ("there", "typed"),
    [
        ("run/systemd/system", "systemctl status netplay-relay"),
        ("run/openrc", "rc-service netplay-relay status"),
        ("run/runit", "sv status netplay-relay"),
        ("etc/runit/runsvdir", "sv status netplay-relay"),
        ("etc", ""),
    ],
)
def test_what_to_type_about_the_service_is_in_its_managers_words(tmp_path: Path, there: str, typed: str) -> None:
    (tmp_path / there).mkdir(parents=True)
    assert status_command(tmp_path) == typed
