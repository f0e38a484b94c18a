"""Programs of ours that lost their supervisor, from a /proc that the test makes and from a real one."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.templates import plugin

if TYPE_CHECKING:
    from pathlib import Path

ORPHANS = plugin("module_utils/netplay_orphans.py")
OPENRC = plugin("module_utils/netplay_openrc.py")
RELAY = "/usr/bin/python3 -I /opt/netplay-relay/current/netplay-relay.pyz serve --config /etc/netplay-relay/relay.toml"
PACKAGED = "/usr/bin/python3 /usr/bin/netplay-relay serve --config /etc/netplay-relay/relay.toml"
AGENT = "/usr/bin/python3 -I /opt/netplay-relay/current/netplay-relay.pyz gate --config-dir /etc/netplay-relay agent"
ME = os.geteuid()


def a_process(proc: Path, pid: int, line: str, parent: int = 1, namespace: str = "pid:[1]") -> None:
    (proc / "self" / "ns").mkdir(parents=True, exist_ok=True)
    if not (proc / "self" / "ns" / "pid").is_symlink():
        (proc / "self" / "ns" / "pid").symlink_to("pid:[1]")
    folder = proc / str(pid)
    (folder / "ns").mkdir(parents=True)
    (folder / "ns" / "pid").symlink_to(namespace)
    (folder / "cmdline").write_text(line.replace(" ", "\0") + "\0")
    (folder / "stat").write_text(f"{pid} (py) thon3) S {parent} 1 1 0\n")


@pytest.mark.parametrize(("line", "kind"), [(RELAY, "relay"), (PACKAGED, "relay")])
def test_a_relay_without_a_supervisor_is_ours(tmp_path: Path, line: str, kind: str) -> None:
    a_process(tmp_path, 300, line)
    assert ORPHANS.find(tmp_path, [ME]) == [(300, kind)]


@pytest.mark.skipif(ME != 0, reason="what keeps the rules is root's")
def test_so_is_what_keeps_the_rules(tmp_path: Path) -> None:
    a_process(tmp_path, 300, AGENT)
    assert ORPHANS.find(tmp_path, []) == [(300, "agent")]


@pytest.mark.parametrize(
    ("line", "parent", "namespace", "accounts"),
    [
        (RELAY, 299, "pid:[1]", [ME]),  # its supervisor is there
        (RELAY, 1, "pid:[2]", [ME]),  # a container's
        (RELAY, 1, "pid:[1]", [ME + 1]),  # somebody else's, started by hand
        (RELAY, 1, "pid:[1]", []),  # the account is gone
        ("/usr/bin/python3 -m http.server serve", 1, "pid:[1]", [ME]),
        ("/usr/bin/vim /etc/x a b /opt/netplay-relay/current/netplay-relay.pyz serve", 1, "pid:[1]", [ME]),
        (RELAY.replace("serve", "status"), 1, "pid:[1]", [ME]),
        (RELAY.replace("netplay-relay.pyz", "other.pyz"), 1, "pid:[1]", [ME]),
    ],
)
def test_what_is_looked_after_or_another_ones_is_not(
    tmp_path: Path, line: str, parent: int, namespace: str, accounts: list[int]
) -> None:
    a_process(tmp_path, 300, line, parent, namespace)
    assert ORPHANS.find(tmp_path, accounts) == []


def test_a_process_that_ends_while_it_is_looked_at_is_not(tmp_path: Path) -> None:
    a_process(tmp_path, 300, RELAY)
    (tmp_path / "300" / "cmdline").unlink()
    (tmp_path / "301").mkdir()
    assert ORPHANS.find(tmp_path, [ME]) == []


def test_a_real_process_is_read() -> None:
    script = "import sys; print(flush=True); sys.stdin.read()"
    argv = [sys.executable, "-c", script, "/opt/x/netplay-relay.pyz", "serve"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert ORPHANS.kind(child.pid, accounts=[ME]) == "relay"
        assert not ORPHANS.is_orphan(child.pid)


@pytest.mark.parametrize(
    ("comm", "started", "is_it"),
    [("supervise-daemo", True, False), (None, True, True), ("bash", True, True), (None, False, False)],
)
def test_openrc_has_to_be_told_of_a_supervisor_that_is_gone(
    tmp_path: Path, comm: str | None, started: bool, is_it: bool
) -> None:
    run, proc = tmp_path / "run", tmp_path / "proc"
    (run / "openrc" / "started").mkdir(parents=True)
    (run / "netplay-relay.pid").write_text("77\n")
    (run / "netplay-relay-firewall.pid").write_text("\n")
    if started:
        (run / "openrc" / "started" / "netplay-relay").symlink_to("/etc/init.d/netplay-relay")
    if comm:
        (proc / "77").mkdir(parents=True)
        (proc / "77" / "comm").write_text(comm + "\n")
    assert OPENRC.crashed(run, proc) == (["netplay-relay"] if is_it else [])
