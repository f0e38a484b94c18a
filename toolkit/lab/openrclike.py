"""A stand-in for Alpine and Gentoo: Debian's programs under OpenRC as PID 1. It is neither of them.

What it shows: that our service files run under the real OpenRC and its supervise-daemon. What it cannot: musl, busybox
and apk. Of the services that Debian has for other inits none is started but ssh.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

PACKAGES: Final = (
    *("openrc", "openssh-server", "sudo", "procps", "python3", "python3-apt", "nftables", "iptables", "iproute2"),
    *("iputils-ping", "adduser"),
)
LAYOUT: Final = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
"""Part of the recipe: whatever is changed here makes a new root file system."""
_NET: Final = """\
#!/sbin/openrc-run
description="The lab has set the network up already"
depend() { provide net; }
start() { :; }
"""
_SSHD: Final = """\
#!/sbin/openrc-run
command=/usr/sbin/sshd
pidfile=/run/sshd.pid
start_pre() { checkpath --directory --mode 0755 /run/sshd; }
"""
# Everything a lab host is given is mounted already, and its clock and name are the machine's to set.
_SETTINGS: Final = 'rc_sys="lxc"\nrc_parallel="NO"\nrc_depend_strict="NO"\nrc_logger="NO"\n'


def finish(root: Path) -> None:
    """Turn a Debian root file system with OpenRC into the stand-in."""
    for level in ("sysinit", "boot", "default", "shutdown"):
        folder = root / "etc/runlevels" / level
        folder.mkdir(parents=True, exist_ok=True)
        for link in folder.iterdir():
            link.unlink()
    for name, text in {"lab-net": _NET, "lab-sshd": _SSHD}.items():
        path = root / "etc/init.d" / name
        path.write_text(text)
        path.chmod(0o755)
        (root / "etc/runlevels/default" / name).symlink_to(f"/etc/init.d/{name}")
    (root / "etc/rc.conf").write_text(_SETTINGS)
    init = root / "sbin/init"
    init.unlink(missing_ok=True)
    init.symlink_to("openrc-init")
