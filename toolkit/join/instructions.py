"""What everybody types once a relay runs: the host player, each friend, the owner."""

from __future__ import annotations

import ipaddress

from relay.protocol.tunnel import DEFAULT_PORT
from relay.switchboard.rooms import Mode

IPV4_CURE = "Give the host that runs the relay an IPv4 address, or the name an A record."


def target(address: str, port: int) -> str:
    """Return a relay as RetroArch takes it: ADDRESS|PORT."""
    return f"{address}|{port}"


def host_settings(address: str, port: int) -> dict[str, str]:
    """Return the keys of retroarch.cfg with which a player hosts through the relay.

    A public announcement would put the relay's address into RetroArch's public lobby.
    """
    return {
        "netplay_use_mitm_server": "true",
        "netplay_mitm_server": "custom",
        "netplay_custom_mitm_server": target(address, port),
        "netplay_public_announce": "false",
    }


def host_lines(address: str, port: int) -> list[str]:
    """Return what the host player sets, by menu and by file; the first line is the title."""
    lines = [
        "The player who hosts sets this once, in RetroArch under Netplay > Host",
        "Use Relay Server              ON",
        "Relay Server Location         Custom",
        f"Custom Relay Server Address   {target(address, port)}",
        "or the same in retroarch.cfg:",
        *(f'{key} = "{value}"' for key, value in host_settings(address, port).items()),
    ]
    return [*lines, f"  {nobody_hosts(address)}"] if is_ipv6(address) else lines


def nobody_hosts(address: str) -> str:
    """Return what is said instead where an address has no IPv4: RetroArch hosts by IPv4 alone."""
    return f"{address} has no IPv4 address, and RetroArch hosts games by IPv4 only: friends may join, nobody can host."


def friend_lines(address: str, port: int, mode: Mode = Mode.TUNNEL) -> list[str]:
    """Return what each friend types, on the command line and in the menu; the first line is the title."""
    lines = [
        f"{'Everybody' if mode is Mode.CORELESS else 'Each friend'} types, with the same core and game",
        f"retroarch -C '{target(address, port)}' -L CORE GAME",
        f"or in RetroArch under Netplay > Connect to Netplay Host: {target(address, port)}",
    ]
    if mode is Mode.AUTO:
        lines.append("Nobody has to host: without a host all of you type this, and you play.")
    return lines


def type_lines(address: str, port: int, mode: Mode, *, hostable: bool = True) -> list[list[str]]:
    """Return what is typed at a port that is played in a mode, a list for each role; first lines are titles.

    hostable: the address can be hosted by, it has IPv4.
    """
    hosting = [host_lines(address, port) if hostable else [nobody_hosts(address), IPV4_CURE]]
    return [*(hosting if mode is not Mode.CORELESS else []), friend_lines(address, port, mode)]


def where(address: str, port: int) -> str:
    """Return the relay's place in words."""
    return f"{address} port {port}" + ("" if port != DEFAULT_PORT else " (RetroArch's own default port)")


def is_ipv6(address: str) -> bool:
    """Tell whether an address is one of IPv6; of a name it is not known here."""
    try:
        return ipaddress.ip_address(address).version == 6
    except ValueError:
        return False
