"""Runs on a host, with its own Python and nothing else: prints everything that a deployment could leave there.

Files with mode, owner and content, accounts among them; services that start at boot; rules; listening ports. Backups
of the account files, and what init, ssh and apt write by themselves, are nobody's settings. Nor is what connections
alone change: counters, queues, and the elements of sets that packets fill.
"""

import hashlib
import json
import os
import re
import subprocess
from pathlib import Path

TOPS = (
    *("/etc", "/opt", "/usr/local", "/usr/lib/systemd/system", "/home", "/root", "/srv", "/var/lib", "/var/log"),
    *("/var/spool", "/var/tmp", "/run/netplay-relay", "/run/runit", "/run/systemd/system"),  # noqa: S108  # looked at
)
SKIPPED = (
    *("/var/lib/systemd", "/var/lib/apt", "/var/lib/dpkg", "/var/lib/dbus", "/etc/.pwd.lock", "/srv/lab-packages"),
    *("/var/log/journal", "/var/log/wtmp", "/var/log/lastlog", "/var/log/btmp", "/run/runit/supervise.sshd"),
    "/var/tmp/systemd-private-",  # noqa: S108  # anew at each start of a service that has one
    "/var/log/xbps-calls",  # voidlike's stand-in for xbps notes there what it was asked
)
ASKED = {
    "units": ("systemctl", "list-unit-files", "--no-legend"),
    "rules": ("nft", "--stateless", "list", "ruleset"),
    "iptables": ("iptables-save",),
    "listening": ("ss", "-Htln"),
}
# What nft 1.1.7 prints behind a set's size: how many elements it has.
_COUNTED = re.compile(r"(\n\t\tsize \d+)\t# count \d+")
# A set's lines as nft prints them: from its flags to its elements, which have no brace in them.
_FILLED_BY_PACKETS = re.compile(r"(\n\t\tflags [^\n]*\bdynamic\b[^\n]*(?:\n\t\t[^\n]+)*?)\n\t\telements = \{[^}]*\}")


def content(path: Path) -> str:
    """Return a link's target, or a digest of a file."""
    if path.is_symlink():
        return str(path.readlink())
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def files() -> dict[str, list[object]]:
    """Return mode, owner, group and content of each file."""
    found: dict[str, list[object]] = {}
    for path in (path for top in TOPS for path in [Path(top), *Path(top).rglob("*")]):
        if os.path.lexists(path) and not path.name.endswith("-") and not str(path).startswith(SKIPPED):
            stat = path.lstat()
            found[str(path)] = [stat.st_mode, stat.st_uid, stat.st_gid, content(path)]
    return found


def settled(rules: str) -> str:
    """Return nft's rules without the elements of dynamic sets: connections make them, the kernel collects them."""
    return _FILLED_BY_PACKETS.sub(r"\1", _COUNTED.sub(r"\1", rules))


def listening(sockets: str) -> str:
    """Return the addresses of what ss lists, in their order: how much waits in each queue is left out."""
    return "\n".join(sorted(line.split()[3] for line in sockets.splitlines()))


def said(argv: tuple[str, ...]) -> str:
    """Return what a program printed, without lines that count or tell the time; "" where there is no such program."""
    try:
        text = subprocess.run(
            argv, capture_output=True, encoding="utf-8", errors="replace", check=False, timeout=30
        ).stdout
    except FileNotFoundError:
        return ""
    return "\n".join(line for line in text.splitlines() if not line.startswith(("#", ":")))


def picture() -> dict[str, object]:
    """Return everything there is to compare, by name."""
    told = {name: said(argv) for name, argv in ASKED.items()}
    return {**files(), **told, "rules": settled(told["rules"]), "listening": listening(told["listening"])}


if __name__ == "__main__":
    print(json.dumps(picture()))  # noqa: T201  # its answer
