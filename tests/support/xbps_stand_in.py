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
import re
import shutil
import subprocess
import sys
import tarfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

MADE = Path("/srv/stand-in")
CALLS = MADE / "calls"
ARCH = "x86_64"
KEPT = ".kept"
"""Behind a member's name: what is on the disk has the place of its content."""
Known = dict[str, Any]
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
    """Install packages of the repository named, as xbps 0.60.7 does; take note of others.

    -f installs what is installed already, or a lower version. It keeps configuration files; a second f does not.
    """
    options = Options.of(arguments)
    for word in options.names:
        file = options.repository / f"{word}.{ARCH}.xbps" if options.repository else None
        if file is None:
            write(options.known / f"{word}.plist", plistlib.dumps({"pkgver": word}))
            continue
        if file.name not in (file.parent / f"{ARCH}-repodata").read_text().splitlines():
            refuse(f"Package '{word}' not found in repository pool.")
        install(options, word, file.read_bytes())


@dataclass(frozen=True)
class Options:
    """What xbps-install and xbps-remove were told. force: how often -f stands there."""

    root: Path
    repository: Path | None
    force: int
    names: list[str]

    @classmethod
    def of(cls, arguments: list[str]) -> Options:
        """Read a command line: options that take a value have it behind a =, or are the last letter of their word."""
        root, repository, force, names = Path("/"), None, 0, []
        words = iter(arguments)
        for word in words:
            name, _, value = word.partition("=")
            if not word.startswith("-"):
                names.append(word)
            elif word.endswith(("-r", "-rootdir")) or name == "--rootdir":
                root = Path(value or next(words))
            elif word.endswith(("-R", "-repository")) or name == "--repository":
                repository = Path(value or next(words))
            else:
                force += word == "--force" or (not word.startswith("--") and word.count("f"))
        return cls(root, repository, force, names)

    @property
    def known(self) -> Path:
        """Where this stand-in notes what is installed."""
        return self.root / "var/db/xbps-stand-in"

    def place(self, name: str) -> Path:
        """Return where a package's path (/etc/x, ./etc/x) is below the root."""
        return self.root / name.lstrip("./")


def install(options: Options, pkgver: str, content: bytes) -> None:
    """Do with a package what xbps does: the scripts at their moments, the files, what the former one alone had."""
    name = pkgver.rpartition("-")[0]
    before = known(options, name)
    if before and not options.force and numbers(before["pkgver"]) >= numbers(pkgver):
        print(f"ERROR: Package `{pkgver}' already installed.", file=sys.stderr)  # noqa: T201
        return
    update = "yes" if before and numbers(before["pkgver"]) < numbers(pkgver) else "no"
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        texts = {each: archive.extractfile(each).read() for each in INTERNAL if each in archive.getnames()}  # type: ignore[union-attr]
        listing = plistlib.loads(texts["./files.plist"])
        run(options, before, "REMOVE", "pre", update)
        after = {
            "pkgver": pkgver,
            "filename-sha256": hashlib.sha256(content).hexdigest(),
            "files": listing,
            **{script: texts[f"./{script}"] for script in ("INSTALL", "REMOVE") if f"./{script}" in texts},
        }
        run(options, after, "INSTALL", "pre", update)
        settings = {each["file"]: each["sha256"] for each in listing.get("conf_files", [])}
        for member in (each for each in archive if each.name not in INTERNAL):
            path = f"/{member.name.removeprefix('./')}"
            if path in settings and options.force < 2:
                member.name += settle(options, path, settings[path], before, pkgver)
            if member.name != ".":
                put(options, archive, member)
    drop(options, paths(before) - paths(after), {})
    if update == "no":
        run(options, before, "REMOVE", "post", update)
        run(options, before, "REMOVE", "purge", update)
    run(options, after, "INSTALL", "post", update)
    write(options.known / f"{name}.plist", plistlib.dumps(after))


def settle(options: Options, path: str, new: str, before: Known, pkgver: str) -> str:
    """Return what is put behind the name of a configuration file: "" for its own place, or .new-VERSION.

    Measured with xbps 0.60.7. Where the file on the disk is to stay, its bytes take the place of the package's: xbps
    gives it the package's mode and owner all the same.
    """
    place = options.place(path)
    if not place.exists() and not place.is_symlink():
        return ""
    old = {each["file"]: each["sha256"] for each in before.get("files", {}).get("conf_files", [])}.get(path)
    if old is None or place.is_symlink():
        return f".new-{pkgver.rpartition('-')[2]}"
    here = hashlib.sha256(place.read_bytes()).hexdigest()
    if here == old:
        return ""
    return KEPT if new in (old, here) else f".new-{pkgver.rpartition('-')[2]}"


