"""The relay's wheel, built offline from a source tarball and installed as Void's build style does it."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from installer import install
from installer.destinations import SchemeDictionaryDestination
from installer.sources import WheelFile

from toolkit.errors import UserError

if TYPE_CHECKING:
    from toolkit.xbps.request import Request

METADATA_VERSION: Final = "Metadata-Version: 2.4"
"""The first that has License-Expression and License-File, which pyproject.toml uses."""
BUILD_SECONDS: Final = 120.0
"""Building takes about a second."""


def unpack(content: bytes, folder: Path) -> Path:
    """Unpack a source tarball; return its one top folder. UserError when it has another form."""
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            _extract(archive, folder)
    except (tarfile.TarError, EOFError) as error:
        raise UserError(f"the source cannot be unpacked: {error}", fix="Make one: invoke xbps.dist --out DIR") from None
    tops = list(folder.iterdir())
    if len(tops) != 1 or not tops[0].is_dir():
        raise UserError("the source does not lie below one folder", fix="Make one: invoke xbps.dist --out DIR")
    return tops[0]


def _extract(archive: tarfile.TarFile, folder: Path) -> None:
    """Unpack files and folders below a folder. Raises TarError for a member that would lie anywhere else."""
    if hasattr(tarfile, "data_filter"):
        archive.extractall(folder, filter="data")
        return
    # Python 3.11.2 and 3.11.3, Debian 12's among them, have no filters. A source tarball holds files and folders.
    for member in archive:
        if not (member.isreg() or member.isdir()):
            raise tarfile.TarError(f"{member.name!r} is neither a file nor a folder")
        if not (folder / member.name).resolve().is_relative_to(folder.resolve()):
            raise tarfile.TarError(f"{member.name!r} would lie outside the folder")
        member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
        member.uid, member.gid = os.geteuid(), os.getegid()
        archive.extract(member, folder, numeric_owner=True)


def build(source: Path, folder: Path) -> Path:
    """Build the wheel of an unpacked source into a folder; return its path. Raises UserError."""
    argv = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    done = subprocess.run(
        argv,
        cwd=source,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        timeout=BUILD_SECONDS,
        env=_environment(),
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        said = (done.stderr or done.stdout).strip().splitlines() or ["hatchling said nothing"]
        raise UserError(
            f"the wheel of {source.name} could not be built: {said[-1]}", fix="./bootstrap installs hatchling"
        )
    return wheels[0]


def patch(source: Path, request: Request) -> None:
    """Do to the source what the template's post_patch does."""
    if request.patched:
        settings = source / "pyproject.toml"
        text = settings.read_text(encoding="utf-8")
        settings.write_text(re.sub(r"(?m)^version = .*", f'version = "{request.version}"', text), encoding="utf-8")


def lay_out(wheel: Path, destination: Path, python: str) -> None:
    """Install the wheel below destination, for /usr/bin/python3 of that version ("3.14"). Nothing is compiled."""
    library = f"/usr/lib/python{python}/site-packages"
    scheme = {"purelib": library, "platlib": library, "scripts": "/usr/bin", "data": "/usr", "headers": "/usr/include"}
    place = SchemeDictionaryDestination(
        scheme, interpreter="/usr/bin/python3", script_kind="posix", destdir=str(destination)
    )
    with WheelFile.open(wheel) as opened:
        install(source=opened, destination=place, additional_metadata={})
    for record in (destination / library.lstrip("/")).glob("*.dist-info/RECORD"):
        _forget_builder(record)


def _forget_builder(record: Path) -> None:
    """Take out of an installed wheel what depends on the version of hatchling that built it.

    That is its name in WHEEL, and the version of the metadata's form: the fields that are used are the same in all.
    """
    lines = record.read_text(encoding="utf-8")
    for name, pattern, put in (
        ("WHEEL", r"(?m)^Generator: .*$", "Generator: hatchling"),
        ("METADATA", r"\AMetadata-Version: .*", METADATA_VERSION),
    ):
        path = record.with_name(name)
        content = re.sub(pattern, put, path.read_text(encoding="utf-8"), count=1).encode()
        path.write_bytes(content)
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        line = f"{record.parent.name}/{name},sha256={digest},{len(content)}"
        lines = re.sub(rf"(?m)^{re.escape(record.parent.name)}/{name},.*$", line, lines)
    record.write_text(lines, encoding="utf-8")


def files(request: Request, content: bytes, python: str) -> tuple[dict[str, tuple[bytes, int]], bytes]:
    """Return what the wheel of a source installs (content and mode by path), and the license's text."""
    with tempfile.TemporaryDirectory(prefix="netplay-relay-") as scratch:
        folder = Path(scratch)
        source = unpack(content, folder / "source")
        patch(source, request)
        lay_out(build(source, folder / "wheel"), folder / "root", python)
        root = folder / "root"
        found = {
            path.relative_to(root).as_posix(): (path.read_bytes(), 0o755 if path.parent.name == "bin" else 0o644)
            for path in root.rglob("*")
            if path.is_file()
        }
        return found, (source / "LICENSE").read_bytes()


def _environment() -> dict[str, str]:
    """Return an environment in which building does not depend on the caller's."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
