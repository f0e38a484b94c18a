"""Lines to a relay that can be cut: each of a network's loopback addresses is one, dead both ways once it is cut."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.support import needs

if TYPE_CHECKING:
    from tests.support.namespace import PrivateNetwork

# What is dropped when it comes in is lost on its way: nobody is told.
TABLE = """
add table ip lines
add set ip lines cut {{ type ipv4_addr; }}
add chain ip lines arriving {{ type filter hook input priority 0; }}
add rule ip lines arriving ip saddr @cut drop
add rule ip lines arriving ip daddr @cut drop
add element ip lines cut {{ {address} }}
"""


class Lines:
    """The lines of a private network: 127.0.0.2 to 127.0.0.9. A connection to one comes from the same address."""

    def __init__(self, network: PrivateNetwork) -> None:
        self._network = network
        self._nft = needs.program("nft")
        for number in range(2, 10):
            address = f"127.0.0.{number}"
            self._run("ip", "route", "add", "local", address, "dev", "lo", "src", address, "table", "local")

    def cut(self, address: str) -> None:
        """Let everything to and from an address be lost from now on."""
        self._run(self._nft, "-f", "-", text=TABLE.format(address=address))

    def mend(self, address: str) -> None:
        """Let everything through again."""
        self._run(self._nft, "delete", "element", "ip", "lines", "cut", f"{{ {address} }}")

    def _run(self, *argv: str, text: str = "") -> None:
        subprocess.run(self._network.command(argv), input=text, text=True, check=True, timeout=10, capture_output=True)
