"""Who holds a port, from a /proc that the test makes and from the real one."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.support.templates import plugin

PORTS = plugin("module_utils/netplay_ports.py")
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
LISTENS = (
    "   0: {local}:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 {inode} 1\n"
)
SHOWN = """\
Id=netplay-relay.socket
Listen=0.0.0.0:55435 (Stream)
Listen=[::]:55435 (Stream)

Id=ssh.socket
Listen=[::]:22 (Stream)
"""


def a_proc(folder: Path, **tables: str) -> Path:
    (folder / "net").mkdir()
    for name, lines in tables.items():
        (folder / "net" / name).write_text(HEAD + lines)
    return folder


def a_process(proc: Path, pid: int, name: str, inode: str, group: str) -> None:
    folder = proc / str(pid)
    (folder / "fd").mkdir(parents=True)
    (folder / "fd" / "3").symlink_to(f"socket:[{inode}]")
    (folder / "comm").write_text(name + "\n")
    (folder / "cgroup").write_text(f"0::{group}\n")


def line(port: int, inode: str, state: str = "0A") -> str:
    return LISTENS.format(local="00000000", port=port, state=state, inode=inode)


def test_a_port_that_nobody_holds_is_not_named(tmp_path: Path) -> None:
    proc = a_proc(tmp_path, tcp=line(22, "7"), udp="")
    assert PORTS.survey([55435], lambda _: "", proc) == []


def test_the_program_and_its_service_are_named(tmp_path: Path) -> None:
    proc = a_proc(tmp_path, tcp=line(55435, "7"))
    a_process(proc, 812, "nginx", "7", "/system.slice/nginx.service")
    (held,) = PORTS.survey([55435], lambda _: "", proc)
    assert (held["port"], held["protocol"], held["ours"]) == (55435, "tcp", False)
    assert held["holder"] == "nginx (process 812, nginx.service)"


def test_of_a_port_for_datagrams_tcp_is_another_programs_own_business(tmp_path: Path) -> None:
    datagram = line(55435, "8", state="07")
    proc = a_proc(tmp_path, tcp=line(55435, "7"), udp=datagram)
    a_process(proc, 812, "netplay-mitm", "7", "/system.slice/mitm.service")
    a_process(proc, 813, "somebody", "8", "/system.slice/somebody.service")
    (held,) = PORTS.survey([55440], lambda _: "", proc, datagrams=[55435])
    assert (held["port"], held["protocol"], held["holder"]) == (
        55435,
        "udp",
        "somebody (process 813, somebody.service)",
    )


def test_a_connection_that_happens_to_use_the_port_does_not_count(tmp_path: Path) -> None:
    assert PORTS.survey([55435], lambda _: "", a_proc(tmp_path, tcp=line(55435, "7", state="01"))) == []


def test_udp_counts_too(tmp_path: Path) -> None:
    (held,) = PORTS.survey([55435], lambda _: "", a_proc(tmp_path, udp=line(55435, "7", state="07")))
    assert held["protocol"] == "udp"


def test_a_listener_without_a_process_is_no_free_port(tmp_path: Path) -> None:
    (held,) = PORTS.survey([55435], lambda _: "", a_proc(tmp_path, tcp6=line(55435, "7")))
    assert held["ours"] is False
    assert "without a process" in str(held["holder"])


def test_our_socket_and_our_service_are_ours(tmp_path: Path) -> None:
    proc = a_proc(tmp_path, tcp=line(55435, "7"), tcp6=line(55435, "8"))
    a_process(proc, 1, "systemd", "7", "/init.scope")
    (proc / "1" / "fd" / "4").symlink_to("socket:[8]")
    a_process(proc, 90, "python3", "7", "/system.slice/netplay-relay.service")
    (held,) = PORTS.survey([55435], lambda _: SHOWN, proc)
    assert held["ours"] is True


def test_another_socket_that_systemd_holds_is_not_ours(tmp_path: Path) -> None:
    proc = a_proc(tmp_path, tcp6=line(22, "8"))
    a_process(proc, 1, "systemd", "8", "/init.scope")
    (held,) = PORTS.survey([22], lambda _: SHOWN, proc)
    assert (held["ours"], held["holder"]) == (False, "systemd (process 1, ssh.socket)")


def test_a_foreign_listener_beside_our_own_is_the_one_named(tmp_path: Path) -> None:
    proc = a_proc(tmp_path, tcp=line(55435, "7"), tcp6=line(55435, "8"))
    a_process(proc, 90, "python3", "7", "/system.slice/netplay-relay.service")
    a_process(proc, 91, "socat", "8", "/user.slice/user-0.slice/session-2.scope")
    (held,) = PORTS.survey([55435], lambda _: SHOWN, proc)
    assert (held["ours"], held["holder"]) == (False, "socat (process 91, session-2.scope)")


def test_a_real_listener_is_found_with_its_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (held,) = PORTS.survey([port], lambda _: "")
    assert held["ours"] is False
    assert f"process {os.getpid()}" in str(held["holder"])
    assert PORTS.survey([port], lambda _: "") == []


EVERYWHERE = "tcp 0.0.0.0 55435"
EVERYWHERE_6 = "tcp :: 55435"


def addressed(local: str, port: int, inode: str, state: str = "0A") -> str:
    return LISTENS.format(local=local, port=port, state=state, inode=inode)


def test_where_a_socket_unit_listens_is_what_systemd_has_read() -> None:
    shown = SHOWN + "Listen=192.0.2.1:55440 (Stream)\nListen=0.0.0.0:55435 (Datagram)\nListen=/run/x.sock (Stream)\n"
    assert PORTS.listens(shown) == {
        EVERYWHERE,
        EVERYWHERE_6,
        "tcp :: 22",
        "tcp 192.0.2.1 55440",
        "udp 0.0.0.0 55435",
    }


@pytest.mark.parametrize(
    ("wanted", "wrong"),
    [
        ([EVERYWHERE, EVERYWHERE_6], []),
        ([EVERYWHERE], [EVERYWHERE_6]),
        ([EVERYWHERE, EVERYWHERE_6, "tcp 0.0.0.0 55440"], ["tcp 0.0.0.0 55440"]),
        (["tcp 192.0.2.1 55435", EVERYWHERE_6], [EVERYWHERE, "tcp 192.0.2.1 55435"]),
        # UDP that is wanted no more the relay closes by itself; what is missing it cannot open.
        ([EVERYWHERE, EVERYWHERE_6, "udp 0.0.0.0 55435"], []),
        ([EVERYWHERE, EVERYWHERE_6, "udp 0.0.0.0 55436"], ["udp 0.0.0.0 55436"]),
    ],
)
def test_what_the_relay_listens_on_is_compared_with_what_is_wanted(
    tmp_path: Path, wanted: list[str], wrong: list[str]
) -> None:
    tables = {
        "tcp": addressed("00000000", 55435, "7") + addressed("0100007F", 631, "99"),
        "tcp6": addressed("0" * 32, 55435, "8"),
        "udp": addressed("00000000", 55435, "9", state="07"),
    }
    proc = a_proc(tmp_path, **tables)
    a_process(proc, 90, "python3", "7", "/system.slice/netplay-relay.service")
    for number, inode in ((4, "8"), (5, "9")):
        (proc / "90" / "fd" / str(number)).symlink_to(f"socket:[{inode}]")
    assert PORTS.misplaced(wanted, 90, proc) == wrong


def test_while_the_relay_does_not_run_systemd_has_its_sockets_and_others(tmp_path: Path) -> None:
    proc = a_proc(tmp_path, tcp=addressed("00000000", 55435, "7") + addressed("00000000", 22, "8"))
    a_process(proc, 1, "systemd", "7", "/init.scope")
    (proc / "1" / "fd" / "4").symlink_to("socket:[8]")
    assert PORTS.misplaced([EVERYWHERE], 0, proc) == []
    assert PORTS.misplaced([EVERYWHERE, EVERYWHERE_6], 0, proc) == [EVERYWHERE_6]


def test_sockets_that_cannot_be_seen_are_none_that_are_wrong(tmp_path: Path) -> None:
    """A process that has just ended, or whose descriptors even root may not list."""
    assert PORTS.misplaced([EVERYWHERE], 4242, a_proc(tmp_path)) == []


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_the_address_of_a_real_listener_is_read(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as server:
        server.bind((address, 0))
        server.listen()
        place = f"tcp {address} {server.getsockname()[1]}"
        assert place in PORTS.held_by(os.getpid())
