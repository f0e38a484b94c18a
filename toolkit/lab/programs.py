"""Running the system's programs: argument lists, bounded waits, and a sentence when one fails or is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from toolkit.errors import HOST_UNUSABLE, UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ENTER: Final = Path(__file__).with_name("enter.sh")
"""The script that becomes a host; see its head."""
# Kernel modules, the clock, raw devices, the kernel's log and security policy belong to the machine. Without CAP_MKNOD
# nothing in the lab can open the machine's disks.
DROPPED: Final = ",".join(
    f"-{capability}"
    for capability in (
        *("sys_module", "sys_rawio", "sys_time", "wake_alarm", "block_suspend", "syslog"),
        *("mac_admin", "mac_override", "sys_pacct", "audit_control", "mknod"),
    )
)
"""The capabilities that no lab host has, as setpriv takes them."""
PACKAGES: Final = {
    "ip": "iproute2",
    "mmdebstrap": "mmdebstrap",
    "mount": "mount",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "setsid": "util-linux",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "sysctl": "procps",
    "umount": "mount",
    "unshare": "util-linux",
}
"""The programs the lab runs, and the Debian packages they come from."""
BUILD_ONLY: Final = {"mmdebstrap"}
_BOUND: Final = 30.0  # seconds; no program here takes one, so this is for a machine on its knees


def search_path() -> str:
    """Return PATH with the administrator's directories, which `su` and many accounts leave out."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def run(argv: Sequence[str], *, check: bool = True, stdin: str = "", timeout: float = _BOUND) -> str:
    """Run a program and return its standard output.

    Raises UserError with what the program said when it fails (unless `check` is False) or takes longer than
    `timeout` seconds.
    """
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env={**os.environ, "PATH": search_path(), "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            f"{argv[0]} did not finish within {timeout:.0f} s: {' '.join(argv)}",
            fix="Run the same command again; if it stays so, take the lab down first: invoke lab.down",
            exit_code=HOST_UNUSABLE,
        ) from None
    if check and done.returncode:
        raise UserError(
            f"{argv[0]} failed ({done.returncode}): {done.stderr.strip() or done.stdout.strip() or 'it said nothing'}",
            fix=f"It was run as: {' '.join(argv)}",
            exit_code=HOST_UNUSABLE,
        )
    return done.stdout


def require(programs: Iterable[str]) -> None:
    """Raise UserError, with the one command that installs them, when any of the programs is missing."""
    path = search_path()
    missing = [program for program in programs if shutil.which(program, path=path) is None]
    if missing:
        packages = sorted({PACKAGES[program] for program in missing})
        sudo = "" if os.geteuid() == 0 else "sudo "
        raise UserError(
            f"the lab needs programs that this machine does not have: {', '.join(sorted(missing))}",
            fix=f"{sudo}apt-get install --yes --no-install-recommends {' '.join(packages)}",
            exit_code=HOST_UNUSABLE,
        )
