"""Hosts that cannot have a relay as they are: each is refused before anything is changed, with what is to be done."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import restricted
from tests.support.labs import a_lab
from tests.support.role_host import RoleHost
from toolkit.lab import NodeSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

IN, OUT = [True, True], [False, False]
SMALL = "mount -t tmpfs -o size=64k none {0}"
FULL_TEMPORARY = """
mount -t tmpfs -o size=64k none /tmp
mount --bind /var/tmp /var/tmp; mount -o remount,bind,ro /var/tmp
"""
READ_ONLY = "mount --bind {0} {0}; mount -o remount,bind,ro {0}"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoleHost]:
    nodes = (NodeSpec("relay", "host"), NodeSpec("friend", "client"), NodeSpec("stranger", "client"))
    with a_lab(*nodes) as lab:
        yield RoleHost.of(lab, tmp_path_factory.mktemp("preflight"))


def nothing(snapshot: dict[str, Any]) -> dict[str, Any]:
    """Return what a deployment could leave; what a boot leaves is another matter."""
    return {path: content for path, content in snapshot.items() if "netplay" in path}


@pytest.mark.parametrize(
    ("done", "undone", "said"),
    [
        (SMALL.format("/opt"), "umount /opt", "/opt/netplay-relay/releases: no space left on device (8192 KiB"),
        (SMALL.format("/var/lib"), "umount /var/lib", "/var/lib/netplay-relay: no space left on device (256 KiB"),
        (READ_ONLY.format("/etc"), "umount /etc", "/etc/netplay-relay: read-only file system"),
        (FULL_TEMPORARY, "umount /tmp /var/tmp", "tmp: no space left on device (4096 KiB are needed, 64 free)"),
        (
            "mv /usr/lib/python3.11/asyncio /usr/lib/python3.11/asyncio.away",
            "mv /usr/lib/python3.11/asyncio.away /usr/lib/python3.11/asyncio",
            "is not whole: it has no asyncio. Type there: apt-get install python3",
        ),
    ],
)
def test_what_is_missing_or_full_is_named_before_anything_is_changed(
    host: RoleHost, done: str, undone: str, said: str
) -> None:
    host.run("sh", "-ec", done)
    try:
        before = nothing(host.snapshot())
        refused = host.play()
        assert nothing(host.snapshot()) == before
    finally:
        host.run("sh", "-ec", undone)
    assert (refused.status != 0, refused.changed) == (True, [])
    assert said in refused.errors, refused.said + refused.errors
    assert "Traceback" not in refused.errors


def test_a_container_in_which_nobody_may_mount_is_refused_with_what_allows_it(host: RoleHost) -> None:
    restricted.restrict(host.lab, "relay", restricted.UNNESTED)
    refused = host.play()
    assert (refused.status != 0, refused.changed) == (True, [])
    assert "NAMESPACE" in refused.errors
    assert "pct set ID --features nesting=1" in refused.errors
    assert "trial" not in host.run("systemctl", "--failed", "--no-legend")


def test_a_kernel_without_namespaces_for_others_runs_a_relay_without_them(host: RoleHost) -> None:
    """As user.max_user_namespaces=0 and its like have it; what can be had of the sandbox stays."""
    restricted.restrict(host.lab, "relay", restricted.without("user", "net", "ipc", "uts"))
    run = host.play()
    assert run.status == 0, run.said + run.errors
    assert "user namespaces (PrivateUsers=), network namespaces (PrivateNetwork=)" in run.said
    shown = host.run("systemctl", "show", "--property=PrivateUsers,PrivateNetwork,PrivateIPC,ProtectSystem,ProtectProc",
                     "netplay-relay.service").split()  # fmt: skip
    assert sorted(shown) == [
        "PrivateIPC=no", "PrivateNetwork=no", "PrivateUsers=no", "ProtectProc=invisible", "ProtectSystem=strict",
    ]  # fmt: skip
    assert (host.reaches("friend"), host.reaches("stranger")) == (IN, OUT)
    judged = subprocess.run(
        host.lab.inside("relay", ["systemd-analyze", "security", "--threshold=20", "netplay-relay.service"]),
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert judged.returncode == 0, judged.stdout
