"""What ssh says when it fails, as sentences with the next thing to type. One table; the first row that fits counts."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit import paths, printable
from toolkit.errors import HOST_UNUSABLE, UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolkit.ssh.connection import Connection

# Of what stood on standard error this much is looked at: patterns may take as long as the square of a text.
LAST_LINES, LONGEST_LINE = 40, 500
# Seconds for a program of this machine that looks at a key.
KEY_SECONDS = 10
# What is ssh's own among the words of a login that failed; whatever else stands there the host has said.
OWN = re.compile(
    r"ssh: |debug\d: |kex_exchange|Connection |client_loop|mux_|Received disconnect|Disconnected from|Warning: |"
    r"\S+: Permission denied|Permission denied|Host key|Offending|  ssh-keygen|  remove with|@|\s*$"
)

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
        "If you know why it changed, forget the old key, look at the new one, and deploy again:\n{keys}\n{ssh}",
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
        r"(?i)(?P<said>[^\n]*\b(?:account|password)\b[^\n]*\b(?:expired|locked|disabled)\b[^\n]*)",
        "{alias} knows the account and does not let it in; it said: {said}",
        "Its owner lets it in again, as root on {alias}: chage -l ACCOUNT shows when it ended\nThen try by hand: {ssh}",
    ),
    (
        r"(?:(?P<account>[^\s@]+)@\S+: )?Permission denied",
        "{alias} does not let us in as {account}: none of our keys is the right one, or the account is another",
        "{unlock}Put your key there: {copy}\nOr name the account: invoke deploy --host {alias} --user NAME",
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
    """Return the error for what ssh wrote on standard error; the host may have written there, too."""
    said = [line[:LONGEST_LINE].rstrip() for line in stderr.splitlines()[-LAST_LINES:]]
    for pattern, sentence, fix in TABLE:
        if match := re.search(pattern, "\n".join(said)):
            found = {key: (value or "this account").strip() for key, value in match.groupdict().items()}
            shown = {key: printable.line(value) for key, value in found.items()}
            typed = {key: shlex.quote(value) for key, value in shown.items()}
            ours = {"alias": link.alias, "ssh": link.typed, "copy": link.typed_copy}
            ours |= {"keys": _known_keys(link, said)} if "{keys}" in fix else {}
            ours |= {"unlock": _unlock(link)} if "{unlock}" in fix else {}
            message = sentence.format(**ours, **shown) + ("" if "said" in shown else _words(said))
            return UserError(message, fix=fix.format(**ours, **typed), exit_code=HOST_UNUSABLE)
    last = next((line.strip() for line in reversed(said) if line.strip()), "nothing at all")
    return UserError(
        f"ssh cannot reach {link.alias}; its last words: {printable.line(last)}",
        fix=f"Try by hand: {link.typed}",
        exit_code=HOST_UNUSABLE,
    )


def _words(said: Sequence[str]) -> str:
    """Return what the host itself said before it let nobody in: why, if it was kind enough."""
    words = [line.strip() for line in said if not OWN.match(line)]
    return f" (it said: {printable.line(words[-1])})" if words and len(said) <= LAST_LINES // 2 else ""


def _unlock(link: Connection) -> str:
    """Return the command for a key that is locked by a passphrase, where no agent has it open."""
    locked = [file for file in _resolved(link).get("identityfile", []) if _is_locked(paths.typed(Path(file)))]
    if not locked:
        return ""
    agent = "" if os.environ.get("SSH_AUTH_SOCK") else 'eval "$(ssh-agent)" && '
    file = shlex.quote(str(paths.typed(Path(locked[0]))))
    return f"Your key is locked, and no agent has it open: {agent}ssh-add {file}\n"


def _is_locked(file: Path) -> bool:
    """Tell whether a key needs a passphrase that no agent has been given."""
    if not file.is_file() or _said("ssh-keygen", "-y", "-P", "", "-f", str(file)) is not None:
        return False
    print_of = (_said("ssh-keygen", "-l", "-f", str(file)) or "").split()
    return len(print_of) < 2 or print_of[1] not in (_said("ssh-add", "-l") or "")


def _said(*argv: str) -> str | None:
    """Return what a program of ssh's says about a key; None where it fails."""
    try:
        done = subprocess.run(
            argv,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=KEY_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _resolved(link: Connection) -> dict[str, list[str]]:
    """Return what ssh makes of its configuration for a host; nothing where that is broken."""
    from toolkit.ssh import connection  # here: it needs this module

    try:
        return connection.resolve(link).fields
    except UserError:
        return {}


def broken(link: Connection, what: str) -> UserError:
    """Return the error for an answer that no program of ours gives; what: why it is none."""
    return UserError(
        f"{link.alias} gave an answer that is not one of the relay's programs: {what}",
        fix=f"Look at it by hand: {link.typed}\n"
        "Does a shell there print something of its own? If not, its programs were changed: do not trust its answers, "
        "and install the host again.",
        exit_code=HOST_UNUSABLE,
    )


def _known_keys(link: Connection, said: Sequence[str]) -> str:
    """Return the commands that forget a host's old key: in the files and by the name that ssh itself goes by."""
    fields = {key: values[0] for key, values in _resolved(link).items()}
    name = fields.get("hostkeyalias") or fields.get("hostname", link.alias)
    if not fields.get("hostkeyalias") and (port := fields.get("port", "22")) != "22":
        name = f"[{name}]:{port}"
    found = [match[1] for line in said if (match := re.match(r"Offending .{0,20} ?key in (.+):\d+$", line))]
    chosen = [f" -f {shlex.quote(printable.line(file))}" for file in dict.fromkeys(found)] or [""]
    return "\n".join(f"ssh-keygen -R {shlex.quote(name)}{file}" for file in chosen)
