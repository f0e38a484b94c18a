#!/usr/bin/python3
"""Stands in for git, xbps-src and the xbps programs on a lab host: notes each call, and does as much as a role sees.

It is neither of them: what xbps-src "builds" was made before and lies in /srv/stand-in. A file /srv/stand-in/break-NAME
has the target NAME of xbps-src fail.
"""

from __future__ import annotations

import hashlib
import io
import os
import plistlib
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

MADE = Path("/srv/stand-in")
CALLS = MADE / "calls"
KNOWN = Path("/var/db/xbps-stand-in")
ARCH = "x86_64"
INTERNAL = ("./INSTALL", "./REMOVE", "./props.plist", "./files.plist")


def git(arguments: list[str]) -> None:
    """Make a checkout of the folder named last: as empty as it can be."""
    folder = Path(arguments[-1])
    (folder / "srcpkgs" / "base-files").mkdir(parents=True)
    shutil.copy(Path(sys.argv[0]).resolve(), folder / "xbps-src")


def xbps_src(arguments: list[str]) -> None:
    """Make a build root; "build" a package whose template and source are there and agree."""
    if os.getuid() == 0:
        sys.exit("ERROR: xbps-src cannot be used as root")
    target = next(word for word in arguments if not word.startswith("-"))
    if (MADE / f"break-{target}").exists():
        sys.exit(f"ERROR: {target} failed, as was asked for")
    init = Path(f"masterdir-{ARCH}/.xbps_chroot_init")
    if target == "binary-bootstrap":
        init.parent.mkdir()
        init.write_text(f"{ARCH}\n")
        return
    if not init.exists():
        sys.exit("ERROR: Bootstrap not installed")
    package = arguments[-1]
    script = f". srcpkgs/{package}/template; echo $version $revision $checksum"
    version, revision, checksum = subprocess.check_output(["bash", "-c", script], text=True).split()
    sources = Path(f"hostdir/sources/{package}-{version}")
    if checksum not in {hashlib.sha256(path.read_bytes()).hexdigest() for path in sources.iterdir()}:
        sys.exit("ERROR: the source would have to be fetched")
    packages = [package, *(path.name for path in Path("srcpkgs").iterdir() if path.is_symlink())]
    Path("hostdir/binpkgs").mkdir(exist_ok=True)
    for name in packages:
        file = f"{name}-{version}_{revision}.{ARCH}.xbps"
        # Another run gives other bytes, as with times in them.
        Path("hostdir/binpkgs", file).write_bytes((MADE / f"{name}.tar").read_bytes() + os.urandom(512))


def xbps_rindex(arguments: list[str]) -> None:
    """Have an index of the packages named."""
    files = [Path(word) for word in arguments if not word.startswith("-")]
    (files[0].parent / f"{ARCH}-repodata").write_text("".join(f"{file.name}\n" for file in files))


def xbps_install(arguments: list[str]) -> None:
    """Unpack packages of the repository named; take note of others."""
    repository = next((Path(word.partition("=")[2]) for word in arguments if word.startswith("--repository=")), None)
    for word in (word for word in arguments if not word.startswith("-")):
        file = repository / f"{word}.{ARCH}.xbps" if repository else None
        if file is None:
            note(word, word, "")
            continue
        if file.name not in (file.parent / f"{ARCH}-repodata").read_text().splitlines():
            sys.exit(f"Package '{word}' not found in repository pool.")
        content = file.read_bytes()
        unpack(content)
        note(word.rpartition("-")[0], word, hashlib.sha256(content).hexdigest())


def unpack(content: bytes) -> None:
    """Do what xbps does with a package: INSTALL pre, the files (settings that are there stay), INSTALL post."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        texts = {name: archive.extractfile(name).read() for name in INTERNAL if name in archive.getnames()}  # type: ignore[union-attr]
        props, listing = plistlib.loads(texts["./props.plist"]), plistlib.loads(texts["./files.plist"])
        kept = {f".{each['file']}" for each in listing.get("conf_files", []) if Path(each["file"]).exists()}
        for moment in ("pre", "post"):
            if moment == "post":
                members = [each for each in archive if each.name not in INTERNAL and each.name not in kept]
                archive.extractall("/", members)  # noqa: S202 - made by the test itself
            if "./INSTALL" in texts:
                argv = ["sh", "-s", moment, props["pkgname"], props["version"], "no", "xbps.conf", ARCH]
                subprocess.run(argv, input=texts["./INSTALL"], cwd="/", check=True)


def note(name: str, pkgver: str, digest: str) -> None:
    """Keep what is installed."""
    KNOWN.mkdir(parents=True, exist_ok=True)
    (KNOWN / name).write_text(f"{pkgver}\n{digest}\n")


def xbps_query(arguments: list[str]) -> None:
    """Say what is known of an installed package."""
    place = KNOWN / arguments[-1]
    if not place.exists():
        sys.exit(2)
    pkgver, digest = place.read_text().splitlines()
    print({"pkgver": pkgver, "filename-sha256": digest}.get(arguments[1] if arguments[0] == "-p" else "pkgver", ""))  # noqa: T201


def xbps_remove(arguments: list[str]) -> None:
    """Take away what packages brought, settings too."""
    for name in (word for word in arguments if not word.startswith("-")):
        with tarfile.open(MADE / f"{name}.tar") as archive:
            for member in archive:
                if member.name not in INTERNAL:
                    drop(Path("/", member.name))
        (KNOWN / name).unlink()


def drop(path: Path) -> None:
    """Take a file away, and the folders that are empty then."""
    path.unlink(missing_ok=True)
    for folder in path.parents:
        if not folder.exists() or any(folder.iterdir()):
            break
        folder.rmdir()


def xbps_uhelper(_: list[str]) -> None:
    """Say what the machine is."""
    print(ARCH)  # noqa: T201


if __name__ == "__main__":
    called = Path(sys.argv[0]).name
    with CALLS.open("a") as log:
        log.write(f"{os.getuid()} {called} {' '.join(sys.argv[1:])}\n")
    globals()[called.replace("-", "_")](sys.argv[1:])
