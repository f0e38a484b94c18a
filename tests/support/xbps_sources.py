"""Source tarballs for the packaging tests: small, and the same bytes every time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.xbps import archives, request

if TYPE_CHECKING:
    from pathlib import Path

    from toolkit.xbps.request import Request

MAINTAINER = "Anna Example <anna@example.org>"
MITM_COMMIT = "35b53b1" + "0" * 33
PACKAGES = ("netplay-relay", "netplay-mitm-server", "netplay-tunnel-server")


def tarball(folder: Path, version: str = "0.1.0", name: str = "netplay-relay") -> Path:
    """Write what looks like a release of the project, and return its path."""
    settings = f'[project]\nname = "{name}"\nversion = "{version}"\n'.encode()
    members = [archives.Member(f"netplay-relay-{version}/pyproject.toml", settings)]
    path = folder / f"netplay-relay-{version}.tar.gz"
    path.write_bytes(archives.gzip(archives.tar(members)))
    return path


def asked(package: str, folder: Path) -> request.Asked:
    """Return options that make a template of the package, with a source in a file."""
    if package == "netplay-relay":
        return request.Asked(distfile=str(tarball(folder)), maintainer=MAINTAINER)
    path = folder / "snapshot.tar.gz"
    path.write_bytes(b"what GitHub packs of a commit")
    commit = {"commit": MITM_COMMIT, "date": "20211110"} if package == "netplay-mitm-server" else {}
    return request.Asked(package=package, distfile=str(path), maintainer=MAINTAINER, **commit)


def settled(package: str, folder: Path) -> Request:
    """Return the request for a template of the package."""
    return request.settle(asked(package, folder))
