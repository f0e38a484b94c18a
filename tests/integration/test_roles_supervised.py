"""The playbook against runit and OpenRC (stand-ins for Void and Alpine): games go on, lost relays are replaced."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import every_setting
from tests.support.gate_lab import HOST
from tests.support.labs import a_lab
from tests.support.role_host import PORT, RoleHost
from tests.support.waiting import wait_for
from toolkit.lab import NodeSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

KINDS = {"voidlike": "runsv", "openrclike": "supervise-daemon"}
IN, OUT = [True, True], [False, False]
SOON = 60.0
# The process that serves, and its parent.
SERVING = "ps -eo pid=,ppid=,args= | awk '/^ *[0-9]+ +[0-9]+ [^ ]*python3 .*netplay-relay.pyz serve/ {print $1, $2}'"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    hosts = [NodeSpec(f"{kind}-host", "host", kind) for kind in KINDS]
    with a_lab(*hosts, NodeSpec("friend", "client"), NodeSpec("stranger", "client")) as made:
        yield made


def serving(host: RoleHost) -> list[tuple[int, int]]:
    """Return each process that serves with its parent."""
    found = [line.split() for line in host.run("sh", "-c", SERVING).splitlines()]
    return [(int(pid), int(parent)) for pid, parent in found]


@pytest.mark.parametrize("kind", KINDS)
def test_no_game_ends_by_a_deployment_and_a_relay_that_lost_its_supervisor_is_replaced(
    lab: Lab, kind: str, tmp_path: Path
) -> None:
    host = RoleHost.of(lab, tmp_path, f"{kind}-host")
    usual = {"timeouts.ping": "1", "gate.allowlist": '"/etc/netplay-relay/others"'}
    left = {*every_setting.PORTS_AND_BINDINGS, *usual}
    changed = [name for name in every_setting.names() if name not in left]
    settings = every_setting.settings(changed, Path("/run/netplay-relay"), usual)
    other = {"settings": settings, "relay_drain_seconds": 61, "relay_open_files": 4000, "relay_release_id": "another"}
    first = host.play()
    assert first.status == 0, first.said + first.errors
    ((process, supervisor),) = serving(host)
    argv = [sys.executable, "-I", "-c", HOST, lab.node(host.node).ipv4, str(PORT)]
    with subprocess.Popen(lab.command("friend", argv), stdout=subprocess.PIPE, text=True) as game:
        assert game.stdout is not None
        assert game.stdout.readline().endswith(" RATS\n")
        run = host.play(**other)
        assert run.status == 0, run.said + run.errors
        assert "counts from its next start on" in run.said
        assert serving(host) == [(process, supervisor)]
        now = time.monotonic()
        assert any(float(line.split()[0]) > now for line in game.stdout), "the game ended"
        game.kill()

    assert KINDS[kind].startswith(host.run("cat", f"/proc/{supervisor}/comm").strip())
    host.run("kill", "-KILL", str(supervisor))
    wait_for(lambda: (process, 1) in serving(host), SOON, "the relay to be without a supervisor")
    mended = host.play(**other)
    assert mended.status == 0, mended.said + mended.errors
    assert "Stop processes without a supervisor once their games are over" in mended.changed
    ((after, parent),) = serving(host)
    assert process != after
    assert parent != 1
    assert (host.reaches("friend"), host.reaches("stranger")) == (IN, OUT)
