"""Everything the findings look at, gathered once."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from relay.addresses import canonical
from toolkit.hosts import hints

if TYPE_CHECKING:
    from toolkit.doctor.carry import Carried
    from toolkit.doctor.igd import Router
    from toolkit.doctor.probe import Latency, Reach, Talk
    from toolkit.doctor.target import Target
    from toolkit.errors import UserError
    from toolkit.hosts.inventory import HostFiles
    from toolkit.hosts.remote import Remote


@dataclass
class Case:
    """A relay seen from here, and its host from inside.

    addresses: of the relay's name (None: it has none, see unknown). local: this machine's own address towards the
    relay. talk, carried, latency: with the first address that was reached. router: of this network, where it was asked.
    host: what onhost.py answered (None for a player, or see no_login); asked: when, by this machine's clock, it was
    sent and answered, in seconds since 1970. remote: how it was asked. files: the owner's; release: the id of this
    checkout's relay.
    """

    target: Target
    addresses: list[str] | None = None
    unknown: str = ""
    reached: list[Reach] = field(default_factory=list)
    local: str | None = None
    talk: Talk | None = None
    carried: Carried | None = None
    latency: Latency | None = None
    router: Router | None = None
    host: dict[str, Any] | None = None
    no_login: UserError | None = None
    asked: tuple[float, float] = (0.0, 0.0)
    remote: Remote | None = None
    files: HostFiles | None = None
    release: str = ""

    @property
    def open(self) -> list[Reach]:
        """The addresses that were reached."""
        return [one for one in self.reached if one.seconds is not None]

    @property
    def shut(self) -> list[Reach]:
        """The addresses that were not."""
        return [one for one in self.reached if one.seconds is None]

    def told(self, question: str) -> Any:
        """Return what the host answered to a question of onhost.py; None where it did not."""
        return self.host.get(question) if self.host else None

    def why_not(self, question: str) -> str:
        """Return why the host did not answer a question."""
        return str((self.host or {}).get("problems", {}).get(question, ""))

    def there(self, command: str) -> str:
        """Return what the owner types to run a command line on the host, quoted for both shells."""
        return hints.there(self.ssh, command)

    def service(self, verb: str, name: str) -> str:
        """Return what the owner types to start or restart one of our services; name without ".service"."""
        return f"{self.ssh} {self.managed(verb, name)}"

    def managed(self, verb: str, name: str) -> str:
        """Return what is typed on the host to have its service manager do something with one of our services."""
        return hints.managed(self.init, verb, name)

    @property
    def init(self) -> str:
        """The host's service manager: "systemd", "runit", "openrc" or "unknown"; "" where it did not say."""
        return str((self.told("system") or {}).get("init") or "")

    def log(self, name: str = "netplay-relay", lines: int = 100) -> str:
        """Return what the owner types to read the log of one of our services."""
        return f"{self.ssh} {hints.log(self.init, (self.told('release') or {}).get('installed'), name, lines)}"

    @property
    def ssh(self) -> str:
        """How the owner types what is for the host: as the account that deploys, by sudo where that is not root."""
        if self.remote is None:
            return f"ssh {self.target.place.host.alias if self.target.place else 'HOST'}"
        remote = self.remote
        return hints.sudo_ssh(remote.link.typed, become=remote.become, asks=bool(remote.password))

    @property
    def mine(self) -> str:
        """This machine's address as the relay or its host sees it; "" when neither said."""
        if self.talk and self.talk.seen:
            return self.talk.seen
        return self.came_from

    @property
    def came_from(self) -> str:
        """The address that this machine's login came from; "" where it went through another host."""
        came_from = str((self.host or {}).get("came_from") or "").partition("%")[0]
        return "" if self.target.jumps else came_from

    @property
    def listed(self) -> bool | None:
        """Whether the gate lets this machine in; None when nobody said."""
        if self.talk and self.talk.kind in ("relay", "denied"):
            return self.talk.kind == "relay"
        return self.lets_in(self.mine)

    def lets_in(self, mine: str) -> bool | None:
        """Whether an address is on the gate's list; None when nobody said, or it is none."""
        gate = self.told("gate")
        if not gate or not mine:
            return None
        try:
            address = canonical(mine)
            return any(address in ipaddress.ip_network(entry["network"]) for entry in gate["entries"])
        except ValueError:
            return None
