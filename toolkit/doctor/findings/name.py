"""What the relay's name stands for."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from toolkit.doctor.finding import Finding, fine, trouble, warning
from toolkit.join import instructions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.doctor.case import Case


def look(case: Case) -> Iterator[Finding]:
    """Say whether the name has addresses, and one that hosts can use: RetroArch hosts by IPv4 alone."""
    name = case.target.address
    if case.addresses is None:
        yield trouble(
            f"nobody knows the name {name}",
            case.unknown,
            "Is it spelled right? Does this machine have DNS? Try the relay's address in numbers instead.",
        )
        return
    shown = ", ".join(case.addresses)
    if not any(":" not in one for one in case.addresses):
        yield warning(
            instructions.nobody_hosts(name).removesuffix("."),
            shown,
            instructions.IPV4_CURE,
        )
    elif not _is_address(name):
        yield fine(f"{name} is known", shown)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
