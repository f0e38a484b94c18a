"""What a relay host's init says of our services: one set of questions for systemd, runit and OpenRC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from toolkit.errors import UserError

NAMES: Final = ("netplay-relay", "netplay-relay-firewall")
"""Our services, under every init."""
WHICH: Final = (
    *("sh", "-c"),
    "if [ -d /run/systemd/system ]; then echo systemd; elif [ -d /run/openrc ]; then echo openrc;"
    " elif [ -d /run/runit ]; then echo runit; fi",
)
"""The command that prints the name of a host's init."""


@dataclass(frozen=True, slots=True)
class Init:
    """An init: the start of the commands that succeed when a service runs, or starts at boot; its log of ours."""

    name: str
    runs: str
    starts: str
    log: str

    def questions(self, service: str) -> tuple[str, str]:
        """Return the commands for a shell on the host that succeed when the service runs, and starts at boot."""
        return self.runs.format(service), self.starts.format(service)


_INITS: Final = {
    init.name: init
    for init in (
        Init(
            "systemd",
            "systemctl is-active --quiet {}.service",
            "systemctl is-enabled --quiet {}.service",
            "journalctl --no-pager --lines=15 --output=short --unit=netplay-relay.service --unit=netplay-relay.socket"
            " --unit=netplay-relay-firewall.service",
        ),
        Init(
            "runit", "sv status {} | grep -q ^run:", "test -L /var/service/{}", "tail -n 15 /var/log/netplay*/current"
        ),
        Init(
            "openrc",
            "rc-service --quiet {} status",
            "test -e /etc/runlevels/default/{}",
            "tail -n 15 /var/log/netplay*",
        ),
    )
}


def of(name: str) -> Init:
    """Return the init of that name, as `WHICH` printed it. Raises UserError for another one."""
    try:
        return _INITS[name.strip()]
    except KeyError:
        raise UserError(f"the host's init is none that is known here ({name.strip() or 'no name'})") from None
