"""The first visit to a host: who we are there, whether we can become root, from which address it sees us."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolkit import ssh
from toolkit.errors import HOST_UNUSABLE, UserError

if TYPE_CHECKING:
    from toolkit.inventory import Entry
    from toolkit.ssh import Answers, Connection

# What sudo's answer (toolkit/ssh.py, QUESTIONS) means for the person who typed --become.
SUDO = {
    "missing": (
        "{account} on {alias} is not root, and there is no sudo there",
        "Log in as root: invoke deploy --host {alias} --user root\nOr as root on {alias}: apt-get install sudo",
    ),
    "password": (
        "sudo on {alias} asks {account} for a password, or does not know {account}",
        "Type its password once: invoke deploy --host {alias} --ask-become\n"
        "Or do without one; as root on {alias}: "
        "echo '{account} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/netplay-relay",
    ),
    "wrong": (
        "sudo on {alias} did not take that password from {account}",
        "Try again. If it was right, {account} may not use sudo; as root on {alias}: usermod -aG sudo {account}",
    ),
}


@dataclass(frozen=True, slots=True)
class Visit:
    """What a first login found; hostname is what ssh connects to, jumps whether it goes through another host."""

    link: Connection
    hostname: str
    jumps: bool
    account: str
    came_from: str
    become: bool

    @property
    def knows_us(self) -> bool:
        """Whether came_from is this machine's address for the relay too: no jump host between, not the same machine."""
        return bool(self.came_from) and not self.jumps and not _address(self.came_from).is_loopback

    def is_listed(self, networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool | None:
        """Tell whether this machine's address is in one of the networks; None when its address is not known."""
        return any(_address(self.came_from) in network for network in networks) if self.knows_us else None

    def my_addresses(self) -> list[str]:
        """Return the addresses the host sees this machine at, by IPv4 and by IPv6: RetroArch hosts by IPv4 alone."""
        if not self.knows_us:
            return []
        mine = _address(self.came_from)
        other = ssh.other_address(self.link, 4 if mine.version == 6 else 6)
        found = [mine, *([_address(other)] if other else [])]
        return [str(address) for address in found if not address.is_link_local]


def visit(link: Connection, entry: Entry, password: str = "") -> Visit:
    """Log in and look. Raises UserError when there is no way in, or no way to be root there."""
    resolved = ssh.resolve(link)
    answers = ssh.ask(link, password)
    check_root(link.alias, entry, answers)
    become = entry.become and answers.uid != 0
    return Visit(link, resolved.hostname, resolved.jumps, answers.account, answers.came_from, become)


def check_root(alias: str, entry: Entry, answers: Answers) -> None:
    """Raise UserError unless the account is root, or may become root the way that was asked for; or has no Python."""
    words = {"alias": alias, "account": answers.account}
    if answers.uid != 0 and not entry.become:
        raise UserError(
            "{account} on {alias} is not root".format(**words),
            fix="If {account} may use sudo there: invoke deploy --host {alias} --become\n"
            "Or log in as root: invoke deploy --host {alias} --user root".format(**words),
            exit_code=HOST_UNUSABLE,
        )
    if sentence_fix := SUDO.get(answers.sudo):
        sentence, fix = (text.format(**words) for text in sentence_fix)
        raise UserError(sentence, fix=fix, exit_code=HOST_UNUSABLE)
    if answers.python is None:
        raise UserError(
            f"{alias} has no Python at /usr/bin/python3, and the relay is a Python program",
            fix=f"Install it there, for example: {alias}# apt-get install --no-install-recommends python3",
            exit_code=HOST_UNUSABLE,
        )


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    found = ipaddress.ip_address(text.partition("%")[0])
    return found.ipv4_mapped or found if isinstance(found, ipaddress.IPv6Address) else found
