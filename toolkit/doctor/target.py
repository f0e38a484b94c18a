"""Which relay the doctor looks at: a host of the owner's, or ADDRESS|PORT as a player has it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relay import config
from relay.protocol.tunnel import DEFAULT_PORT
from relay.tomlfile import ConfigError
from toolkit import pasted
from toolkit.errors import UserError
from toolkit.friends import parse as friends
from toolkit.hosts import inventory
from toolkit.hosts.names import parse_host
from toolkit.join import instructions
from toolkit.ssh import connection

if TYPE_CHECKING:
    from toolkit.hosts.target import DeployTarget
    from toolkit.ssh.connection import Connection

_TYPED = re.compile(r"(?P<address>[^|]+)(?:\|(?P<port>[^|]*))?(?:\|[^|]*)?")


@dataclass(frozen=True, slots=True)
class Target:
    """A relay: the name or address that players use, its ports, and its host if it is the owner who asks.

    jumps: ssh goes through another host, so players may know this one by another address.
    """

    address: str
    ports: tuple[int, ...]
    place: DeployTarget | None = None
    jumps: bool = False

    @property
    def port(self) -> int:
        """The relay's own port."""
        return self.ports[0]

    @property
    def typed(self) -> str:
        """The relay as RetroArch takes it."""
        return instructions.target(self.address, self.port)

    @property
    def option(self) -> str:
        """What a person types after `invoke` and a task to mean this relay."""
        return self.place.option if self.place else ""


def parse(text: str) -> Target:
    """Return the relay a player typed: ADDRESS|PORT, a session behind it is not looked at. Raises UserError."""
    match = _TYPED.fullmatch("|".join(pasted.parts(text)))
    port = (match["port"] if match else None) or str(DEFAULT_PORT)
    if match is None or not (port.isascii() and port.isdecimal()) or not 0 < int(port) < 65536:
        raise _no_relay(text)
    address = match["address"].strip()
    if re.fullmatch(r"[^:\[\]]+:\d+", address):
        raise _no_relay(text)
    try:
        return Target(parse_host(address).alias, (int(port),))
    except UserError:
        raise _no_relay(text) from None


def of_place(place: DeployTarget, link: Connection) -> Target:
    """Return the relay on a host, by ssh's configuration and the owner's relay.toml. Raises UserError."""
    resolved = connection.resolve(link)
    file = inventory.files_of(place.host).relay
    try:
        ports = config.load(file).ports if file.exists() else (DEFAULT_PORT,)
    except ConfigError as error:
        raise friends.as_user_error(error) from None
    return Target(resolved.hostname, tuple(ports), place, resolved.jumps)


def _no_relay(text: str) -> UserError:
    return UserError(
        f"{text!r} is not a relay's address",
        fix="Type it as in RetroArch, address and port with a bar between: invoke doctor --relay 'ADDRESS|55435'",
    )
