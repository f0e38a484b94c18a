"""Reads .xbps packages and repositories back: with zstd, tar and plists, and none of the code that writes them."""

from __future__ import annotations

import hashlib
import io
import plistlib
import subprocess
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support.templates import program

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Read:
    """A package as it was read: its members' names in order, its metadata, its entries (mode, hash, link's target)."""

    members: list[str]
    props: dict[str, Any]
    listing: dict[str, Any]
    entries: dict[str, tuple[int, str, str]]
    scripts: dict[str, str] = field(default_factory=dict)


def package(path: Path) -> Read:
    """Read an .xbps."""
    contents = archive(path)
    metadata = {"./props.plist", "./files.plist", "./INSTALL", "./REMOVE"}
    entries = {
        name.removeprefix("."): (
            member.mode,
            hashlib.sha256(data).hexdigest() if member.isfile() else "",
            member.linkname,
        )
        for name, (member, data) in contents.items()
        if name not in metadata
    }
    return Read(
        list(contents),
        plistlib.loads(contents["./props.plist"][1]),
        plistlib.loads(contents["./files.plist"][1]),
        entries,
        {name: contents[f"./{name}"][1].decode() for name in ("INSTALL", "REMOVE") if f"./{name}" in contents},
    )


def archive(path: Path) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    """Return the members of a zstd tar in their order, with their bytes."""
    argv = [program("zstd"), "--decompress", "--stdout", str(path)]
    unpacked = subprocess.run(argv, capture_output=True, check=True, timeout=60).stdout
    with tarfile.open(fileobj=io.BytesIO(unpacked)) as opened:
        found = {}
        for member in opened:
            stream = opened.extractfile(member) if member.isfile() else None
            assert member.name not in found
            found[member.name] = (member, stream.read() if stream else b"")
        return found


def verified(path: Path, public_key: Path) -> bool:
    """Tell whether PATH.sig2 is that key's signature of the file, by RSA PKCS#1 v1.5 over its SHA-256."""
    argv = [program("openssl"), "dgst", "-sha256", "-verify", str(public_key), "-signature", f"{path}.sig2", str(path)]
    return subprocess.run(argv, capture_output=True, check=False, timeout=60).returncode == 0
