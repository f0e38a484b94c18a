"""Hosts that cannot have a relay as they are: each is refused before anything is changed, with what is to be done."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
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


# Stands in for a kernel without a feature: it refuses a script that names it. All else is done by the real nft.
NFT = r"""#!/usr/bin/python3
import subprocess, sys
text = sys.stdin.read() if "-f" in sys.argv else ""
for number, line in enumerate(text.splitlines(), 1):
    if WORD in line:
        sys.exit("/dev/stdin:%d:1-9: Error: Could not process rule: No such file or directory" % number)
sys.exit(subprocess.run(["/usr/sbin/nft", *sys.argv[1:]], input=text, text=True).returncode)
"""


@contextmanager
def a_kernel_without(host: RoleHost, word: str) -> Iterator[None]:
    script = NFT.replace("WORD", repr(word))
    host.run("python3", "-c", "import sys; open(sys.argv[1], 'w').write(sys.argv[2])", "/usr/local/sbin/nft", script)
    host.run("chmod", "755", "/usr/local/sbin/nft")
    try:
        yield
    finally:
        host.run("rm", "/usr/local/sbin/nft")


def test_a_kernel_that_refuses_a_rule_that_is_needed_is_refused_with_the_rule_and_the_cure(host: RoleHost) -> None:
    before = nothing(host.snapshot())
    with a_kernel_without(host, "ct state"):
        refused = host.play()
    assert (refused.status != 0, refused.changed) == (True, [])
    assert nothing(host.snapshot()) == before
    assert "(the line: ct state established,related" in refused.errors
    assert "modprobe -a nft_ct nf_conntrack" in refused.errors


def test_what_the_packet_filter_lacks_and_can_spare_is_said_before_anything_is_changed(host: RoleHost) -> None:
    with a_kernel_without(host, "log prefix"):
        run = host.play("--check")
    assert run.status == 0, run.said + run.errors
    assert f"note: {host.alias}: nftables on this host lacks `log` (kernel modules nft_log" in run.said


def test_a_host_without_a_packet_filter_and_with_a_read_only_usr_is_refused(host: RoleHost) -> None:
    away = "mkdir /root/away; mv /usr/sbin/nft /usr/sbin/ip*tables* /root/away; " + READ_ONLY.format("/usr")
    host.run("sh", "-ec", away)
    try:
        refused = host.play()
    finally:
        host.run("sh", "-ec", "umount --lazy /usr; mv /root/away/* /usr/sbin; rmdir /root/away")
    assert (refused.status != 0, refused.changed) == (True, [])
    assert "/usr is read-only there, so none can be installed" in refused.errors


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
    # A file over that of the kernel: its own counts for this machine, too.
    zero = "/proc/sys/user/max_user_namespaces"
    host.run("sh", "-ec", f"echo 0 >/run/zero; mount --bind /run/zero {zero}; mount -o remount,hidepid=2 /proc")
    run = host.play()
    host.run("umount", zero)
    assert run.status == 0, run.said + run.errors
    assert "To have it, type there: sysctl -w user.max_user_namespaces=10000" in run.said
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
