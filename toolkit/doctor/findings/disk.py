"""Room on the host's disks for what the relay and the gate write: the list, the log, a new release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.monitoring import report
from toolkit.doctor.finding import Finding, fine, trouble, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.doctor.case import Case

# Bytes: below the first nothing can be written safely, below the second it will soon be so. A release is under 1 MB.
NONE_LEFT, LITTLE = 2_000_000, 50_000_000
LITTLE_PART = 0.02
FEW_FILES = 100


# How a distribution, by the first word of its name, throws away packages that it has fetched.
CACHES = {"Debian": "apt-get clean", "Ubuntu": "apt-get clean", "Void": "xbps-remove -O", "Alpine": "apk cache clean"}


def _rooms(case: Case) -> Iterator[str]:
    """Yield what makes room on this host."""
    if case.init == "systemd":
        yield "journalctl --vacuum-size=100M"
    if cache := CACHES.get(str((case.told("system") or {}).get("os") or "").partition(" ")[0]):
        yield cache


def _largest(path: str) -> str:
    """Return what shows the largest folders of a file system."""
    return f"du -xh {path} | sort -h | tail"


def look(case: Case) -> Iterator[Finding]:
    """Say which disk is full or nearly."""
    disks = case.told("disk") or []
    full = False
    for disk in disks:
        few = disk["files_total"] > 0 and disk["files_free"] < FEW_FILES
        left = f"{report.size(disk['free'])} of {report.size(disk['total'])} free at {disk['path']}"
        evidence = f"{disk['files_free']} more files may be made there" if few else left
        cure = f"{case.there('; '.join(_rooms(case)))}\nSee what is large there: {case.there(_largest(disk['path']))}"
        if few or disk["free"] < NONE_LEFT:
            full = True
            yield trouble(
                f"the host's disk at {disk['path']} is full: no list and no log can be written", evidence, cure
            )
        elif disk["free"] < min(LITTLE, disk["total"] * LITTLE_PART):
            full = True
            yield warning(f"the host's disk at {disk['path']} is nearly full", evidence, cure)
    if disks and not full:
        least = min(disks, key=lambda disk: int(disk["free"]))
        yield fine("the host's disks have room", f"{report.size(least['free'])} free at {least['path']}")
