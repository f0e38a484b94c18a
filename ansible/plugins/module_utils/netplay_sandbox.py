"""Whether the host's service manager can start a program as our services are started, before there are any.

A kernel or a container's host may refuse namespaces; systemd says no more of it than 217/USER or 226/NAMESPACE, and
only of a unit that is installed already.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

# What a unit can do without, by what the kernel has to make for it. Without all of them the relay's exposure is still
# below 2.0 (systemd-analyze security); what is not here is not given up.
SPARABLE: Mapping[str, tuple[str, ...]] = {
    "user": ("PrivateUsers",),
    "net": ("PrivateNetwork",),
    "ipc": ("PrivateIPC",),
    "uts": ("ProtectHostname",),
    "proc": ("ProcSubset", "ProtectProc"),
}
# Of the section [Service]: what is not about the sandbox, or names what is not there before the relay is installed.
NOT_TRIED = frozenset(
    (
        *("Type", "ExecStart", "ExecStartPre", "ExecReload", "Sockets", "Restart", "RestartSec", "KillSignal"),
        *("TimeoutStartSec", "TimeoutStopSec", "User", "Group", "RuntimeDirectory", "StateDirectory"),
        *("StateDirectoryMode", "RuntimeDirectoryMode", "SyslogIdentifier", "ReadWritePaths", "WatchdogSec"),
        *("NotifyAccess", "OOMScoreAdjust", "OOMPolicy", "Nice", "Slice", "StartLimitIntervalSec"),
    )
)
# Of systemd.exec(5), what the numbers mean that a program cannot end with by itself.
STEPS = {
    205: "LIMITS", 211: "SECUREBITS", 217: "USER", 218: "CAPABILITIES", 219: "CGROUP", 225: "NETWORK",
    226: "NAMESPACE", 227: "NO_NEW_PRIVILEGES", 228: "SECCOMP", 230: "PERSONALITY", 231: "APPARMOR",
    232: "ADDRESS_FAMILIES", 237: "KEYRING",
}  # fmt: skip


class Attempt(NamedTuple):
    """What came of starting a program: its status (0: it ran), and the service manager's words."""

    status: int
    words: str = ""


class Verdict(NamedTuple):
    """What has to be left out for a program to start; the attempt that failed with all of it left out, if it did."""

    without: list[str]
    failed: Attempt | None = None


def directives(text: str) -> list[tuple[str, str]]:
    """Return the settings of a unit's section [Service] that make its sandbox, from its template.

    A line that is filled in later, or stands in a block of its own, is taken as it is where that says enough.
    """
    section = re.search(r"^\[Service\]\n(.*?)(?=^\[|\Z)", text, re.MULTILINE | re.DOTALL)
    lines = re.findall(r"^([A-Z]\w+)=(.*)$", section.group(1) if section else "", re.MULTILINE)
    return [(key, value) for key, value in lines if key not in NOT_TRIED and "{{" not in value]


def left(found: Iterable[tuple[str, str]], without: Iterable[str]) -> list[tuple[str, str]]:
    """Return the settings without those of some kinds."""
    dropped = {key for kind in without for key in SPARABLE[kind]}
    return [(key, value) for key, value in found if key not in dropped]


def judge(found: list[tuple[str, str]], attempt: Callable[[list[tuple[str, str]]], Attempt]) -> Verdict:
    """Return the least that has to be left out, by trying."""
    if attempt(found).status == 0:
        return Verdict([])
    kinds = [kind for kind, keys in SPARABLE.items() if any(key in keys for key, _ in found)]
    last = attempt(left(found, kinds))
    if last.status != 0:
        return Verdict([], last)
    without = list(kinds)
    for kind in kinds:
        fewer = [each for each in without if each != kind]
        if attempt(left(found, fewer)).status == 0:
            without = fewer
    return Verdict(without)


def words(attempt: Attempt) -> str:
    """Return what went wrong in a few words, of those of the journal or else by the number."""
    at = re.search(r"Failed at step .*", attempt.words)
    if at:
        return at.group(0)
    if attempt.status in STEPS:
        return f"status {attempt.status}/{STEPS[attempt.status]}"
    said = attempt.words.strip().splitlines()
    return said[-1] if said else f"status {attempt.status}"
