"""Which Debian mirror this machine uses, read from its apt sources, for building root file systems.

Both formats apt knows: one line an entry (sources.list, sources.list.d/*.list) and deb822 stanzas
(sources.list.d/*.sources). Entries of anybody but Debian are left alone. A machine that names none, as Ubuntu does,
takes Debian's own, by Debian's key and without a word in its own apt.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from toolkit.errors import HOST_UNUSABLE, UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

APT: Final = Path("/etc/apt")
KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
KEYRING_PACKAGE: Final = "debian-archive-keyring"
_OWN: Final = "http://deb.debian.org/debian"
SUITES: Final = ("bookworm", "trixie", "forky")
"""The Debian releases that lab hosts can be made of: the two that people have, and the next one, as testing."""
# A release is published as these suites; a machine that runs another release has the same mirrors under its names.
_ARCHIVE: Final = re.compile(r"(oldoldstable|oldstable|stable|testing|bullseye|bookworm|trixie|forky)(-updates)?")
_REACHING: Final = ("Acquire::http", "Acquire::https", "Acquire::Check-Valid-Until", "Acquire::Check-Date")
_SECURITY: Final = re.compile(r"(oldoldstable|oldstable|stable|testing|bullseye|bookworm|trixie|forky)-security")


@dataclass(frozen=True)
class Mirror:
    """A place that has Debian: its address, what it holds, and the key its entry is bound to ("" for apt's own)."""

    uri: str
    security: bool
    signed_by: str = ""


def find(apt: Path = APT, keyring: Path = KEYRING) -> list[Mirror]:
    """Return the Debian mirrors of a machine's apt configuration, in its order, each once; else Debian's own.

    Raises UserError when there is none that holds a release, and Debian's key, by which its own would be known, is not
    in `keyring`.
    """
    mirrors = list(dict.fromkeys(mirror for entry in _entries(apt) for mirror in _debian(entry)))
    if any(not mirror.security for mirror in mirrors):
        return mirrors
    if not keyring.exists():
        raise UserError(
            f"a lab host is made from Debian packages: {apt} names no mirror of Debian, and its key is not here",
            fix=f"Install the key, then run the same command again:\napt-get install {KEYRING_PACKAGE}",
            exit_code=HOST_UNUSABLE,
        )
    return [
        Mirror(_OWN, security=False, signed_by=str(keyring)),
        Mirror(f"{_OWN}-security", security=True, signed_by=str(keyring)),
    ]


def for_suite(suite: str, mirrors: Iterable[Mirror]) -> str:
    """Return deb822 text that has apt take `suite` from those mirrors, with updates and security where known."""
    stanzas = []
    for mirror in mirrors:
        suites = f"{suite}-security" if mirror.security else f"{suite} {suite}-updates"
        signed = f"Signed-By: {mirror.signed_by}\n" if mirror.signed_by else ""
        stanzas.append(f"Types: deb\nURIs: {mirror.uri}\nSuites: {suites}\nComponents: main\n{signed}")
    return "\n".join(stanzas)


def apt_options() -> list[str]:
    """Return how this machine's apt reaches its mirror, as mmdebstrap's --aptopt takes it; empty where apt is not here.

    A proxy, certificates, and whether the mirror is a snapshot whose dates are over: mmdebstrap does not read
    /etc/apt/apt.conf.d.
    """
    argv = ["apt-config", "dump", "--no-empty", "--format", '%f "%v";%n', *_REACHING]
    try:
        done = subprocess.run(argv, capture_output=True, encoding="utf-8", errors="replace", check=False, timeout=30)
    except FileNotFoundError:
        return []
    return [line for line in done.stdout.splitlines() if "::" in line]


def _entries(apt: Path) -> Iterator[dict[str, str]]:
    """Yield every enabled binary entry as its deb822 fields, in small letters."""
    lists = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))]
    for path in lists:
        if path.is_file():
            yield from _one_line_entries(path.read_text(errors="replace"))
    for path in sorted((apt / "sources.list.d").glob("*.sources")):
        yield from _stanzas(path.read_text(errors="replace"))


def _one_line_entries(text: str) -> Iterator[dict[str, str]]:
    """Yield the entries of the old format: `deb [option=value ...] URI SUITE COMPONENT...`."""
    for line in text.splitlines():
        found = re.match(r"\s*deb\s+(?:\[([^]]*)\]\s*)?(\S+)\s+(\S+)\s+([^#]+)", line)
        if found:
            options = dict(option.split("=", 1) for option in (found[1] or "").split() if "=" in option)
            yield {"uris": found[2], "suites": found[3], "components": found[4], **options}


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    """Yield the stanzas of the new format; a field goes on over lines that start with a space."""
    without_comments = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for block in re.split(r"\n[ \t]*\n", without_comments):
        fields: dict[str, str] = {}
        for field in re.split(r"\n(?![ \t])", block.strip("\n")):
            name, colon, value = field.partition(":")
            if colon:
                fields[name.strip().lower()] = value.strip()
        if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes").lower() not in {"no", "false"}:
            yield fields


def _debian(entry: dict[str, str]) -> Iterator[Mirror]:
    """Yield the mirrors of an entry, none when it is not Debian's own archive."""
    signed_by = entry.get("signed-by", "")
    if "main" not in entry.get("components", "").split():
        return
    for uri in entry.get("uris", "").split():
        if "debian-archive" not in signed_by and not _looks_like_debian(uri):
            continue
        suites = entry.get("suites", "").split()
        if any(_ARCHIVE.fullmatch(suite) for suite in suites):
            yield Mirror(uri, security=False, signed_by=signed_by)
        if any(_SECURITY.fullmatch(suite) for suite in suites):
            yield Mirror(uri, security=True, signed_by=signed_by)


def _looks_like_debian(uri: str) -> bool:
    """Tell a mirror of Debian by its address: others use Debian's names of suites and components as well."""
    address = urlsplit(uri)
    host = address.hostname or ""
    last = address.path.rstrip("/").rpartition("/")[2].removesuffix(".list")
    return host == "debian.org" or host.endswith(".debian.org") or last in {"debian", "debian-security"}
