"""Templates run as xbps-src runs them: what lands where, and which fields are in force for each package."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.templates import ROOT, program
from toolkit.xbps import archives, wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

HARNESS = Path(__file__).with_name("xbps_harness.sh")
PYTHON = "3.14"
# What a wheel is built from; the tests of the packages do not depend on what is committed.
SOURCES = ("relay", "pyproject.toml", "README.md", "LICENSE")


@dataclass(frozen=True)
class Entry:
    """What is at a path: a mode and a hash, or a link's target."""

    mode: int
    sha256: str
    target: str = ""

    def __str__(self) -> str:
        return f"-> {self.target}" if self.target else f"{self.mode:04o}"


@dataclass(frozen=True)
class Installed:
    """What a template made of one package: entries by path from the root, fields by name."""

    entries: dict[str, Entry]
    fields: dict[str, str]

    def shown(self) -> str:
        """Return the tree as text for a golden file; the relay's modules are held by a test of their own."""
        lines = [f"{path} {entry}" for path, entry in sorted(self.entries.items()) if "/relay/" not in path]
        return "\n".join(lines) + "\n"


@cache
def source_tarball() -> bytes:
    """Return this checkout's relay as a source tarball, as it lies there now."""
    return archives.gzip(archives.tar(archives.Member(f"netplay-relay/{name}", data) for name, data in _sources()))


def run(template: Path, folder: Path, *, tarball: bytes | None = None, patched: str = "") -> dict[str, Installed]:
    """Run a template's functions below an empty folder; return what became of it and its subpackages, by name.

    tarball is unpacked as the source; for a Python package its wheel is installed first, as the build style does,
    with the version `patched` when the template changes it.
    """
    records, destination, scratch = folder / "records", folder / "destdir", folder / "source"
    for path in (records, destination, scratch):
        path.mkdir(parents=True)
    source = wheel.unpack(tarball or source_tarball(), scratch)
    argv = [program("env"), "-i", f"PATH={os.defpath}:/usr/sbin:/sbin", "LC_ALL=C.UTF-8", program("bash"), str(HARNESS)]
    done = subprocess.run(
        [*argv, str(template), str(source), str(destination), str(records)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    if "python3-pep517" in template.read_text():
        if patched:
            assert f'version = "{patched}"' in (source / "pyproject.toml").read_text()
        own = destination / template.parent.name
        wheel.lay_out(wheel.build(source, folder / "wheel"), own, PYTHON)
        for path in own.rglob("usr/bin/*"):
            path.chmod(0o755)
    return {
        place.name: Installed(dict(_tree(place)), _fields(records, place.name))
        for place in sorted(destination.iterdir())
    }


def modules() -> set[str]:
    """Return the names of the relay's files that a wheel holds, below relay/."""
    return {name for name, _ in _sources() if name.startswith("relay/")}


def _sources() -> list[tuple[str, bytes]]:
    found = []
    for top in SOURCES:
        place = ROOT / top
        paths = [place] if place.is_file() else sorted(place.rglob("*"))
        found += [
            (str(path.relative_to(ROOT)), path.read_bytes())
            for path in paths
            if path.is_file()
            and "__pycache__" not in path.parts
            and path.suffix in {".py", ".toml", ".typed", ".md", ""}
        ]
    return found


def _tree(place: Path) -> Iterator[tuple[str, Entry]]:
    for path in sorted(place.rglob("*")):
        name = f"/{path.relative_to(place)}"
        if path.is_symlink():
            yield name, Entry(0o777, "", str(path.readlink()))
        elif path.is_file():
            yield name, Entry(path.stat().st_mode & 0o7777, hashlib.sha256(path.read_bytes()).hexdigest())


def _fields(records: Path, name: str) -> dict[str, str]:
    return {path.name.removeprefix(f"{name}."): path.read_text() for path in records.glob(f"{name}.*")}
