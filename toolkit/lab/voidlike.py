"""A stand-in for Void Linux: Debian's programs under runit as PID 1, laid out as Void is. It is not Void.

What it shows: that a run script works under the real runit, and which xbps commands would be called. What it cannot:
that xbps takes a package. Debian's names are out of os-release and its package tools off PATH, so that whoever asks
what this is (Ansible does) hears Void.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

PACKAGES: Final = (
    *("runit", "openssh-server", "sudo", "procps", "python3", "nftables", "iptables", "iproute2", "iputils-ping"),
    "adduser",
)
LAYOUT: Final = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
"""Part of the recipe: whatever is changed here makes a new root file system."""
HIDDEN: Final = ("apt", "apt-cache", "apt-config", "apt-get", "apt-key", "apt-mark", "dpkg", "dpkg-query")
_STAGE_1: Final = """\
#!/bin/sh
# One-time tasks. What a lab host is given is already mounted.
PATH=/usr/bin:/usr/sbin:/bin:/sbin
mkdir -p /run/runit /run/sshd /run/lock
install -m 000 /dev/null /run/runit.stopit
install -m 000 /dev/null /run/runit.reboot
hostname -F /etc/hostname
"""
_STAGE_2: Final = """\
#!/bin/sh
PATH=/usr/bin:/usr/sbin:/bin:/sbin
ln -sfn /etc/runit/runsvdir/default /run/runit/runsvdir
echo running >/run/runit/state
exec env -i PATH=$PATH runsvdir -P /run/runit/runsvdir 'log: ........................................'
"""
_STAGE_3: Final = """\
#!/bin/sh
PATH=/usr/bin:/usr/sbin:/bin:/sbin
rm -f /run/runit/state
sv -w 20 force-stop /var/service/* >/dev/null 2>&1
sv exit /var/service/* >/dev/null 2>&1
exit 0
"""
_SSHD: Final = "#!/bin/sh\nexec 2>&1\nexec /usr/sbin/sshd -D\n"
# What becomes runit as PID 1, and tells it to stop (0) or to start over (6) otherwise; Debian has it in a package that
# brings more with it. PID 1 is called runit then: Ansible knows it by that.
_RUNIT_INIT: Final = """\
#!/bin/sh
if [ $$ = 1 ]; then exec /usr/sbin/runit; fi
if [ "$1" = 6 ]; then chmod 100 /run/runit.reboot; fi
chmod 100 /run/runit.stopit
kill -CONT 1
"""
# Void's vlogger hands lines to syslog; here they go where a test can read them.
_VLOGGER: Final = """\
#!/bin/sh
while getopts t:p: option; do case $option in t) tag=$OPTARG ;; *) ;; esac; done
mkdir -p /var/log/vlogger
exec cat >>"/var/log/vlogger/$tag"
"""
_RECORDING: Final = """\
#!/bin/sh
# A stand-in: notes the call, knows no package.
echo "${0##*/} $*" >>/var/log/xbps-calls
case ${0##*/} in xbps-query) exit 2 ;; *) exit 0 ;; esac
"""
_OS_RELEASE: Final = 'NAME="Void"\nID="void"\nPRETTY_NAME="Void Linux (voidlike)"\nDISTRIB_ID="void"\n'


def finish(root: Path) -> None:
    """Turn a Debian root file system with runit into the stand-in."""
    programs = {
        "etc/runit/1": _STAGE_1,
        "etc/runit/2": _STAGE_2,
        "etc/runit/3": _STAGE_3,
        "etc/sv/sshd/run": _SSHD,
        "usr/bin/runit-init": _RUNIT_INIT,
        "usr/bin/vlogger": _VLOGGER,
        **{f"usr/bin/xbps-{name}": _RECORDING for name in ("install", "query", "remove", "reconfigure")},
    }
    for name, text in programs.items():
        _write(root / name, text, 0o755)
    _link(root / "sbin/init", "/usr/bin/runit-init")
    default = root / "etc/runit/runsvdir/default"
    default.mkdir(parents=True, exist_ok=True)
    for link in default.iterdir():
        link.unlink()
    _link(default / "sshd", "/etc/sv/sshd")
    _link(root / "etc/sv/sshd/supervise", "/run/runit/supervise.sshd")
    _link(root / "var/service", "/run/runit/runsvdir")
    _link(root / "etc/service", "/var/service")
    _hide_debian(root)


def _hide_debian(root: Path) -> None:
    for name in ("etc/os-release", "usr/lib/os-release"):
        (root / name).unlink(missing_ok=True)
        _write(root / name, _OS_RELEASE, 0o644)
    for name in ("etc/debian_version", "etc/lsb-release", "etc/dpkg/origins/default"):
        (root / name).unlink(missing_ok=True)
    aside = root / "usr/libexec/voidlike"
    aside.mkdir(parents=True)
    for name in HIDDEN:
        if (root / "usr/bin" / name).exists():
            (root / "usr/bin" / name).rename(aside / name)
    # Void's Python looks for its packages where Debian's does not.
    for library in sorted((root / "usr/local/lib").glob("python3.*")):
        _write(library / "dist-packages" / "void.pth", f"/usr/lib/{library.name}/site-packages\n", 0o644)


def _write(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


def _link(path: Path, target: str) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)
