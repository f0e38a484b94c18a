"""The first visit to a host: who we are there, whether we can become root, from which address it sees us."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from toolkit import printable
from toolkit.errors import HOST_UNUSABLE, UserError
from toolkit.ssh import connection

if TYPE_CHECKING:
    from toolkit.hosts.inventory import Entry
    from toolkit.ssh.connection import Answers, Connection

# What sudo's answer (toolkit/ssh/connection.py, QUESTIONS) means for the person who typed --become.
SUDO = {
    "missing": (
        "{account} on {alias} is not root, and there is no sudo there",
        "Log in as root: invoke deploy --host {alias} --user root\nOr as root on {alias}: apt-get install sudo",
    ),
    "password": (
        "sudo on {alias} asks {account} for a password, or does not know {account}",
        "Type its password once: the same command with --ask-become\n"
        "Or do without one; as root on {alias}: "
        "echo '{account} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/netplay-relay",
    ),
    "wrong": (
        "sudo on {alias} did not take that password from {account}",
        "Try again. If it was right, {account} may not use sudo; as root on {alias}: usermod -aG sudo {account}",
    ),
    "tty": (
        "sudo on {alias} wants a terminal from {account}, and programs have none",
        "As root on {alias}: echo 'Defaults:{account} !requiretty' > /etc/sudoers.d/zz-netplay-relay",
    ),
}
# Not a password, although it looks like one to whoever only tries: sudo's requiretty.
WANTS_TERMINAL = re.compile(r"\btty\b|terminal is required to run|must have a terminal", re.IGNORECASE)


def no_sudo(what: str, alias: str, account: str, said: str = "") -> UserError:
    """Return the error for an account that cannot become root; what: a key of SUDO; said: sudo's own words."""
    if WANTS_TERMINAL.search(said) and "askpass" not in said:
        what = "tty"
    sentence, fix = (text.format(alias=alias, account=account) for text in SUDO[what])
    words = f" (it said: {printable.line(said)[:LONGEST_WORDS]})" if said.strip() else ""
    return UserError(f"{sentence}{words}", fix=fix, exit_code=HOST_UNUSABLE)


LONGEST_WORDS = 300


@dataclass(frozen=True, slots=True)
class LoginFacts:
    """What a first login found; hostname is what ssh connects to, jumps whether it goes through another host.

    password: sudo's, where it asks for one; "" where the one that was typed is not needed.
    gateways: the host's own routers.
    """

    link: Connection
    hostname: str
    jumps: bool
    account: str
    came_from: str
    become: bool
    password: str = field(default="", repr=False)
    gateways: tuple[str, ...] = ()

    @property
    def shares_address(self) -> bool:
        """Whether the login comes from the host's own router: everybody behind that one has this address there."""
        return bool(self.came_from) and str(_address(self.came_from)) in self.gateways

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
        other = connection.other_address(self.link, 4 if mine.version == 6 else 6)
        found = [mine, *([_address(other)] if other else [])]
        return [str(address) for address in found if not address.is_link_local]


def visit(link: Connection, entry: Entry, password: str = "") -> LoginFacts:
    """Log in and look. Raises UserError when there is no way in, or no way to be root there."""
    resolved = connection.resolve(link)
    answers = connection.ask(link, password)
    check_root(link.alias, entry, answers)
    become = entry.become and answers.uid != 0
    asked = password if become and answers.sudo == "yes" else ""
    return LoginFacts(
        link, resolved.hostname, resolved.jumps, answers.account, answers.came_from, become, asked, answers.gateways
    )


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
    if answers.sudo in SUDO:
        raise no_sudo(answers.sudo, alias, answers.account, answers.sudo_said)
    if answers.python is None:
        raise UserError(
            f"{alias} has no Python at /usr/bin/python3, and the relay is a Python program",
            fix=f"Install it there, for example: {alias}# apt-get install --no-install-recommends python3",
            exit_code=HOST_UNUSABLE,
        )


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    found = ipaddress.ip_address(text.partition("%")[0])
    return found.ipv4_mapped or found if isinstance(found, ipaddress.IPv6Address) else found
