"""How a host's init is asked and told things: systemd on Debian, runit and OpenRC on stand-ins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

VOIDLIKE: Final = "voidlike"
"""The name of the root file system that has runit as PID 1."""
OPENRCLIKE: Final = "openrclike"
"""The name of the root file system that has OpenRC as PID 1."""


@dataclass(frozen=True)
class Init:
    """An init: its name, the file that is there when it takes orders, and the commands for its state and a restart.

    The state's first word is "running" when everything has been started.
    """

    name: str
    marker: str
    state: tuple[str, ...]
    reboot: tuple[str, ...]


_SYSTEMD: Final = Init(
    "systemd",
    "run/systemd/private",
    ("systemctl", "is-system-running"),
    ("systemctl", "reboot"),
)
_RUNIT: Final = Init("runit", "run/runit/state", ("cat", "/run/runit/state"), ("runit-init", "6"))

_OPENRC: Final = Init(
    "openrc",
    "run/openrc/softlevel",
    ("sh", "-c", '[ "$(cat /run/openrc/softlevel)" = default ] && [ ! -e /run/openrc/rc.starting ] && echo running'),
    ("openrc-shutdown", "--reboot", "now"),
)


def of(rootfs: str) -> Init:
    """Return the init of a host with that root file system."""
    return {VOIDLIKE: _RUNIT, OPENRCLIKE: _OPENRC}.get(rootfs, _SYSTEMD)