def put(options: Options, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    """Put a file or a link in its place, as root's."""
    place = options.place(member.name.removesuffix(KEPT))
    place.parent.mkdir(parents=True, exist_ok=True)
    if not member.name.endswith(KEPT):
        place.unlink(missing_ok=True)
        if member.issym():
            place.symlink_to(member.linkname)
            return
        place.write_bytes(archive.extractfile(member).read())  # type: ignore[union-attr]
    place.chmod(member.mode)
    if os.getuid() == 0:
        os.chown(place, 0, 0)


def run(options: Options, package: Known, script: str, moment: str, update: str) -> None:
    """Run a package's INSTALL or REMOVE, where there is one: a failure ends the transaction."""
    if script in package:
        name, _, version = package["pkgver"].rpartition("-")
        argv = ["sh", "-s", moment, name, version, update, "no", ARCH]
        if subprocess.run(argv, input=package[script], cwd=options.root, check=False).returncode:
            sys.exit(f"ERROR: {package['pkgver']}: [trans] {script} script failed to execute {moment} ACTION")


def paths(package: Known) -> set[str]:
    """Return the files and links of a package. Its configuration files are no longer looked after once it is gone."""
    return {each["file"] for kind in ("files", "links") for each in package.get("files", {}).get(kind, [])}


def known(options: Options, name: str) -> Known:
    """Return what is noted of an installed package, nothing for one that is not."""
    place = options.known / f"{name}.plist"
    return plistlib.loads(place.read_bytes()) if place.exists() else {}


def write(place: Path, content: bytes) -> None:
    """Write a file, and make its folder."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)


def numbers(pkgver: str) -> list[int]:
    """Return a version as what orders it: of numbers alone."""
    return [int(each) for each in re.findall(r"\d+", pkgver.rpartition("-")[2])]


def xbps_query(arguments: list[str]) -> None:
    """Say what is known of an installed package."""
    found = known(Options.of([]), arguments[-1])
    if not found:
        sys.exit(2)
    print(found.get(arguments[1] if arguments[0] == "-p" else "pkgver", ""))  # noqa: T201


def xbps_remove(arguments: list[str]) -> None:
    """Take away what packages brought, and configuration files that nobody has changed."""
    options = Options.of(arguments)
    for name in options.names:
        if not (package := known(options, name)):
            refuse(f"Package `{name}' is not currently installed.")
        run(options, package, "REMOVE", "pre", "no")
        settings = {each["file"]: each["sha256"] for each in package.get("files", {}).get("conf_files", [])}
        drop(options, paths(package), settings)
        for folder in sorted(folders(package), reverse=True):
            with suppress(OSError):  # something else is in it, or it is gone
                options.place(folder).rmdir()
        run(options, package, "REMOVE", "post", "no")
        run(options, package, "REMOVE", "purge", "no")
        (options.known / f"{name}.plist").unlink()


def drop(options: Options, gone: set[str], settings: dict[str, str]) -> None:
    """Take files away, and settings where they are as they came."""
    as_they_came = {
        path
        for path, digest in settings.items()
        if options.place(path).is_file() and hashlib.sha256(options.place(path).read_bytes()).hexdigest() == digest
    }
    for path in gone | as_they_came:
        options.place(path).unlink(missing_ok=True)


def folders(package: Known) -> list[str]:
    """Return the folders of a package."""
    return [each["file"] for each in package.get("files", {}).get("dirs", [])]


def refuse(sentence: str) -> NoReturn:
    """Say what is wrong, and end as xbps does."""
    print(sentence, file=sys.stderr)  # noqa: T201
    sys.exit(2)


def xbps_uhelper(_: list[str]) -> None:
    """Say what the machine is."""
    print(ARCH)  # noqa: T201


if __name__ == "__main__":
    called = Path(sys.argv[0]).name
    if CALLS.parent.exists():
        with CALLS.open("a") as log:
            log.write(f"{os.getuid()} {called} {' '.join(sys.argv[1:])}\n")
    globals()[called.replace("-", "_")](sys.argv[1:])
