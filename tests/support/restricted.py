"""A lab host whose kernel allows less: what a sysctl, a hardened kernel or a container's host takes away.

A stand-in for user.max_user_namespaces=0 and its like, which would be this machine's as well, and for a container
without nesting: before the host's init starts, a seccomp filter is put on it that has the system calls in question fail
with the errors that the kernel has for them. Everything on the host inherits it, but not what enters from outside.
"""

from __future__ import annotations

import errno
import subprocess
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolkit.lab import Lab

FLAGS: Final = {
    "mnt": 0x00020000,
    "uts": 0x04000000,
    "ipc": 0x08000000,
    "user": 0x10000000,
    "net": 0x40000000,
}
"""What unshare(2) and clone(2) are asked for, by the name that the sysctl user.max_NAME_namespaces has."""
# What stands in front of the host's own init; RULES is put before it.
_INIT = r"""
import ctypes, os, platform, struct
NUMBERS = {"x86_64": (272, 56, 435, 165, 250), "aarch64": (97, 220, 435, 40, 219)}
UNSHARE, CLONE, CLONE3, MOUNT, KEYCTL = NUMBERS[platform.machine()]
LOAD, EQUAL, ANY, RETURN = 0x20, 0x15, 0x45, 0x06
ALLOW, FAIL, ENOSYS = 0x7FFF0000, 0x00050000, 38
def rule(number, flags, error, place=0, compare=ANY):
    # The number of the call, then (where flags count) the lower half of one of its arguments.
    test = [(LOAD, 0, 0, 16 + 8 * place), (compare, 0, 1, flags)] if flags else []
    return [(LOAD, 0, 0, 0), (EQUAL, 0, len(test) + 1, number), *test, (RETURN, 0, 0, FAIL | error)]
program = []
for name, flags, error in RULES:
    if name == "unshare":
        program += rule(UNSHARE, flags, error) + rule(CLONE, flags, error) + rule(CLONE3, 0, ENOSYS)
    elif name == "mount":
        program += rule(MOUNT, flags, error, 3, EQUAL)
    else:
        program += rule(KEYCTL, 0, error)
program.append((RETURN, 0, 0, ALLOW))
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]
text = b"".join(struct.pack("=HBBI", *each) for each in program)
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(22, 2, ctypes.byref(Program(len(program), text)), 0, 0):
    os.write(2, b"no filter: errno %d\n" % ctypes.get_errno())
os.execv("/lib/systemd/systemd", ["/sbin/init"])
"""


def without(*namespaces: str, error: int = errno.ENOSPC) -> list[tuple[str, int, int]]:
    """Return the rules for a kernel that makes no namespaces of these kinds."""
    return [("unshare", FLAGS[name], error) for name in namespaces]


UNNESTED: Final = [("mount", 0x84000, errno.EACCES)]
"""The rules for an unprivileged container whose host allows no nesting: AppArmor lets nobody in it mount anything.
Here it is the first thing that a sandbox does, MS_REC | MS_SLAVE: without the rest this host's init would not boot."""
NO_KEYRINGS: Final = [("keyctl", 0, errno.EPERM)]
"""The rules for a container whose own filter knows nothing of keyrings."""


def restrict(lab: Lab, node: str, rules: list[tuple[str, int, int]], files: Mapping[str, str] | None = None) -> None:
    """Boot a host anew with a kernel that allows less; files: path -> text, put there before."""
    init = f"#!/usr/bin/python3 -I\nRULES = {rules!r}\n{_INIT}"
    script = "cat >/sbin/init.new && chmod 755 /sbin/init.new && mv /sbin/init.new /sbin/init"
    subprocess.run(lab.inside(node, ["sh", "-ec", script]), input=init, text=True, check=True, timeout=60)
    for path, text in (files or {}).items():
        subprocess.run(lab.inside(node, ["tee", path]), input=text, text=True, check=True, timeout=60, stdout=-3)
    lab.reboot(node, power_cut=True)


def unrestrict(lab: Lab, node: str) -> None:
    """Boot a host anew as it was before."""
    subprocess.run(lab.inside(node, ["ln", "-sf", "/lib/systemd/systemd", "/sbin/init"]), check=True, timeout=60)
    lab.reboot(node, power_cut=True)
