"""What ssh says when it fails, as sentences with the next thing to type. One table; the first row that fits counts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from toolkit.errors import HOST_UNUSABLE, UserError

if TYPE_CHECKING:
    from toolkit.ssh import Connection

# (what ssh's standard error matches, what happened, what to do). {alias}, {ssh} and the groups of the match are filled
# in. The order matters: ssh says "Host key verification failed" after every other word about host keys.
TABLE: tuple[tuple[str, str, str], ...] = (
    (
        r"Could not resolve hostname (?P<name>[^\s:]+)",
        "no host is known by the name {name}",
        "Is it spelled right? Either DNS knows it, or ~/.ssh/config has: Host {alias}, and below it HostName ADDRESS",
    ),
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED",
        "{alias} shows another host key than the one this machine knows: a new installation, or another machine",
        "If you know why it changed, forget the old key, look at the new one, and deploy again:\n"
        "ssh-keygen -R {hostkey}\n{ssh}",
    ),
    (
        r"Host key verification failed|No .* host key is known",
        "this machine has never met {alias}, and does not trust its host key yet",
        "Connect once by hand and compare the fingerprint it shows, then deploy again:\n{ssh}",
    ),
    (
        r"(?:UNPROTECTED PRIVATE KEY FILE[\s\S]*?Permissions [0-7]+ for '(?P<file>[^']+)')",
        "ssh does not use the key {file}: others on this machine can read it",
        "chmod 600 {file}",
    ),
    (
        r"Bad owner or permissions on (?P<file>\S+)",
        "ssh refuses its own configuration {file}: others may write it",
        "chmod go-w {file}",
    ),
    (
        r"(?P<file>[^\s:]+):? (?:line )?(?P<line>\d+): Bad configuration option: (?P<option>\S+)",
        "ssh does not understand {file}:{line}: there is no option {option}",
        "Mend that line, then try by hand: {ssh}",
    ),
    (
        r"Can't open user config file (?P<file>[^:]+):",
        "there is no ssh configuration {file}",
        "Check the path after --ssh-config.",
    ),
    (
        r"Too many authentication failures",
        "{alias} hung up: ssh offered it too many keys before the right one",
        "Name the key in ~/.ssh/config, under 'Host {alias}': IdentityFile ~/.ssh/KEY and IdentitiesOnly yes",
    ),
    (
        r"(?:(?P<account>[^\s@]+)@\S+: )?Permission denied",
        "{alias} does not let us in as {account}: none of our keys is the right one, or the account is another",
        "Put your key there: ssh-copy-id {alias}\nOr name the account: invoke deploy --host {alias} --user NAME",
    ),
    (
        r"Connection refused",
        "{alias} is there, but nothing answers on its ssh port",
        "Is ssh running there, and on which port? Another port goes into ~/.ssh/config, under 'Host {alias}': Port N",
    ),
    (
        r"(?:Connection|Operation) timed out|timed out during banner exchange",
        "{alias} does not answer: it is switched off, its address is wrong, or a firewall drops ssh",
        "Try by hand: {ssh}",
    ),
    (
        r"No route to host|Network is unreachable",
        "there is no way from this machine to {alias}",
        "Is this machine online? Is the address right? Try by hand: {ssh}",
    ),
    (
        r"administratively prohibited|stdio forwarding failed|open failed",
        "the jump host on the way to {alias} does not pass us on",
        "Try by hand: {ssh}",
    ),
    (
        r"no matching (?P<what>host key type|key exchange method|cipher|MAC) found",
        "{alias} and this machine's ssh have no {what} in common: its ssh is very old",
        "Update ssh on {alias}, or allow the old method for it in ~/.ssh/config. Try by hand: {ssh}",
    ),
    (
        r"Connection closed by|Connection reset by|closed by remote host|kex_exchange_identification",
        "{alias} answered and hung up before letting us in: too many tries (fail2ban?), or it is starting",
        "Wait a minute, then try by hand: {ssh}",
    ),
)


def explain(link: Connection, stderr: str) -> UserError:
    """Return the error for what ssh wrote on standard error."""
    for pattern, sentence, fix in TABLE:
        if match := re.search(pattern, stderr):
            found = {key: value or "this account" for key, value in match.groupdict().items()}
            words = {"alias": link.alias, "ssh": link.typed, "hostkey": _host_key_name(link, stderr), **found}
            return UserError(sentence.format(**words), fix=fix.format(**words), exit_code=HOST_UNUSABLE)
    last = next((line.strip() for line in reversed(stderr.splitlines()) if line.strip()), "nothing at all")
    return UserError(
        f"ssh cannot reach {link.alias}; its last words: {last}",
        fix=f"Try by hand: {link.typed}",
        exit_code=HOST_UNUSABLE,
    )


def _host_key_name(link: Connection, stderr: str) -> str:
    """Return what ssh-keygen -R needs: ssh itself prints the command (Debian's does), else the alias."""
    match = re.search(r"ssh-keygen -f (\S+) -R (\S+)", stderr)
    return f"{match.group(2)} -f {match.group(1)}" if match else link.alias
