"""The source tarball: what git keeps at a commit, the same bytes wherever and whenever it is packed."""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import tarfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from toolkit.console import ROOT
from toolkit.errors import UserError
from toolkit.xbps import archives, versions

GIT_SECONDS: Final = 60.0
"""Reading a commit of this size takes a fraction of a second."""
FULL_HASH: Final = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Source:
    """A tarball: its file name, its bytes, the version its pyproject.toml names, as xbps writes it."""

    name: str
    content: bytes
    version: str

    @property
    def sha256(self) -> str:
        """The checksum that a template carries."""
        return hashlib.sha256(self.content).hexdigest()


def check_commit(text: str) -> str:
    """Return a commit's full hash; UserError for anything shorter."""
    if not FULL_HASH.fullmatch(text):
        short = bool(re.fullmatch(r"[0-9a-f]{4,39}", text))
        raise UserError(
            f"{text!r} is a short hash: it may name another commit later" if short else f"{text!r} is not a commit",
            fix="A template names a commit by all 40 hex digits: git rev-parse HASH prints them.",
        )
    return text


def own(checkout: Path = ROOT, commit: str = "") -> Source:
    """Pack the checkout's HEAD as a release, or the commit (40 hex digits) as a snapshot.

    Raises UserError when the checkout is no git repository or lacks the commit. What is in no commit stays out.
    """
    members = _members(checkout, commit or "HEAD")
    version = project_version(members.get("pyproject.toml", b""), f"{checkout}/pyproject.toml")
    top = f"netplay-relay-{commit or version}"
    packed = archives.tar(
        archives.Member(f"{top}/{name}", content, _mode(content)) for name, content in sorted(members.items())
    )
    return Source(f"{top}.tar.gz", archives.gzip(packed), version)


def write(folder: Path, source: Source) -> Path:
    """Put the tarball into a folder, which is made if need be; return its path."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / source.name
        part = folder / f".{source.name}.{os.getpid()}"
        part.write_bytes(source.content)
        part.replace(path)
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written to: {error.strerror}", fix="Name another folder: --out DIR"
        ) from None
    return path


def read(path: Path) -> Source:
    """Read a source tarball of the project from a file; UserError when it is something else."""
    try:
        content = path.read_bytes()
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            tops = {name.partition("/")[0] for name in archive.getnames()}
            top = tops.pop() if len(tops) == 1 else ""
            found = archive.extractfile(f"{top}/pyproject.toml")
            settings = found.read() if found else b""
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}", fix="Name the tarball: --distfile FILE") from None
    except (tarfile.TarError, KeyError, EOFError):
        raise _not_ours(str(path)) from None
    return Source(path.name, content, project_version(settings, str(path)))


def project_version(settings: bytes, where: str) -> str:
    """Return the version that a pyproject.toml names, as xbps writes it; UserError when it is not this project's."""
    try:
        project = tomllib.loads(settings.decode())["project"]
        if project["name"] == "netplay-relay":
            return versions.of_project(str(project["version"]))
    except (ValueError, KeyError):
        pass
    raise _not_ours(where)


def _not_ours(where: str) -> UserError:
    return UserError(f"{where} is not a source tarball of netplay-relay", fix="Make one: invoke xbps.dist --out DIR")


def changes(checkout: Path = ROOT) -> list[str]:
    """Return the tracked files that differ from HEAD: what they say now is not packed."""
    said = _git(checkout, "status", "--porcelain", "--untracked-files=no").decode(errors="replace")
    return [line[3:] for line in said.splitlines()]


def release_before(commit: str, checkout: Path = ROOT) -> str:
    """Return the release that a commit comes after, "" before the first one: releases are tags like v1.2.3.

    Raises UserError when the checkout is no git repository or lacks the commit.
    """
    _git(checkout, "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}")
    tags = _git(checkout, "tag", "--merged", commit, "--list", "v[0-9]*").decode(errors="replace").split()
    releases = [tag.removeprefix("v") for tag in tags if re.fullmatch(r"v\d+(\.\d+)+", tag)]
    return max(releases, key=lambda text: [int(part) for part in text.split(".")], default="")


def _members(checkout: Path, commit: str) -> dict[str, bytes]:
    """Return what git keeps at a commit, by name."""
    # git's own archive, read for its content alone: its times, owners and padding change between versions of git.
    packed = _git(checkout, "archive", "--format=tar", commit)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        return {member.name: found.read() for member in archive if (found := archive.extractfile(member)) is not None}


def _mode(content: bytes) -> int:
    return 0o755 if content.startswith(b"#!") else 0o644


def _git(checkout: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(
            ["git", "-C", str(checkout), *arguments], capture_output=True, check=False, timeout=GIT_SECONDS
        )
    except FileNotFoundError:
        raise UserError("git is not installed", fix="The source tarball is made from a commit: install git.") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise UserError(
            f"git cannot read {checkout}: {said[-1]}",
            fix="Run it in a clone of netplay-relay that has the commit, or give the tarball: --distfile FILE",
        )
    return done.stdout
