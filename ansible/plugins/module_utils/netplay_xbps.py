"""How far a package is on a Void host: read from what is there, so that every step can be taken up where it ended."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    Run = Callable[[list[str]], str]

# xbps-src makes it once the packages of its build root are installed.
BOOTSTRAPPED = "masterdir*/.xbps_chroot_init"


class Wanted(NamedTuple):
    """A template's package with its subpackages, their version with revision, and where things are on the host."""

    checkout: Path
    repository: Path
    package: str
    subpackages: tuple[str, ...]
    version: str

    @property
    def names(self) -> tuple[str, ...]:
        """The packages that one build makes."""
        return (self.package, *self.subpackages)

    def file(self, name: str, arch: str) -> str:
        """Return what a package's file is called."""
        return f"{name}-{self.version}.{arch}.xbps"


def look(wanted: Wanted, run: Run) -> dict[str, object]:
    """Return how far the package is. `run` runs a program and returns what it printed, "" when it fails.

    version: the one wanted, or that of the repository's newest package where none is; arch; cloned, and uid and gid of
    the checkout's owner; bootstrapped; built: the files, none where the template is newer; published: whether the
    repository has these and its index knows them; known: whether the host has any version installed; installed: whether
    it has this one from there; available: whether the repository has anything of ours.
    """
    arch = run(["xbps-uhelper", "arch"]).strip()
    newest = _newest(wanted, arch)
    wanted = wanted if wanted.version else wanted._replace(version=newest)
    there = (wanted.checkout / "xbps-src").is_file()
    owner = wanted.checkout.stat() if there else None
    built = _built(wanted, arch) if there else []
    published = [wanted.repository / wanted.file(name, arch) for name in wanted.names]
    return {
        "version": wanted.version,
        "arch": arch,
        "cloned": there,
        "uid": owner.st_uid if owner else None,
        "gid": owner.st_gid if owner else None,
        "bootstrapped": any(True for _ in wanted.checkout.glob(BOOTSTRAPPED)),
        "built": [str(path) for path in built],
        "published": bool(built) and [_sum(path) for path in built] == [_sum(path) for path in published]
        and _is_indexed(wanted.repository / f"{arch}-repodata", published),
        "known": bool(run(["xbps-query", "-p", "pkgver", wanted.package]).strip()),
        "installed": all(_is_installed(wanted, name, path, run)
                         for name, path in zip(wanted.names, published, strict=True)),
        "available": bool(newest) and (wanted.repository / f"{arch}-repodata").is_file(),
    }  # fmt: skip


def _newest(wanted: Wanted, arch: str) -> str:
    """Return the version of the package that came into the repository last, "" when there is none."""
    found = wanted.repository.glob(f"{wanted.package}-[0-9]*.{arch}.xbps")
    newest = max(found, key=_written, default=None)
    return newest.name.removeprefix(f"{wanted.package}-").removesuffix(f".{arch}.xbps") if newest else ""


def _built(wanted: Wanted, arch: str) -> list[Path]:
    """Return the built files, none when one is missing or older than what it is made from."""
    places = wanted.checkout / "hostdir" / "binpkgs"
    found = []
    for name in wanted.names:
        # On a branch of its own xbps-src takes a folder of that name.
        newest = max(places.rglob(wanted.file(name, arch)), key=_written, default=None)
        if newest is None:
            return []
        found.append(newest)
    return found if min(map(_written, found)) >= max(map(_written, _sources(wanted)), default=0) else []


def _sources(wanted: Wanted) -> Iterable[Path]:
    upstream = f"{wanted.package}-{wanted.version.rpartition('_')[0]}"
    for place in (wanted.checkout / "srcpkgs" / wanted.package, wanted.checkout / "hostdir" / "sources" / upstream):
        yield from (path for path in place.rglob("*") if path.is_file())


def _written(path: Path) -> int:
    return path.stat().st_mtime_ns


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _is_indexed(index: Path, packages: list[Path]) -> bool:
    return index.is_file() and all(_written(index) >= _written(path) for path in packages)


def _is_installed(wanted: Wanted, name: str, path: Path, run: Run) -> bool:
    """Whether the host has this very file installed: the same version may have been built twice."""
    if not wanted.version or run(["xbps-query", "-p", "pkgver", name]).strip() != f"{name}-{wanted.version}":
        return False
    return run(["xbps-query", "-p", "filename-sha256", name]).strip() in ("", _sum(path))
